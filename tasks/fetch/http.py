"""One request over HTTP to an address that was checked, and its answer, limited in bytes and seconds."""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from gristmill.config.settings import Settings
from gristmill.server.per_process import PerProcess
from gristmill.tasks.fetch.errors import (
    FetchCertificateError,
    FetchConnectionError,
    FetchSizeError,
    FetchTimeoutError,
)
from gristmill.tasks.fetch.target import Target

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection
    from urllib3.response import HTTPResponse

#: A whole answer may take this many times `GRISTMILL_FETCH_READ_SECONDS`, even if bytes never stop coming.
_PATIENCE = 20
#: Addresses of one host that are tried.
_ADDRESSES = 4
#: Bytes read at once.
_BLOCK = 64 << 10


class Reply:
    """The answer to one request: status and headers first, then its body in blocks."""

    def __init__(self, target: Target, response: "HTTPResponse", limit: int, alarm: "_Alarm") -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._target = target
        self._response = response
        #: Bytes that the body may have.
        self._limit = limit
        self._alarm = alarm

    def blocks(self) -> Iterator[bytes]:
        """The body as the server sent it: transfer chunks joined, a content encoding left as it is.

        Raises:
            FetchSizeError: the body is too long; raised at once if the server states its length.
            FetchConnectionError: the body breaks off.
            FetchTimeoutError: the body takes too long.
        """
        self._bounded(self._response.length_remaining or 0)
        size = 0
        with _faults(self._target, self._alarm):
            for block in self._response.stream(_BLOCK, decode_content=False):
                size += len(block)
                self._bounded(size)
                yield block

    def _bounded(self, size: int) -> None:
        if size > self._limit:
            raise FetchSizeError(
                f"{self._target.public_url}: the body is longer than {self._limit:,} bytes (GRISTMILL_FETCH_BYTES)"
            )


class _Alarm:
    """Closes the connection when the whole answer takes too long.

    A socket's timeout starts anew with each byte: a peer that sends one byte at a time would never run into it.
    """

    def __init__(self, wire: socket.socket, seconds: float) -> None:
        self.seconds = seconds
        self.rang = False
        self._wire = wire
        self._timer = threading.Timer(seconds, self._ring)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        self._timer.cancel()

    def _ring(self) -> None:
        self.rang = True
        # Shutting down wakes the thread that reads; closing would not.
        with suppress(OSError):
            self._wire.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How long a connection, the next bytes and the whole answer may take, in seconds, and the bytes of its body."""

    connect: float
    read: float
    whole: float
    size: int

    @classmethod
    def of_fetch(cls, settings: Settings) -> Self:
        """Those that the settings have for `fetch`."""
        whole = _PATIENCE * settings.fetch_read_seconds
        return cls(settings.fetch_connect_seconds, settings.fetch_read_seconds, whole, settings.fetch_bytes)


@dataclass(frozen=True, slots=True)
class Post:
    """What is sent instead of a GET: a body, and headers beside those of every request."""

    body: bytes
    headers: Mapping[str, str]


@contextmanager
def send_request(
    target: Target, addresses: Sequence[str], bounds: RequestLimits, post: Post | None = None
) -> Iterator[Reply]:
    """Request `target` from one of `addresses`, and yield the answer, whatever its status; follow no redirect.

    The name is not looked up again, proxies of the environment are not used, and for https the certificate must be
    valid for the name. The caller need not read the body.

    Raises:
        FetchConnectionError: no address accepted the connection, or it broke.
        FetchTimeoutError: connecting, or the answer, takes too long.
        FetchCertificateError: the certificate is not valid for the host.
    """
    connection = _connect(target, addresses[:_ADDRESSES], bounds.connect)
    alarm = _Alarm(connection.sock, bounds.whole)
    response = None
    try:
        with _faults(target, alarm):
            connection.timeout = bounds.read
            headers = {
                "Host": target.authority,
                "User-Agent": "gristmill",
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                **(post.headers if post else {}),
            }
            method, body = ("POST", post.body) if post else ("GET", None)
            connection.request(method, target.path, body, headers, preload_content=False, decode_content=False)
            response = connection.getresponse()
        yield Reply(target, response, bounds.size, alarm)
    finally:
        alarm.cancel()
        if response is not None:
            response.close()
        connection.close()


def _connect(target: Target, addresses: Sequence[str], seconds: float) -> "HTTPConnection":
    """Connect to the first of the addresses that accepts."""
    *others, last = addresses
    for address in others:
        with suppress(FetchConnectionError, FetchTimeoutError):
            return _connected(target, address, seconds)
    return _connected(target, last, seconds)


def _connected(target: Target, address: str, seconds: float) -> "HTTPConnection":
    connection = _connection(target, address, seconds)
    try:
        with _faults(target):
            connection.connect()
    except BaseException:
        connection.close()
        raise
    return connection


def _connection(target: Target, address: str, seconds: float) -> "HTTPConnection":
    # As in `Target.parse`.
    import urllib3

    if target.scheme == "http":
        return urllib3.connection.HTTPConnection(address, target.port, timeout=seconds)
    return urllib3.connection.HTTPSConnection(
        address, target.port, timeout=seconds, server_hostname=target.name, ssl_context=_tls()
    )


_contexts: PerProcess[str, ssl.SSLContext] = PerProcess()


def _tls() -> ssl.SSLContext:
    """The process's trusted certificates, read once, which takes tens of milliseconds."""
    return _contexts.get("fetch", ssl.create_default_context)


@contextmanager
def _faults(target: Target, alarm: _Alarm | None = None) -> Iterator[None]:
    """Turn errors of the connection into those of `fetch`; there is an `alarm` once it is connected."""
    from http.client import HTTPException

    from urllib3 import exceptions

    try:
        yield
    except (exceptions.HTTPError, HTTPException, OSError) as error:
        _raise_if_rang(target, alarm)
        if isinstance(error, ssl.SSLCertVerificationError):
            raise FetchCertificateError(f"{target.public_url}: {error.verify_message}") from None
        # urllib3 counts every connection that fails among its timeouts.
        is_late = isinstance(error, TimeoutError | exceptions.TimeoutError)
        if is_late and not isinstance(error, exceptions.NewConnectionError):
            raise FetchTimeoutError(f"{target.public_url}: timed out {'reading' if alarm else 'connecting'}") from error
        reason = error.args[0] if error.args and isinstance(error.args[0], str) else error
        raise FetchConnectionError(f"{target.public_url}: {reason}") from error
    # A body of unknown length just ends when the alarm closes the connection: it must not pass for a whole one.
    _raise_if_rang(target, alarm)


def _raise_if_rang(target: Target, alarm: _Alarm | None) -> None:
    if alarm is not None and alarm.rang:
        raise FetchTimeoutError(f"{target.public_url}: the answer took over {alarm.seconds:g} s")
