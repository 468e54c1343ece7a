"""The seat of the one autoscale that acts on a server, and what it has decided."""

import json
import secrets
from dataclasses import asdict, dataclass, field
from typing import Any

from redis import Redis

from gristmill.batches.scripts import BatchScripts
from gristmill.config.settings import Settings
from gristmill.fleet.autoscaling import Past
from gristmill.server.question import Question

#: Seconds for which the one that acts keeps its seat without a sign of life.
SEAT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Status:
    """What autoscale has decided: for each queue its slots and why; `at` is when it looked, in Unix time of the server.

    `reach` says what it grows and shrinks, `target` and `idle` are its options in seconds. `failure` says why the last
    change could not be made, empty if it was.
    """

    at: float = 0.0
    reach: str = ""
    target: float = 0.0
    idle: float = 0.0
    failure: str = ""
    queues: dict[str, Past] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> "Status":
        """What `asdict` gave, as JSON; none that another version wrote in another form."""
        try:
            fields = json.loads(text or "{}")
            queues = {name: Past.of(past) for name, past in fields.pop("queues", {}).items()}
            names = cls.__dataclass_fields__
            return cls(**{name: value for name, value in fields.items() if name in names}, queues=queues)
        except (ValueError, TypeError, AttributeError):
            return cls()


class Seat(BatchScripts):
    """The seat, as one process asks for it."""

    def __init__(self, client: Redis, settings: Settings, name: str) -> None:
        super().__init__(client, settings)
        self._name, self._token = name, secrets.token_hex(8)

    def take(self, status: Status | None = None) -> tuple[str, Status]:
        """Take the seat or keep it, and store what was decided; the name of another one that has it, or '', and what
        was decided last.
        """
        return self._lead(SEAT_SECONDS, status)

    def leave(self) -> None:
        """Let another one have the seat at once."""
        self._lead(0.0, None)

    def _lead(self, seconds: float, status: Status | None) -> tuple[str, Status]:
        text = "" if status is None else json.dumps(asdict(status))
        other, stored = self._call("lead", token=self._token, holder=self._name, lease=int(seconds * 1000), status=text)
        return other, Status.of(stored)


def autoscale_now(settings: Settings, at: float) -> Question[dict[str, Any] | None]:
    """What the one that acts at `at` (Unix time of the server) has decided, with its `name`; None if none acts."""

    def parse(answers: list[Any]) -> dict[str, Any] | None:
        (fields,) = answers
        if float(fields.get("until", 0)) / 1000 <= at:
            return None
        return {"name": fields["name"], **asdict(Status.of(fields.get("status", "")))}

    return Question(lambda pipe: pipe.hgetall(settings.key("autoscale")), parse)
