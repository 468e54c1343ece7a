"""Two roles on one dashboard: who acts has a name in the log of actions, who looks changes nothing."""

from urllib.error import HTTPError

import pytest

from gristmill.batches.audit import entries
from tests.support.dashboards import basic, dashboard, heartbeat
from tests.support.ledger import info, submit
from tests.support.provider import provider
from tests.support.servers import free_port

PAGES = ("/batches", "/batch/b", "/busy", "/workers")
ACTIONS = (
    "/batch/b/pause",
    "/batch/b/workflow/cancel",
    "/batches/cancel",
    "/batch/b/item/0/cancel",
    "/workers/drain",
    "/schedule/s/run",
)
OF_FLOWER = (
    "/api/worker/shutdown/w",
    "/api/task/apply/fibonacci",
    "/api/task/revoke/x",
    "/api/task/send-task/x/tasks/datatable",
)


def act(pages, path, login):
    """Post a form with the token of a page, as somebody who has logged in."""
    cookie = pages.ask("/batches", **login)[2]["Set-Cookie"].partition(";")[0]
    cookies = "; ".join(filter(None, (login.get("Cookie"), cookie)))
    data = f"_xsrf={cookie.partition('=')[2]}&name=b&worker=w".encode()
    return pages.ask(path, data, **{**login, "Cookie": cookies})[0]


def may_look_only(pages, login):
    for page in PAGES:
        status, text, _ = pages.ask(page, **login)
        assert (status, "<form method" in text) == (200, False), page
    for path in (*ACTIONS, *OF_FLOWER):
        assert act(pages, path, login) == 403, path
    assert pages.ask("/batch/b/results", **login)[0] == 200


def may_act(pages, login):
    assert "data-action" in pages.ask("/batch/b", **login)[1]
    assert "worker-form" in pages.ask("/workers", **login)[1]
    assert act(pages, "/batch/b/pause", login) == 200


def test_passwords(server, ledger):
    submit(ledger, "b", 3)
    heartbeat(ledger, 1)
    roles = {
        "GRISTMILL_DASHBOARD_PASSWORD": "correct horse",
        "GRISTMILL_DASHBOARD_OPERATORS": "ann:battery staple",
        "GRISTMILL_DASHBOARD_VIEWERS": "cy:only looking",
    }
    with dashboard(server.url, ledger.settings.prefix, **roles) as pages:
        for name, password in (("cy", "battery staple"), ("ann", "only looking"), ("no", "correct horse")):
            assert pages.ask("/batches", **basic(name, password))[0] == 401
            assert pages.ask("/batch/b/pause", b"", **basic(name, password))[0] in (401, 403)
        may_look_only(pages, basic("cy", "only looking"))
        usual = basic("cy", "only looking")["Authorization"]
        # Flower logs in who sends these too.
        for odd in (usual.replace(" ", "  "), usual.replace(" ", "\t"), f"{usual[:9]}!{usual[9:]}"):
            assert pages.ask("/batches", Authorization=odd)[0] == 200
            may_look_only(pages, {"Authorization": odd})
        assert info(ledger, "b").state == "running"
        may_act(pages, basic("ann", "battery staple"))
        act(pages, "/batch/b/resume", basic("gristmill", "correct horse"))
        login = basic("cy", "only looking")
        assert pages.ask("/audit", **login)[0] == 200
        rows = pages.ask("/audit/data", **login)[1]
    logged = [(entry.by, entry.via, entry.action) for entry in entries(ledger.client, ledger.settings)]
    assert logged == [("ann", "dashboard", "pause"), ("gristmill", "dashboard", "resume")]
    # The newest first.
    assert rows.index('"gristmill"') < rows.index('"ann"')


@pytest.mark.parametrize("setting", ["OPERATORS", "VIEWERS"])
def test_names_that_another_service_has_checked(server, ledger, setting):
    """Flower's OAuth asks a provider who it is, and leaves a signed cookie with the name."""
    submit(ledger, "b", 3)
    named = {"OPERATORS": "ann@a.example", "VIEWERS": "cy@a.example"}[setting]
    with provider() as service:
        environ = service.environ(free_port()) | {
            "FLOWER_AUTH": ".*@a.example",
            f"GRISTMILL_DASHBOARD_{setting}": named,
        }
        with dashboard(server.url, ledger.settings.prefix, **environ) as pages:
            forged = {"Cookie": "user=ann@a.example"}
            assert (pages.ask("/batch/b/data")[0], pages.ask("/batch/b/data", **forged)[0]) == (403, 403)
            assert pages.ask("/batch/b/pause", b"", **forged)[0] in (401, 403)
            for person in ("eve@b.example", "unverified@a.example"):
                with pytest.raises(HTTPError) as refused:
                    service.login(f"{pages.address}/batches", person)
                assert refused.value.code == 403
                refused.value.close()
            may_look_only(pages, service.login(f"{pages.address}/batches", "cy@a.example"))
            assert list(entries(ledger.client, ledger.settings)) == []
            may_act(pages, service.login(f"{pages.address}/batches", "ann@a.example"))
    assert [entry.by for entry in entries(ledger.client, ledger.settings)] == ["ann@a.example"]


@pytest.mark.parametrize(("secret", "status"), [({"FLOWER_COOKIE_SECRET": "of both dashboards"}, 200), ({}, 403)])
def test_a_login_holds_for_dashboards_with_the_same_secret(server, ledger, secret, status):
    """Also for the same dashboard after a restart; without the setting, each start makes a secret of its own."""
    submit(ledger, "b", 3)
    with provider() as service:
        # Each is a new Python: Flower makes a secret when it is imported, and dashboards that are forked share it.
        environ = service.environ(free_port()) | {"FLOWER_AUTH": ".*@a.example", "PYTHONHASHSEED": "0", **secret}
        elsewhere = environ | {"GRISTMILL_DASHBOARD_PORT": str(free_port())}
        with dashboard(server.url, ledger.settings.prefix, **environ) as pages:
            login = service.login(f"{pages.address}/batches", "ann@a.example")
            assert pages.ask("/batch/b/data", **login)[0] == 200
            with dashboard(server.url, ledger.settings.prefix, **elsewhere) as other:
                assert other.ask("/batch/b/data", **login)[0] == status
        with dashboard(server.url, ledger.settings.prefix, **environ) as again:
            assert again.ask("/batch/b/data", **login)[0] == status
            # Who has to log in once more can.
            assert again.ask("/batch/b/data", **service.login(f"{again.address}/batches", "ann@a.example"))[0] == 200
        other_secret = environ | {"FLOWER_COOKIE_SECRET": "of another dashboard"}
        with dashboard(server.url, ledger.settings.prefix, **other_secret) as stranger:
            assert stranger.ask("/batch/b/data", **login)[0] == 403
