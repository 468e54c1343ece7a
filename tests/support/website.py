"""A web site on the loopback, and `fetch` set up to be let there: fixtures and routes."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from gristmill.config.settings import load
from gristmill.tasks import data_root
from gristmill.tasks.fetch import task as fetching

Route = Callable[[BaseHTTPRequestHandler], None]


class Site(ThreadingHTTPServer):
    """A web site: a function per path, and what was asked of it."""

    daemon_threads = True
    #: Connections that wait to be taken, more than any test opens.
    request_queue_size = 64

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), _Handler)
        self.scheme = "http"
        self.routes: dict[str, Route] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.times: list[float] = []
        #: What was posted: path, headers, body.
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        self.lock = threading.Lock()
        #: Lets handlers that wait go.
        self.over = threading.Event()

    def url(self, path: str, host: str = "") -> str:
        return f"{self.scheme}://{host or self.server_address[0]}:{self.server_port}{path}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        site = self.server
        assert isinstance(site, Site)
        with site.lock:
            site.requests.append((self.path, dict(self.headers)))
            site.times.append(time.monotonic())
        site.routes[self.path.partition("?")[0]](self)

    def do_POST(self) -> None:
        site = self.server
        assert isinstance(site, Site)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with site.lock:
            site.posts.append((self.path, dict(self.headers), body))
        site.routes[self.path.partition("?")[0]](self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def says(body: bytes = b"", status: int = 200, **headers: str) -> Route:
    """A route that answers with `body`."""

    def route(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"content_length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return route


def in_turn(*routes: Route) -> Route:
    """A route that answers with each of `routes` once, then with the last."""
    left = list(routes)

    def route(handler: BaseHTTPRequestHandler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return route


def raw(*parts: bytes, forever: bytes = b"", seconds: float = 0.02) -> Route:
    """A route that sends `parts` and then, without end, `forever`."""

    def route(handler: BaseHTTPRequestHandler) -> None:
        site = handler.server
        assert isinstance(site, Site)
        for part in parts:
            handler.wfile.write(part)
        while forever and not site.over.wait(seconds):
            handler.wfile.write(forever)
        handler.close_connection = True

    return route


@pytest.fixture
def use(client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets settings: loopback allowed, a fast host, no waiting between attempts."""
    monkeypatch.setattr(fetching, "_FIRST_PAUSE", 0.01)

    def change(**changed: object) -> None:
        usual = {
            "home": tmp_path,
            "data_root": tmp_path,
            "prefix": f"{uuid4().hex}:",
            "fetch_networks": "127.0.0.0/8",
            "fetch_host_rate": 10_000,
        }
        environ = {f"GRISTMILL_{name.upper()}": str(value) for name, value in {**usual, **changed}.items()}
        settings_of_test = load(environ)
        monkeypatch.setattr(fetching, "settings", lambda: settings_of_test)
        monkeypatch.setattr(data_root, "settings", lambda: settings_of_test)
        monkeypatch.setattr(fetching, "client", lambda: client)

    change()
    return change


@pytest.fixture
def site(use: Callable[..., None]) -> Iterator[Site]:
    with running_site() as running:
        yield running


@contextmanager
def running_site(address: str = "127.0.0.1") -> Iterator[Site]:
    """A site that answers until the context ends."""
    running = Site(address)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield running
    finally:
        running.over.set()
        running.shutdown()
        thread.join()
        running.server_close()


def names(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[Any]]) -> list[str]:
    """Let names lead to addresses or errors, each answer once; returns the list of the names looked up."""
    ask = socket.getaddrinfo
    hosts: list[str] = []

    def look_up(host: str, port: Any, *arguments: Any, **options: Any) -> Any:
        if host not in answers or options.get("flags"):
            return ask(host, port, *arguments, **options)
        hosts.append(host)
        address = answers[host].pop(0)
        if isinstance(address, OSError):
            raise address
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return hosts
