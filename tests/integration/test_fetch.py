"""`fetch` against a real web site: bodies, limits, attempts, saving."""

import gzip
import hashlib
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import pytest

from gristmill.batches.ledger import Ledger
from gristmill.tasks import data_root
from gristmill.tasks.fetch import errors, http
from gristmill.tasks.fetch import task as fetching
from gristmill.tasks.fetch.task import fetch
from gristmill.tasks.item import enter, leave
from gristmill.tasks.limit_values import text_of
from tests.support import website
from tests.support.ledger import FIELDS, enlist
from tests.support.website import Route, Site, in_turn, raw, says

#: The fixtures that this file uses.
use, site = website.use, website.site


def test_a_body_and_its_status(site: Site) -> None:
    site.routes["/a"] = says(b"hello")
    result = fetch(site.url("/a#part"))
    assert 0 < result.pop("seconds") < 60
    assert result == {
        "url": site.url("/a"),
        "status": 200,
        "bytes": 5,
        "sha256": hashlib.sha256(b"hello").hexdigest(),
    }
    ((path, headers),) = site.requests
    assert path == "/a"
    assert headers == {
        "Host": f"127.0.0.1:{site.server_port}",
        "User-Agent": "gristmill",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
    }


def test_a_missing_page_is_a_result(site: Site) -> None:
    site.routes["/none"] = says(b"not here", 404)
    result = fetch(site.url("/none"))
    assert (result["status"], result["bytes"]) == (404, 8)
    assert len(site.requests) == 1


def test_a_body_of_unknown_length(site: Site) -> None:
    site.routes["/chunked"] = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    site.routes["/closed"] = raw(b"HTTP/1.1 200 OK\r\n\r\nabc")
    for path in site.routes:
        assert fetch(site.url(path))["sha256"] == hashlib.sha256(b"abc").hexdigest()


def test_an_encoding_is_not_undone(site: Site) -> None:
    bomb = gzip.compress(bytes(1 << 20))
    site.routes["/bomb"] = says(bomb, content_encoding="gzip")
    result = fetch(site.url("/bomb"))
    assert (result["bytes"], result["sha256"]) == (len(bomb), hashlib.sha256(bomb).hexdigest())


def test_no_proxy_of_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    site.routes["/a"] = says()
    assert fetch(site.url("/a"))["status"] == 200


# limits


def test_a_body_that_says_it_is_too_long(site: Site, use: Callable[..., None]) -> None:
    use(fetch_bytes=1000)
    site.routes["/fits"] = says(bytes(1000))
    site.routes["/long"] = says(b"", content_length="1001")
    assert fetch(site.url("/fits"))["bytes"] == 1000
    with pytest.raises(errors.FetchSizeError, match="1,000 bytes"):
        fetch(site.url("/long"))


def test_a_body_that_does_not_end(site: Site, use: Callable[..., None]) -> None:
    use(fetch_bytes=200_000)
    block = bytes(10_000)
    site.routes["/plain"] = raw(b"HTTP/1.1 200 OK\r\n\r\n", forever=block, seconds=0)
    chunk = b"2710\r\n" + block + b"\r\n"
    start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    site.routes["/chunked"] = raw(start, forever=chunk, seconds=0)
    for path in site.routes:
        with pytest.raises(errors.FetchSizeError):
            fetch(site.url(path))


