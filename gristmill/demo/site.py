"""A web site on loopback whose pages take a while, for fetches that reach no other host."""

import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: Settings for `fetch`: with its limits for other hosts one would measure these, for the site answers as it is asked.
NO_LIMITS = {"fetch_networks": "127.0.0.0/8", "fetch_host_slots": "1000", "fetch_host_rate": "100000"}


class _Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """`/page/7` waits 50 to 200 ms, always as long for the same page, and answers some bytes."""
        digest = hashlib.sha256(self.path.encode()).digest()
        time.sleep(0.050 + 0.150 * digest[0] / 255)
        body = digest * (16 + digest[1])
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


class Site:
    """The site while its context lasts; `page(7)` is the URL of one of its pages."""

    def __enter__(self) -> "Site":
        self._server = _Server(("127.0.0.1", 0), _Page)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def page(self, number: int) -> str:
        """The URL of a page."""
        return f"http://127.0.0.1:{self._server.server_port}/page/{number}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
