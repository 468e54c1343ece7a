"""A web site on the loopback that answers, redirects, and takes notices."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """`/to?there=URL` redirects there; everything else is a page."""
        parts = urlsplit(self.path)
        there = parse_qs(parts.query).get("there")
        self.send_response(302 if there else 200)
        if there:
            self.send_header("Location", there[0])
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"page")

    def do_POST(self) -> None:
        """Take what is sent."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Site:
    """The site while its context lasts."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer((self.address, 0), _Page)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def url(self, path: str, host: str | None = None) -> str:
        """The URL of a page, by the site's address or by another host's name."""
        return f"http://{host or self.address}:{self._server.server_port}{path}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
