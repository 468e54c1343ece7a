"""Who may reach the dashboard: what counts as this host alone, and what Flower is told."""

import base64
from types import SimpleNamespace

import pytest

from gristmill.config.flower import check_oauth, check_reach, dashboard_url, flower_options, is_loopback, may_act
from gristmill.config.settings import load
from gristmill.dashboard import visitors
from gristmill.dashboard.application import is_loopback_name
from gristmill.errors import SettingError


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "::1"])
def test_names_of_this_host(host):
    assert is_loopback_name(host)


@pytest.mark.parametrize(
    "host", ["", "example.org", "127.0.0.1.example.org", "localhost.example.org", "10.0.0.1", "0.0.0.0", "[::]", "1"]
)
def test_names_that_may_be_anybodys(host):
    assert not is_loopback_name(host)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_no_password(address):
    assert is_loopback(address)
    check_reach(address, guarded=False)


@pytest.mark.parametrize("address", ["", "0.0.0.0", "::", "10.0.0.1", "no-such-host.invalid"])
def test_anything_else_does(address):
    with pytest.raises(SettingError, match="GRISTMILL_DASHBOARD_PASSWORD"):
        check_reach(address, guarded=False)
    check_reach(address, guarded=True)


def test_flower_is_told_what_the_settings_say():
    given = {
        "GRISTMILL_DASHBOARD_PASSWORD": "correct horse",
        "GRISTMILL_DASHBOARD_URL_PREFIX": "/tools/flower/",
        "GRISTMILL_DASHBOARD_READ_ONLY": "true",
    }
    options = flower_options(load(given))
    assert options["basic_auth"] == ["gristmill:correct horse"]
    assert (options["url_prefix"], options["read_only"], options["address"]) == ("tools/flower", True, "127.0.0.1")
    assert flower_options(load({}))["basic_auth"] == []


PASSWORD, OPERATORS, VIEWERS = (f"GRISTMILL_DASHBOARD_{name}" for name in ("PASSWORD", "OPERATORS", "VIEWERS"))


def test_each_user_logs_in_with_a_password_of_their_own():
    given = {OPERATORS: "ann:correct horse,  bo:has:a colon", VIEWERS: "cy:battery staple\ndi:only looking"}
    assert flower_options(load(given))["basic_auth"] == [
        "cy:battery staple",
        "di:only looking",
        "ann:correct horse",
        "bo:has:a colon",
    ]
    assert "gristmill:correct horse" in flower_options(load({**given, PASSWORD: "correct horse"}))["basic_auth"]


@pytest.mark.parametrize(
    ("given", "who_may", "who_may_not"),
    [
        ({}, ["anybody"], []),
        ({PASSWORD: "correct horse", VIEWERS: "cy:battery staple"}, ["gristmill"], ["cy"]),
        ({PASSWORD: "correct horse", OPERATORS: "ann:correct horse"}, ["gristmill", "ann"], ["stranger"]),
        ({OPERATORS: "ann@a.example"}, ["ann@a.example"], ["bo@a.example", "gristmill"]),
        ({VIEWERS: "cy@a.example"}, ["ann@a.example"], ["cy@a.example"]),
    ],
)
def test_who_may_act(given, who_may, who_may_not):
    settings = load(given)
    assert [user for user in who_may if not may_act(settings, user)] == []
    assert [user for user in who_may_not if may_act(settings, user)] == []


