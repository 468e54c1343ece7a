"""The certificate of a server: bin/certificates renews it under the same authority, and doctor says when it ends."""

import shutil
import subprocess

import pytest
from redis import Redis

from gristmill.cli.findings.server import server_findings
from gristmill.config.settings import settings
from gristmill.server.certificate import certificate_days
from tests.support.examples import PROJECT
from tests.support.servers import Certificates, needed, redis_server, running


def make(directory, address="127.0.0.1"):
    needed(shutil.which("openssl"), "openssl: bin/test-needs installs it")
    command = ["sh", PROJECT / "bin" / "certificates", address, directory]
    subprocess.run(command, check=True, capture_output=True)
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def verified(directory):
    command = ["openssl", "verify", "-CAfile", directory / "ca.pem", directory / "server.crt"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_a_new_certificate_keeps_the_authority(tmp_path):
    first = make(tmp_path)
    assert first.keys() == {"ca.pem", "ca.key", "server.crt", "server.key"}
    assert verified(tmp_path)
    assert (tmp_path / "ca.key").stat().st_mode & 0o077 == 0
    second = make(tmp_path, "mill.example")
    assert second["ca.pem"] == first["ca.pem"]
    assert second["server.crt"] != first["server.crt"]
    assert verified(tmp_path)
    (tmp_path / "ca.key").unlink()
    third = make(tmp_path)
    assert third["ca.pem"] != first["ca.pem"]
    assert verified(tmp_path)


def connection_of(url, monkeypatch):
    monkeypatch.setenv("GRISTMILL_REDIS_URL", url)
    settings.cache_clear()
    with Redis.from_url(url, decode_responses=True) as client:
        (finding,) = [finding for finding in server_findings(client) if finding.check == "connection"]
    settings.cache_clear()
    return finding


@pytest.mark.parametrize(("days", "is_fine"), [(90, True), (20, False)])
def test_doctor_says_when_it_ends(tmp_path, monkeypatch, days, is_fine):
    certificates = Certificates(tmp_path / "certificates", "ours", days)
    with running(redis_server(), tmp_path / "redis", certificates=certificates) as server:
        with Redis.from_url(server.url) as client:
            assert days - 1 < certificate_days(client) <= days
        finding = connection_of(server.url, monkeypatch)
        assert f"{days - 1} days" in finding.state
        assert bool(finding.advice) is not is_fine
        unchecked = server.url.partition("?")[0] + "?ssl_cert_reqs=none"
        assert connection_of(unchecked, monkeypatch).advice


def test_without_tls_there_is_none(client):
    assert certificate_days(client) is None
