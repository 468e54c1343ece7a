"""A dashboard before a server without workers: what it shows is what a test stored."""

import base64
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPMessage
from tempfile import TemporaryFile
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from gristmill.batches.ledger import Ledger
from gristmill.dashboard.asking import SILENT_SECONDS
from tests.conftest import until
from tests.support.forked import start
from tests.support.ledger import FIELDS, outcomes, pop
from tests.support.servers import free_port


class Form(NamedTuple):
    """What is sent with the token of a page, and the cookie that goes with the token."""

    body: bytes
    cookie: str


class Dashboard:
    """A running dashboard at `address`, as somebody who has logged in, if `password` is that of the dashboard."""

    def __init__(self, address: str, password: str = "") -> None:
        self.address = address
        self.login = basic("gristmill", password) if password else {}

    def ask(self, path: str, data: bytes | None = None, **headers: str) -> tuple[int, str, HTTPMessage]:
        """The code, the text and the headers of an answer."""
        request = Request(f"{self.address}{path}", data=data, headers={**self.login, **headers})
        try:
            with urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers

    def json(self, path: str) -> Any:
        """The JSON of an answer, which has to be a good one; as a page does, it asks again after a server's silence."""

        def answered() -> tuple[int, str] | None:
            began = time.monotonic()
            code, text, _ = self.ask(path)
            return None if code == 503 and time.monotonic() - began > SILENT_SECONDS / 2 else (code, text)

        code, text = until(answered, what="an answer of the server")
        assert code == 200, text
        return json.loads(text)

    def status(self, path: str, data: bytes | None = None, **headers: str) -> int:
        """The code of an answer; where a redirect leads is not asked."""
        parts = urlsplit(f"{self.address}{path}")
        with closing(HTTPConnection(parts.netloc, timeout=30)) as connection:
            form = {} if data is None else {"Content-Type": "application/x-www-form-urlencoded"}
            query = f"?{parts.query}" if parts.query else ""
            connection.request(
                "GET" if data is None else "POST", f"{parts.path}{query}", data, {**self.login, **form, **headers}
            )
            answer = connection.getresponse()
            answer.read()
            return answer.status

    def form(self, **fields: str) -> Form:
        """A form with the token of a page."""
        cookie = self.ask("/batches")[2]["Set-Cookie"].partition(";")[0]
        pairs = [("_xsrf", cookie.partition("=")[2]), *fields.items()]
        return Form("&".join(f"{name}={value}" for name, value in pairs).encode(), cookie)

    def post(self, path: str, **fields: str) -> tuple[int, str]:
        """Send a form with the token of a page."""
        form = self.form(**fields)
        code, text, _ = self.ask(path, form.body, Cookie=form.cookie)
        return code, text


def basic(name: str, password: str) -> dict[str, str]:
    """The header with which somebody logs in."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@contextmanager
def dashboard(url: str, prefix: str = "", **settings: str) -> Iterator[Dashboard]:
    """A dashboard of the server at `url` while the context lasts."""
    port = int(settings.get("GRISTMILL_DASHBOARD_PORT") or free_port())
    own = {name: value for name, value in os.environ.items() if not name.startswith("GRISTMILL_")}
    environ = {**own, "GRISTMILL_REDIS_URL": url, "GRISTMILL_PREFIX": prefix, **settings}
    command = [sys.executable, "-P", "-m", "gristmill.dashboard", "--port", str(port)]
    path = settings.get("GRISTMILL_DASHBOARD_URL_PREFIX", "")
    address = f"http://127.0.0.1:{port}" + (f"/{path}" if path else "")
    running = Dashboard(address, settings.get("GRISTMILL_DASHBOARD_PASSWORD", ""))

    with TemporaryFile() as log:
        process = start(command, environ, log)

        def is_up() -> bool:
            if process.poll() is not None:
                log.seek(0)
                raise AssertionError(log.read().decode())
            try:
                return bool(running.ask("/login")[0])
            except OSError:
                return False

        try:
            until(is_up, what="a dashboard")
            yield running
        finally:
            process.terminate()
            process.wait(30)


def heartbeat(ledger: Ledger, number: int, queue: str = "cpu", **fields: Any) -> None:
    """A heartbeat of worker `number` of a queue, as `LiveWorker` has its fields."""
    pool = "prefork" if queue == "cpu" else "threads"
    load = {"cores": 4, "cpu": 50.0, "used": 2048, "memory": 8192, "busy": 1, "slots": 4, "items": 0, "rate": 1.0}
    name = f"{queue}@host-{number:02}"
    details = {"queue": queue, "pool": pool, "host": f"host-{number:02}", "pid": 100 + number, **load, **fields}
    ledger.heartbeat(f"{name}/{number:08x}", details, [])


def store(ledger: Ledger, name: str, items: int, failed: int = 0, left: int = 0, **fields: Any) -> None:
    """Store a batch whose items have ended, but for the last `left`; the first `failed` of them have failed."""
    # Chunks are handed out where a worker lives, and has slots beside those for what other batches have left.
    heartbeat(ledger, 0, fields.get("queue", "cpu"), slots=500)
    ledger.create(name, "token", {**FIELDS, **fields})
    ledger.append(name, "token", 0, [str(index) for index in range(items)], "sha")
    ledger.end(name, "token", 0)
    while (chunk := pop(ledger, fields.get("queue", "cpu"))) is not None:
        if chunk.batch != name:
            # What another batch has left.
            continue
        work = ledger.take(chunk) if chunk.first < items - left else None
        if work is None:
            break
        items_to_end = [item for item in work.items if item.index < items - left]
        good, bad = (
            [item for item in items_to_end if item.index >= failed],
            [item for item in items_to_end if item.index < failed],
        )
        results = [*outcomes(bad, "failed"), *outcomes(good)]
        rest = len(work.items) - len(items_to_end)
        ledger.record(chunk, results, 0.1 * len(results), "cpu@host-00/0", rest=rest)
    assert ledger.infos([name])[0].left == left
