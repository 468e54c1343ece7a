"""The log of actions: who cancelled, retried, deleted, scheduled or drained what. The scripts that act write it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, cast

from redis import Redis

from gristmill.config.figures import moment
from gristmill.config.settings import Settings
from gristmill.server.replies import stream_entries

#: Entries of one call: no call may occupy the server for long.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An action that changed something.

    Attributes:
        at: Unix time in seconds, by the server's clock.
        by: user@host, or the dashboard's user.
        via: `command`, `dashboard` or `Python`.
        action: `cancel`, `retry`, `close`, `pause`, `resume`, `delete`, `make`, `run`, `drain`, `undrain` or `requeue`.
        kind: what `name` names: `batch`, `schedule`, `worker` or `dead letter`.
        detail: more about it, such as `item 3`; None where there is no more.
    """

    at: float
    by: str
    via: str
    action: str
    kind: str
    name: str
    detail: str | None

    def as_dict(self) -> dict[str, Any]:
        """The documented fields, as `audit --json` prints them."""
        return {**asdict(self), "at": moment(self.at)}


def entries(client: Redis, settings: Settings) -> Iterator[AuditEntry]:
    """The last entries, oldest first: some 10,000; raises as `stream_entries`, and its memory is as flat."""
    return (_entry(*row) for row in stream_entries(client, settings.key("audit"), _AT_ONCE))


def latest(client: Redis, settings: Settings, count: int) -> list[AuditEntry]:
    """The last `count` entries, the newest first."""
    return [_entry(*row) for row in cast(Any, client.xrevrange(settings.key("audit"), count=count))]


def _entry(identity: str, fields: dict[str, str]) -> AuditEntry:
    milliseconds = int(identity.partition("-")[0])
    return AuditEntry(at=milliseconds / 1000, **{**fields, "detail": fields["detail"] or None})  # type: ignore[arg-type]
