"""Who may see the dashboard: nobody beyond this host without the password, no other site, and no secret anywhere."""

import base64
import json
import sys
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

import pytest

from tests.conftest import until
from tests.support.command import Place

PASSWORD, TOKEN = "correct horse", "a-token-for-metrics"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A place with a dashboard that has a password and a token, below a path."""
    path = tmp_path_factory.mktemp("guarded")
    (path / "password").write_text(PASSWORD + "\n")
    place = Place(
        path,
        GRISTMILL_DASHBOARD_PASSWORD_FILE=str(path / "password"),
        GRISTMILL_METRICS_TOKEN=TOKEN,
        GRISTMILL_DASHBOARD_URL_PREFIX="/flower/",
        GRISTMILL_LOG_LEVEL="info",
    )
    try:
        with place.up("io", "flower", "--io-slots", "4") as running:
            place.run("submit", "digest", "--name", "first", "no-such-file").good()
            place.ended("first")
            place.owner = running
            yield place
    finally:
        place.deserted()


def ask(address, *, password=None, token=None, data=None, headers=None):
    """A request: the status and the text of its answer."""
    request = Request(address, data=urlencode(data).encode() if data is not None else None, headers=headers or {})
    if password:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"gristmill:{password}".encode()).decode())
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_its_address_has_the_path(guarded):
    assert urlsplit(guarded.server().dashboard).path == "/flower/"
    assert f"dashboard: {guarded.server().dashboard}" in guarded.owner.err


PAGES = ("", "throughput", "throughput/data", "batches", "batches/data", "batch/first", "batch/first/data")


@pytest.mark.parametrize("path", [*PAGES, "batch/first/results", "workers", "broker", "metrics", "api/workers"])
def test_without_the_password_nothing_is_shown(guarded, path):
    address = guarded.server().dashboard + path
    for credentials in ({}, {"password": "wrong password"}, {"token": "wrong-token"}):
        status, text = ask(address, **credentials)
        assert status == 401, path
        assert "first" not in text
    assert ask(address, password=PASSWORD)[0] == 200


def test_the_token_opens_metrics_only(guarded):
    address = guarded.server().dashboard
    status, text = ask(f"{address}metrics", token=TOKEN)
    assert status == 200
    assert 'gristmill_items_total{queue="io",state="failed",task="digest"} 1.0' in text
    assert ask(f"{address}batches", token=TOKEN)[0] == 401


def test_no_secret_is_in_a_page_an_address_or_a_log(guarded):
    secrets = [PASSWORD, TOKEN, urlsplit(guarded.server().url).password]
    address = guarded.server().dashboard
    worker = guarded.run("workers", "--json").rows[0]["name"]
    texts = [ask(address + path, password=PASSWORD)[1] for path in (*PAGES, "broker", "metrics", f"worker/{worker}")]
    texts += [guarded.owner.err, guarded.server().dashboard]
    texts += [" ".join(process.cmdline()) for process in guarded.processes()]
    assert len(texts) > 10
    for text in texts:
        assert not [secret for secret in secrets if secret in text]


def test_below_its_path_all_links_work(page, guarded):
    address = guarded.server().dashboard
    page.log_in("gristmill", PASSWORD)
    page.open(address)
    page.click("a[href='/flower/throughput']")
    page.until("document.getElementById('status')?.textContent === 'Live'")
    page.click("a[href='/flower/batches']")
    page.click("tr[data-batch=first] a")
    page.until("document.querySelectorAll('#failures li').length === 1")


def test_a_form_of_another_site_does_nothing(guarded):
    address = f"{guarded.server().dashboard}batch/first/retry"
    for headers in ({}, {"Cookie": "_xsrf=made-up"}, {"Origin": "http://elsewhere.example"}):
        status, _ = ask(address, password=PASSWORD, data={"_xsrf": "other"}, headers=headers)
        assert status == 403
    assert guarded.info("first").failed == 1


@pytest.mark.parametrize("path", ["batch/none", "batch/none/data", "batch/none/results", "throughput/data?range=1y"])
def test_what_is_not_there_is_said_in_a_line(guarded, path):
    status, text = ask(guarded.server().dashboard + path, password=PASSWORD)
    assert status in (400, 404)
    assert len(text.splitlines()) == 1
    assert "Traceback" not in text


def test_it_is_not_open_to_others_without_a_password(place):
    done = place.run("up", "--port", "0", GRISTMILL_DASHBOARD_HOST="0.0.0.0")
    done.refused("GRISTMILL_DASHBOARD_HOST", "'0.0.0.0'", "GRISTMILL_DASHBOARD_PASSWORD")
    done = place.run("up", "--port", "0", FLOWER_AUTH="ann@a.example")
    assert done.code != 0
    assert "FLOWER_AUTH_PROVIDER" in done.err
    done = place.run("up", GRISTMILL_DASHBOARD_PASSWORD="short")
    assert "short" not in done.refused("GRISTMILL_DASHBOARD_PASSWORD", "(hidden)", "at least 8 characters")


def test_celery_flower_is_ours_and_as_safe(place):
    celery = [sys.executable, "-m", "celery", "-A", "gristmill.tasks", "flower", "--port=0"]
    with place.server_only():
        for option, missing in {
            "--address=0.0.0.0": "DASHBOARD_PASSWORD",
            "--auth=ann@a.example": "AUTH_PROVIDER",
        }.items():
            done = place.process([*celery, option])
            assert done.code != 0
            assert missing in done.err
            assert "Traceback" not in done.err
        with place.started([*celery, "--logging=info"], GRISTMILL_DASHBOARD_READ_ONLY="true") as running:
            running.says("Visit me at http://127.0.0.1:")
            address = running.err.partition("Visit me at ")[2].split()[0].rstrip("/")
            status, text = until(lambda: ask(f"{address}/throughput"))
            assert status == 200
            assert "Throughput" in text
            assert json.loads(ask(f"{address}/throughput/data")[1])["empty"] is True
            # A name that another site has made mean this host.
            for path in ("throughput", "batches/data", "metrics", "static/js/flower.js"):
                assert ask(f"{address}/{path}", headers={"Host": "rebound.example"})[0] == 403
            assert ask(f"{address}/throughput", headers={"Host": "localhost:5555"})[0] == 200
            _read_only(place, address)


def _read_only(place, address):
    place.run("submit", "fibonacci", "3", "--name", "shown").good()
    page = ask(f"{address}/batch/shown")
    assert page[0] == 200
    assert "data-action" not in page[1]
    with urlopen(f"{address}/batches") as answer:
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
    token = cookie.partition("=")[2]
    assert "end-form" not in ask(f"{address}/busy")[1].partition("<script")[0]
    for action in ("cancel", "item/0/cancel"):
        status, text = ask(f"{address}/batch/shown/{action}", data={"_xsrf": token}, headers={"Cookie": cookie})
        assert status == 403
        assert "GRISTMILL_DASHBOARD_READ_ONLY" in text
    assert place.info("shown").left == 1
