"""`fetch`: a GET of one URL, polite to its host and harmless to the network of the workers."""

import hashlib
import random
import re
import time
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from gristmill.config.limits import Limits, rate_of
from gristmill.config.settings import settings
from gristmill.server.connection import client, reaching
from gristmill.server.scripts import Scripts
from gristmill.server.waiting import OUTCOMES, backoff, patiently
from gristmill.tasks.data_root import check_path, new_file
from gristmill.tasks.fetch.addresses import resolve
from gristmill.tasks.fetch.errors import FetchPassingError, FetchRedirectError, FetchRefusedError, FetchStatusError
from gristmill.tasks.fetch.http import Reply, RequestLimits, send_request
from gristmill.tasks.fetch.target import Target
from gristmill.tasks.item import item, task_of_batch
from gristmill.tasks.kinds import io
from gristmill.tasks.limit_values import text_of

#: Most redirects that are followed.
_REDIRECTS = 10
_REDIRECTING = frozenset({301, 302, 303, 307, 308})
#: Seconds before the second request; doubled for each further one, up to the cap.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
#: Seconds that a server may ask us to wait.
_LONGEST_RETRY_AFTER = 60.0
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}\Z")


@dataclass(frozen=True, slots=True)
class _Answer:
    """The answer to one request: the target of a redirect, or a body that was read."""

    status: int
    redirect: str | None = None
    bytes: int = 0
    sha256: str = ""
    #: Seconds from connecting to the last byte.
    seconds: float = 0.0
    #: The path of the saved body.
    path: str | None = None


def host(url: str) -> str:
    """The host that a URL names: by it, `fetch` and its batches are limited."""
    return Target.parse(url, settings().fetch_networks).name.lower()


def _limits() -> Limits:
    return Limits(str(settings().fetch_host_slots), rate_of(settings().fetch_host_rate), "host")


def _check(url: str, save: str | None) -> None:
    Target.parse(url, settings().fetch_networks)
    if save is not None:
        check_path(save, "save")


@io(check=_check)
def fetch(url: str, save: str | None = None) -> dict[str, Any]:
    """Get a URL over http or https; `save` names a directory under the data root that keeps the body.

    Returns the `url` that answered (after redirects), its `status`, the body's `bytes` and `sha256`, and the `seconds`
    of the last request; with `save` also the `path` of a 2xx body: its SHA-256 with the URL's suffix.

    Bytes are counted and hashed as the server sent them: `fetch` neither asks for a content encoding nor undoes one.
    Every status is a result except 429 and 5xx: after these, broken connections and timeouts, `fetch` tries again, and
    fails in the end.

    Raises:
        FetchError: one of `gristmill.tasks.fetch.errors`; the text names the URL and what went wrong.
        DataRootError: `save` is outside the data root.
        OSError: the body could not be saved.
    """
    target = Target.parse(url, settings().fetch_networks)
    redirects = failures = 0
    while True:
        if redirects or failures or task_of_batch() != fetch.name:
            # The first request of an item of this task was counted when the item was handed out.
            _wait_for_turn(target)
        try:
            answer = _ask(target, save)
        except FetchPassingError as error:
            failures += 1
            if failures >= settings().fetch_attempts:
                error.args = (f"{error} (gave up after {failures} requests)",)
                raise
            time.sleep(_pause(failures, error.retry_after, random.random()))  # noqa: S311 (jitter)
            continue
        if answer.redirect is None:
            return _result(target, answer)
        redirects += 1
        if redirects > _REDIRECTS:
            raise FetchRedirectError(f"{url}: redirected more than {_REDIRECTS} times, at last to {target.url}")
        target = _follow(target, answer.redirect)


#: What the settings of the one who submits say, of each host.
fetch.own_limits, fetch.limit_function = _limits, host


def _result(target: Target, answer: _Answer) -> dict[str, Any]:
    result = {
        "url": target.url,
        "status": answer.status,
        "bytes": answer.bytes,
        "sha256": answer.sha256,
        "seconds": round(answer.seconds, 6),
    }
    return result if answer.path is None else {**result, "path": answer.path}


def _follow(target: Target, location: str) -> Target:
    try:
        return target.redirected(location, settings().fetch_networks)
    except ValueError as error:
        raise FetchRefusedError(f"{target.url} redirects to where fetch may not go: {error}") from None


def _ask(target: Target, save: str | None) -> _Answer:
    """Make one request; each looks the name up and checks its addresses."""
    options = settings()
    item.progress(0, None, f"asks {target.name}")
    addresses = resolve(target.host, target.port, options.fetch_networks)
    started = time.monotonic()
    with send_request(target, addresses, RequestLimits.of_fetch(options)) as reply:
        location = reply.headers.get("location")
        if reply.status in _REDIRECTING and location:
            return _Answer(reply.status, redirect=location)
        _raise_if_passing(target, reply)
        size, sha256, path = _read(reply, target, save)
    return _Answer(reply.status, None, size, sha256, time.monotonic() - started, path)


def _wait_for_turn(target: Target) -> None:
    """Wait until the rate of the target's host, over the fleet, lets one more request.

    Raises:
        ServerError: the server did not answer for a minute.
    """
    options = settings()
    scripts = Scripts(client(), options.prefix, "batches")
    turn = {"task": fetch.name, "value": text_of(target.name.lower()), "rate": rate_of(options.fetch_host_rate)}
    with reaching():
        milliseconds = int(patiently(lambda: scripts.call("use_rate", **turn), OUTCOMES))
    if milliseconds:
        item.progress(0, None, f"waits for its turn: {options.fetch_host_rate:g}/s to {target.name} (fetch's limit)")
        time.sleep(milliseconds / 1000)


def _raise_if_passing(target: Target, reply: Reply) -> None:
    if reply.status != HTTPStatus.TOO_MANY_REQUESTS and reply.status < 500:
        return
    error = FetchStatusError(f"{target.url}: answered {reply.status}")
    error.status = reply.status
    error.retry_after = _retry_after(reply.headers.get("retry-after"), datetime.now(UTC))
    raise error


def _read(reply: Reply, target: Target, save: str | None) -> tuple[int, str, str | None]:
    """Read the body; return its bytes, its SHA-256 and its path if it was saved."""
    sha, size, path = hashlib.sha256(), 0, None
    keep = save is not None and 200 <= reply.status < 300
    with new_file(save, "save") if save is not None and keep else nullcontext() as file:
        for block in reply.blocks():
            sha.update(block)
            size += len(block)
            if file is not None:
                file.write(block)
        if file is not None:
            path = file.publish(sha.hexdigest() + _suffix(target))
    return size, sha.hexdigest(), path


def _suffix(target: Target) -> str:
    """The suffix of the file in a URL, such as `.jpg`; empty if it has none that is harmless."""
    suffix = _SUFFIX.search(target.path.partition("?")[0])
    return suffix[0].lower() if suffix else ""


def _pause(failures: int, retry_after: float | None, chance: float) -> float:
    """Seconds to wait after so many failed requests: as long as the server asks, else twice as long each time, capped.

    `chance`, from 0 to 1, keeps many items from returning at once: it adds up to a tenth to the time that the server
    asks for, or takes up to half off the other.
    """
    if retry_after is not None:
        return retry_after * (1 + chance / 10)
    return backoff(failures, _FIRST_PAUSE, _LONGEST_PAUSE, 1 - chance)


def _retry_after(value: str | None, now: datetime) -> float | None:
    """The seconds that a `Retry-After` header asks for, 60 at most; None without one (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)