@pytest.mark.parametrize(
    "value", ["ann:short77", ":correct horse", "ann:", "ann:correct horse,ann:battery staple", "ä:correct horse"]
)
def test_logins_that_are_none(value):
    for name in (OPERATORS, VIEWERS):
        with pytest.raises(SettingError) as raised:
            load({name: value})
        assert name in str(raised.value)
        assert "correct horse" not in str(raised.value)
        assert "short77" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "environ", "is_refused"),
    [
        ({VIEWERS: "cy@a.example"}, {"FLOWER_AUTH": ".*@a.example"}, False),
        ({VIEWERS: "cy@a.example"}, {}, True),
        ({OPERATORS: "ann@a.example", PASSWORD: "correct horse"}, {"FLOWER_AUTH": ".*@a.example"}, True),
        # A comma within a password begins another name.
        ({OPERATORS: "ann:battery horse,staple"}, {}, True),
    ],
)
def test_a_name_without_a_password_needs_somebody_else_who_checks_it(monkeypatch, given, environ, is_refused):
    monkeypatch.delenv("FLOWER_AUTH", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    if not is_refused:
        assert flower_options(load(given))["basic_auth"] == []
        return
    with pytest.raises(SettingError) as raised:
        flower_options(load(given))
    assert next(name for name in given if name != PASSWORD) in str(raised.value)


OAUTH = {
    "auth": ".*@a.example",
    "auth_provider": "flower.views.auth.OktaLoginHandler",
    "oauth2_key": "k",
    "oauth2_secret": "s",
    "oauth2_redirect_uri": "https://mill.example/login",
}


def test_oauth_is_refused_where_nobody_could_log_in():
    check_oauth({}.get)
    check_oauth(OAUTH.get)
    check_oauth({**OAUTH, "auth_provider": "flower.views.auth:GoogleAuth2LoginHandler"}.get)
    # One that is not of Flower, and needs nothing more.
    check_oauth({"auth": ".*@a.example", "auth_provider": "http.server.BaseHTTPRequestHandler"}.get)
    for name in OAUTH.keys() - {"auth"}:
        with pytest.raises(SettingError, match=f"FLOWER_{name.upper()}"):
            check_oauth({**OAUTH, name: ""}.get)
    with pytest.raises(SettingError, match="FLOWER_AUTH:"):
        # Flower escapes what it gets.
        check_oauth({**OAUTH, "auth": r".*@a\.example"}.get)
    for provider in ("flower.views.auth.Nobody", "no_such_module.Handler", "flower.views.auth"):
        with pytest.raises(SettingError, match=f"FLOWER_AUTH_PROVIDER.*{provider}"):
            check_oauth({**OAUTH, "auth_provider": provider}.get)


def test_nobody_has_two_roles():
    for given in ({OPERATORS: "ann:correct horse"}, {PASSWORD: "correct horse"}):
        name = "ann" if OPERATORS in given else "gristmill"
        with pytest.raises(SettingError, match=VIEWERS):
            flower_options(load({**given, VIEWERS: f"{name}:battery staple"}))


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://127.0.0.1:80"),
        ({"GRISTMILL_DASHBOARD_URL_PREFIX": "flower"}, "http://127.0.0.1:80/flower/"),
        ({"GRISTMILL_DASHBOARD_HOST": "::1"}, "http://[::1]:80"),
    ],
)
def test_its_address_is_what_people_type(given, url):
    assert dashboard_url(load(given), 80) == url


@pytest.mark.parametrize("name", ["GRISTMILL_DASHBOARD_PASSWORD", "GRISTMILL_METRICS_TOKEN"])
def test_a_secret_that_is_too_short_is_not_shown(name):
    with pytest.raises(SettingError) as raised:
        load({name: "hunter2"})
    assert "hunter2" not in str(raised.value)
    assert name in str(raised.value)


@pytest.mark.parametrize(("login", "only_looks"), [("cy:only looking", True), ("gristmill:correct horse", False)])
def test_pages_of_flower_have_no_buttons_for_a_viewer(monkeypatch, login, only_looks):
    roles = load({PASSWORD: "correct horse", VIEWERS: "cy:only looking"})
    monkeypatch.setattr(visitors, "settings", lambda: roles)
    values = {}
    monkeypatch.setattr(visitors.BaseHandler, "render", lambda _self, _name, **own: values.update(own))
    page = object.__new__(visitors.ForVisitor)
    options = SimpleNamespace(read_only=False, basic_auth=flower_options(roles)["basic_auth"], auth="")
    header = "Basic " + base64.b64encode(login.encode()).decode()
    page.application = SimpleNamespace(options=options, guarded=True)
    page.request = SimpleNamespace(headers={"Authorization": header}, cookies={})
    page.render("task.html", read_only=False, task="t")
    assert values == {"read_only": only_looks, "task": "t"}


@pytest.mark.parametrize("api", ["true", "false"])
def test_pages_of_flower_have_no_buttons_where_its_api_refuses_all(monkeypatch, api):
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", api)
    monkeypatch.setattr(visitors, "settings", lambda: load({}))
    values = {}
    monkeypatch.setattr(visitors.BaseHandler, "render", lambda _self, _name, **own: values.update(own))
    page = object.__new__(visitors.ForVisitor)
    options = SimpleNamespace(read_only=False, basic_auth=[], auth="")
    page.application = SimpleNamespace(options=options, guarded=False)
    page.request = SimpleNamespace(headers={}, cookies={})
    page.render("task.html", read_only=False, task="t")
    assert values == {"read_only": api == "false", "task": "t"}