def test_a_server_that_says_nothing(site: Site, use: Callable[..., None]) -> None:
    use(fetch_read_seconds=0.1, fetch_attempts=2)

    def mute(handler: BaseHTTPRequestHandler) -> None:
        site.over.wait(10)

    site.routes["/a"] = mute
    with pytest.raises(errors.FetchTimeoutError, match=r"timed out reading \(gave up after 2 requests"):
        fetch(site.url("/a"))


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_drips(
    site: Site, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    """One byte at a time keeps within the read timeout; the answer as a whole has a limit too."""
    use(fetch_read_seconds=0.25, fetch_attempts=1)
    monkeypatch.setattr(http, "_PATIENCE", 2)
    site.routes["/a"] = raw(start, forever=b"x")
    began = time.monotonic()
    with pytest.raises(errors.FetchTimeoutError, match=r"the answer took over 0\.5 s"):
        fetch(site.url("/a"))
    assert time.monotonic() - began >= 0.5


# attempts


def test_what_may_pass_is_tried_again(site: Site) -> None:
    short = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")
    site.routes["/a"] = in_turn(says(status=503), raw(b""), short, says(b"at last"))
    assert fetch(site.url("/a"))["bytes"] == 7
    assert len(site.requests) == 4


@pytest.mark.parametrize(
    ("route", "error"),
    [
        (says(status=500), errors.FetchStatusError),
        (says(status=429), errors.FetchStatusError),
        (raw(b"nonsense\r\n\r\n"), errors.FetchConnectionError),
    ],
)
def test_attempts_end(site: Site, route: Route, error: type[Exception]) -> None:
    site.routes["/a"] = route
    with pytest.raises(error, match="gave up after 4 requests") as caught:
        fetch(site.url("/a"))
    assert len(site.requests) == 4
    assert site.url("/a") in str(caught.value)


def test_the_status_of_a_failure(site: Site, use: Callable[..., None]) -> None:
    use(fetch_attempts=1)
    site.routes["/a"] = says(status=502)
    with pytest.raises(errors.FetchStatusError, match="answered 502") as caught:
        fetch(site.url("/a"))
    assert caught.value.status == 502


def test_a_connection_refused(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(errors.FetchConnectionError, match="refused"):
        fetch(f"http://127.0.0.1:{port}/")


def test_the_server_says_when_to_come_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(fetching, "time", SimpleNamespace(sleep=waits.append, monotonic=time.monotonic))
    site.routes["/a"] = in_turn(says(status=429, retry_after="7"), says(status=503, retry_after="86400"), says(b"now"))
    assert fetch(site.url("/a"))["bytes"] == 3
    assert 7 <= waits[0] <= 7.7
    assert 60 <= waits[1] <= 66


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that `fetch` has waited; nobody waits."""
    seconds: list[float] = []
    monkeypatch.setattr(fetching, "time", SimpleNamespace(sleep=seconds.append, monotonic=time.monotonic))
    return seconds


@contextmanager
def item_of(task: str) -> Iterator[None]:
    """An item of a batch of that task runs in this thread."""
    enter(("pages", 0, 1, lambda *_: None, 0, task))
    try:
        yield
    finally:
        leave()


def test_each_request_counts_but_the_first_one_of_an_item(
    site: Site, use: Callable[..., None], waits: list[float]
) -> None:
    use(fetch_host_rate=1 / 3600)
    site.routes["/a"] = says(status=302, location="/b")
    site.routes["/b"] = says(b"ok")
    # That one was counted when the item was handed out.
    with item_of("fetch"):
        fetch(site.url("/b"))
        assert waits == []
        fetch(site.url("/a"))
        assert waits == []
        fetch(site.url("/a"))
    assert waits == pytest.approx([3600], abs=10)
    fetch(site.url("/a"))
    assert waits == pytest.approx([3600, 7200, 10_800], abs=10)


def test_each_request_of_an_item_of_another_task_counts(
    site: Site, use: Callable[..., None], waits: list[float]
) -> None:
    use(fetch_host_rate=1 / 3600)
    site.routes["/a"] = says(b"ok")
    with item_of("crawl"):
        fetch(site.url("/a"))
        assert waits == []
        fetch(site.url("/a"))
    assert waits == pytest.approx([3600], abs=10)


def test_those_of_items_that_are_handed_out_count_beside_them(
    site: Site, use: Callable[..., None], waits: list[float], ledger: Ledger
) -> None:
    use(fetch_host_rate=1 / 3600, prefix=ledger.settings.prefix)
    site.routes["/a"] = says(b"ok")
    enlist(ledger)
    ledger.create("b", "token", {**FIELDS, "task": "fetch", "task_limit_by": "host", "task_rate": "1/h"})
    ledger.append("b", "token", 0, ["0", "1"], "sha", 2 * text_of("127.0.0.1"))
    assert ledger.client.zcard(ledger.key("b", "in_flight")) == 1
    fetch(site.url("/a"))
    assert waits == pytest.approx([3600], abs=10)


def test_one_host_is_not_pressed_by_many_requests(site: Site, use: Callable[..., None]) -> None:
    use(fetch_host_rate=50)
    site.routes["/a"] = says(status=302, location="/b")
    site.routes["/b"] = in_turn(says(status=503), says(b"ok"))
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda _: fetch(site.url("/a")), range(20)))
    assert [result["status"] for result in results] == [200] * 20
    assert len(site.requests) == 41
    times = sorted(site.times)
    # 250 ms may be caught up; 200 ms for the way from the server's clock to the site's, beside other work.
    assert len(times) <= 50 * (times[-1] - times[0] + 0.25 + 0.2) + 1


# saving


def test_a_body_is_saved(site: Site, tmp_path: Path) -> None:
    site.routes["/photo.JPG"] = says(b"picture")
    result = fetch(site.url("/photo.JPG?size=1"), "some/where")
    assert result["path"] == f"some/where/{hashlib.sha256(b'picture').hexdigest()}.jpg"
    assert (tmp_path / result["path"]).read_bytes() == b"picture"
    assert len(list((tmp_path / "some" / "where").iterdir())) == 1


def test_what_fails_or_is_missing_is_not_saved(site: Site, use: Callable[..., None], tmp_path: Path) -> None:
    use(fetch_bytes=100)
    site.routes["/none"] = says(b"not here", 404)
    site.routes["/long"] = raw(b"HTTP/1.1 200 OK\r\n\r\n", bytes(1000))
    assert "path" not in fetch(site.url("/none"), "kept")
    with pytest.raises(errors.FetchSizeError):
        fetch(site.url("/long"), "kept")
    assert list((tmp_path / "kept").iterdir()) == []


def test_nothing_is_saved_outside_the_data_root(site: Site, use: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    use(data_root=tmp_path / "root")
    (tmp_path / "root" / "out").symlink_to(tmp_path)
    site.routes["/a"] = says(b"x")
    for directory in ("..", "out", str(tmp_path)):
        with pytest.raises(data_root.DataRootError, match="save: "):
            fetch(site.url("/a"), directory)
    assert list(tmp_path.iterdir()) == [tmp_path / "root"]
