"""Where `fetch` goes, and where it does not: redirects, names, addresses, certificates."""

import re
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gristmill.server.per_process import PerProcess
from gristmill.tasks.fetch import errors, http
from gristmill.tasks.fetch import task as fetching
from gristmill.tasks.fetch.target import Target
from gristmill.tasks.fetch.task import fetch
from tests.support import website
from tests.support.website import Site, names, raw, says

#: The fixtures that this file uses.
use, site = website.use, website.site


# redirects


def test_redirects_are_followed(site: Site) -> None:
    site.routes["/a"] = says(status=301, location="/b/c")
    site.routes["/b/c"] = says(status=307, location="../d?e")
    site.routes["/d"] = says(b"end")
    result = fetch(site.url("/a"))
    assert (result["url"], result["status"], result["bytes"]) == (site.url("/d?e"), 200, 3)


def test_redirects_end(site: Site) -> None:
    site.routes["/a"] = says(status=302, location="/a")
    with pytest.raises(errors.FetchRedirectError, match="more than 10 times"):
        fetch(site.url("/a"))
    assert len(site.requests) == 11


def test_a_redirect_to_nowhere_is_a_result(site: Site) -> None:
    site.routes["/a"] = says(status=302)
    assert fetch(site.url("/a"))["status"] == 302


@pytest.mark.parametrize(
    "location",
    [
        "http://10.0.0.1/",
        "//169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://0xa000001/",
        "file:///etc/passwd",
        "ftp://example.com/",
        "http://me:secret@127.0.0.1/",
        "http://[bad/",
    ],
)
def test_a_redirect_to_where_fetch_may_not_go_is_refused(site: Site, location: str) -> None:
    site.routes["/a"] = says(status=302, location=location)
    with pytest.raises(errors.FetchRefusedError, match="redirects to where fetch may not go") as caught:
        fetch(site.url("/a"))
    assert "secret" not in str(caught.value)
    assert len(site.requests) == 1


def test_a_redirect_to_a_name_of_a_private_address_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, {"inside.example": ["10.0.0.1"]})
    site.routes["/a"] = says(status=302, location="http://inside.example/")
    with pytest.raises(errors.FetchRefusedError, match=r"10\.0\.0\.1 is a private address"):
        fetch(site.url("/a"))


# names and addresses


def test_a_name_of_the_loopback_is_refused(site: Site, use: Callable[..., None]) -> None:
    use(fetch_networks="")
    fetch.schema.arguments({"url": site.url("/", "localhost")}, {}, "")
    with pytest.raises(errors.FetchRefusedError, match="is a loopback address"):
        fetch(site.url("/", "localhost"))
    assert site.requests == []


def test_a_name_is_looked_up_once_and_that_address_used(
    site: Site, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that turns to the loopback after it was checked (DNS rebinding) gains nothing."""
    use(fetch_networks="127.0.0.1/32")
    site.routes["/a"] = says(b"checked")
    asked = names(monkeypatch, {"turning.example": ["127.0.0.1", "127.0.0.2"]})
    assert fetch(site.url("/a", "turning.example"))["bytes"] == 7
    assert asked == ["turning.example"]
    assert site.requests[0][1]["Host"] == f"turning.example:{site.server_port}"


def test_a_name_that_turns_between_attempts_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.routes["/a"] = says(status=503)
    asked = names(monkeypatch, {"turning.example": ["127.0.0.1", "169.254.169.254"]})
    with pytest.raises(errors.FetchRefusedError, match="link-local"):
        fetch(site.url("/a", "turning.example"))
    assert len(asked) == 2


def test_a_public_address_that_was_checked_is_the_one_connected_to(
    site: Site, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(fetch_networks="")
    names(monkeypatch, {"turning.example": ["93.184.215.14", "127.0.0.1"]})
    tried: list[Any] = []

    def connect(wire: socket.socket, address: Any) -> None:
        tried.append(address)
        raise ConnectionRefusedError

    fetching._wait_for_turn(Target.parse("http://other.example/", ()))
    # The connection to the server of turns stands from here on.
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(errors.FetchRefusedError, match="loopback"):
        fetch(site.url("/a", "turning.example"))
    assert tried == [("93.184.215.14", site.server_port)]
    assert site.requests == []


@pytest.mark.parametrize(
    ("reason", "error", "times"),
    [
        (socket.EAI_NONAME, errors.FetchNameError, 1),
        (socket.EAI_AGAIN, errors.FetchConnectionError, 4),
    ],
)
def test_a_name_that_leads_nowhere(
    site: Site, monkeypatch: pytest.MonkeyPatch, reason: int, error: type[Exception], times: int
) -> None:
    asked = names(monkeypatch, {"no.example": [socket.gaierror(reason, "no answer")] * times})
    with pytest.raises(error, match=r"no\.example: .* no answer"):
        fetch(site.url("/", "no.example"))
    assert len(asked) == times


# https


@pytest.fixture
def secure(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site with a certificate for `secure.example` that is trusted."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test"
    subject = ["-addext", "subjectAltName=DNS:secure.example", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *subject], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    site.socket = context.wrap_socket(site.socket, server_side=True, do_handshake_on_connect=False)
    site.scheme = "https"
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(http, "_contexts", PerProcess())
    return site


def test_https_checks_the_certificate_against_the_name(secure: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, {"secure.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]})
    secure.routes["/a"] = says(b"secret")
    assert fetch(secure.url("/a", "secure.example"))["bytes"] == 6
    for host in ("other.example", "127.0.0.1"):
        with pytest.raises(errors.FetchCertificateError, match=re.escape(host)):
            fetch(secure.url("/a", host))
    assert len(secure.requests) == 1


def test_https_does_not_trust_anyone(secure: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, {"secure.example": ["127.0.0.1"]})
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setattr(http, "_contexts", PerProcess())
    with pytest.raises(errors.FetchCertificateError, match="self-signed"):
        fetch(secure.url("/a", "secure.example"))


def test_https_that_drips_is_hung_up_on(
    secure: Site, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(fetch_read_seconds=0.25, fetch_attempts=1)
    monkeypatch.setattr(http, "_PATIENCE", 2)
    names(monkeypatch, {"secure.example": ["127.0.0.1"]})
    secure.routes["/a"] = raw(b"HTTP/1.1 200 OK\r\n\r\n", forever=b"x")
    with pytest.raises(errors.FetchTimeoutError, match="the answer took over"):
        fetch(secure.url("/a", "secure.example"))


def test_https_does_not_turn_into_http(secure: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, {"secure.example": ["127.0.0.1"]})
    secure.routes["/a"] = says(status=302, location="http://127.0.0.1/")
    with pytest.raises(errors.FetchRefusedError, match=r"url: 'http:.*https"):
        fetch(secure.url("/a", "secure.example"))


def test_an_address_that_takes_no_connection_is_passed_over(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.routes["/a"] = says(b"x")
    monkeypatch.setattr(fetching, "resolve", lambda *_: ["127.0.0.2", "::1", "127.0.0.1"])
    assert fetch(site.url("/a", "several.example"))["status"] == 200
