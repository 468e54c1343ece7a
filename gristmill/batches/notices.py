"""The notices of batches: what each tells the URL of its `notify`, on the server until a worker has sent it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, cast
from uuid import uuid4

from gristmill.batches.info import GONE_MS, BatchInfo, origin
from gristmill.batches.scripts import BatchScripts
from gristmill.server.replies import by_name

#: Notices that one call of `undelivered` reads, at most, of each kind.
_READ_MOST = 20


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice that this process has claimed, at `claimed`; times are Unix times in seconds, by the server's clock.

    `event` is what the batch has come to: `succeeded`, `failed`, `cancelled`, `halted` or `stuck`. `info` has its
    counters at that moment, `at`. This is try number `tries`. `url` may hold a secret.
    """

    id: str
    claim: str
    url: str
    event: str
    at: float
    claimed: float
    tries: int
    info: BatchInfo

    @classmethod
    def from_fields(cls, notice: str, now: int, fields: dict[str, str]) -> "Notice":
        """Build it from its fields on the server; `now` is the server's time in ms."""
        at = int(fields["at"])
        info = BatchInfo.from_fields(fields["batch"], json.loads(fields["state"]), at - GONE_MS)
        url, event, tries = fields["notify"], fields["event"], int(fields["tries"])
        return cls(notice, fields["claim"], url, event, at / 1000, now / 1000, tries, info)

    def payload(self) -> bytes:
        """What the receiver gets, JSON: the same at each try."""
        at = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds")
        batch = {name: value for name, value in self.info.as_dict().items() if name not in ("notify", "notice")}
        data = {**batch, "exit_code": self.info.exit_code}
        return json.dumps({"type": f"batch.{self.event}", "timestamp": at, "data": data}).encode()


class Undelivered(NamedTuple):
    """A notice that was tried and is not delivered: `failed` for good, or `pending`. `to` is a scheme and a host."""

    batch: str
    to: str
    state: str
    tries: int
    error: str


class Notices(BatchScripts):
    """The notices on one server."""

    def look(self) -> tuple[int, int, bool]:
        """Write the notices of batches that are stuck, a bounded number in each call.

        Returns how many notices are due, up to 100, the number of live workers, and whether more batches may be stuck.
        A heartbeat calls it, which waits for no replica: `claim` does that.
        """
        due, workers, more = self._call("look_at_notices")
        return int(due), int(workers), bool(more)

    def claim(self, seconds: float) -> Notice | None:
        """Take a notice to send it within `seconds`, after which another worker takes it; None when none is due.

        With CONFIRM_REPLICAS, what it tells is on as many replicas.
        """
        answer = self._confirmed("claim_notice", token=uuid4().hex, lease=round(1000 * seconds))
        if not answer:
            return None
        notice, now, flat = answer
        return Notice.from_fields(notice, int(now), by_name(flat))

    def note_delivery(self, notice: Notice) -> None:
        """Note that the receiver has the notice."""
        self._settle(notice, "delivered")

    def put_off(self, notice: Notice, error: str, seconds: float) -> bool:
        """Note why a try failed; the next is due in `seconds`. False if it was the last: NOTIFY_SECONDS are over."""
        return self._settle(notice, "pending", error, round(1000 * seconds)) != "failed"

    def give_up(self, notice: Notice, error: str) -> None:
        """Note why nobody tries any more."""
        self._settle(notice, "failed", error)

    def _settle(self, notice: Notice, outcome: str, error: str = "", pause: int = 0) -> str:
        which = {"notice": notice.id, "claim": notice.claim}
        most = round(1000 * self.settings.notify_seconds)
        return str(self._confirmed("settle_notice", **which, outcome=outcome, error=error, pause=pause, most=most))

    def undelivered(self) -> list[Undelivered]:
        """Notices that were given up within a day, and those whose last try failed; some, where they are many."""
        key = self.settings.key
        undelivered = []
        for state, names in (("failed", "notices_failed"), ("pending", "notices")):
            for notice in cast(list[str], self.client.zrange(key(names), 0, _READ_MOST - 1)):
                fields = cast(dict[str, str], self.client.hgetall(key(f"notice:{notice}")))
                if fields.get("error"):
                    to, tries = origin(fields["notify"]), int(fields["tries"])
                    undelivered.append(Undelivered(fields["batch"], to, state, tries, fields["error"]))
        return undelivered
