"""One try to send a notice: an HTTP POST of JSON, signed as Standard Webhooks has it.

The headers, the signed text and the secret's form are those of Standard Webhooks 1.0
(https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
"""

import base64
import hashlib
import hmac
from dataclasses import replace
from http import HTTPStatus

from gristmill.batches.notices import Notice
from gristmill.config.setting_types import signing_key
from gristmill.config.settings import Settings
from gristmill.tasks.fetch.addresses import resolve
from gristmill.tasks.fetch.errors import FetchError, FetchRefusedError
from gristmill.tasks.fetch.http import Post, RequestLimits, send_request
from gristmill.tasks.fetch.target import InvalidUrl, Target

#: Seconds for each connection, for the next bytes, and for the whole answer, whose body nobody reads.
BOUNDS = RequestLimits(connect=3, read=10, whole=15, size=0)


class NoticeRefused(Exception):
    """Raised when a notice was not taken; the text, without the URL's path, says why.

    `is_final` says that another try is useless.
    """

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


def send(notice: Notice, settings: Settings) -> None:
    """Send a notice to its URL; no redirect is followed.

    Raises:
        NoticeRefused: nobody took it: an address that is not public, no connection, or another answer than 2xx.
    """
    body = notice.payload()
    headers = {
        "Content-Type": "application/json",
        **signed(notice.id, int(notice.claimed), body, settings.notify_secret),
    }
    networks = settings.notify_networks, "notify_networks"
    try:
        target = replace(Target.parse(notice.url, *networks), is_secret=True)
        addresses = resolve(target.host, target.port, *networks)
        with send_request(target, addresses, BOUNDS, Post(body, headers)) as reply:
            status = reply.status
    except InvalidUrl as error:
        raise NoticeRefused(f"the URL may not be notified (expected {error.expected})", is_final=True) from None
    except FetchError as error:
        raise NoticeRefused(str(error), is_final=isinstance(error, FetchRefusedError)) from None
    if not 200 <= status < 300:
        # 410: the receiver wants no more of it, as the specification has it.
        raise NoticeRefused(f"{target.public_url}: answered {status}", is_final=status == HTTPStatus.GONE)


def signed(identity: str, timestamp: int, body: bytes, secret: str | None) -> dict[str, str]:
    """The headers of a notice that is sent at `timestamp`, in Unix time; with a `secret`, its signature too."""
    headers = {"webhook-id": identity, "webhook-timestamp": str(timestamp)}
    if secret:
        text = f"{identity}.{timestamp}.".encode() + body
        digest = hmac.new(signing_key(secret), text, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers
