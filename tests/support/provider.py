"""A stand-in for a provider of logins, on the loopback: it speaks OpenID Connect as far as Flower asks Okta for it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, Request, build_opener

KEY, SECRET = "the-dashboard", "a secret of the dashboard"


class _Answers(BaseHTTPRequestHandler):
    server: "Provider"

    def do_GET(self) -> None:
        """Send the browser back with a code, or say whose token it is."""
        parts = urlsplit(self.path)
        if parts.path == "/v1/authorize":
            question = {name: values[0] for name, values in parse_qs(parts.query).items()}
            query = urlencode({"code": self.server.person, "state": question["state"]})
            is_ours = question["client_id"] == KEY and question["redirect_uri"].startswith("http://127.0.0.1:")
            self._send(302 if is_ours else 400, Location=f"{question['redirect_uri']}?{query}")
        else:
            person = self.headers["Authorization"].removeprefix("Bearer token of ")
            self._send(200, {"email": person, "email_verified": person != "unverified@a.example"})

    def do_POST(self) -> None:
        """Exchange a code for a token."""
        question = {name: values[0] for name, values in parse_qs(self._body()).items()}
        is_ours = (question["client_id"], question["client_secret"]) == (KEY, SECRET)
        self._send(200 if is_ours else 401, {"access_token": f"token of {question['code']}"})

    def _body(self) -> str:
        return self.rfile.read(int(self.headers["Content-Length"])).decode()

    def _send(self, status: int, value: object = None, **headers: str) -> None:
        text = json.dumps(value).encode()
        self.send_response(status)
        for name, header in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, header)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Provider(ThreadingHTTPServer):
    """The provider, to which `person` has logged in."""

    person = ""

    def environ(self, port: int) -> dict[str, str]:
        """Flower's settings for a dashboard on `port` that leaves logins to this provider."""
        return {
            "FLOWER_AUTH_PROVIDER": "flower.views.auth.OktaLoginHandler",
            "FLOWER_OAUTH2_OKTA_BASE_URL": f"http://127.0.0.1:{self.server_port}",
            "FLOWER_OAUTH2_KEY": KEY,
            "FLOWER_OAUTH2_SECRET": SECRET,
            "FLOWER_OAUTH2_REDIRECT_URI": f"http://127.0.0.1:{port}/login",
            "GRISTMILL_DASHBOARD_PORT": str(port),
        }

    def login(self, page: str, person: str) -> dict[str, str]:
        """Open a page as this person's browser does, and follow it to the provider and back: the cookie it gets.

        Raises:
            HTTPError: the dashboard does not let them in.
        """
        self.person = person
        cookies = CookieJar()
        browser = build_opener(HTTPCookieProcessor(cookies))
        browser.open(Request(page, headers={"Accept": "text/html"}), timeout=30).close()
        return {"Cookie": next(f"user={cookie.value}" for cookie in cookies if cookie.name == "user")}


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider while the context lasts."""
    with Provider(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        try:
            yield server
        finally:
            server.shutdown()
