"""What became of workers: their starts, ends and deaths, as the server noted them."""

from dataclasses import dataclass
from typing import Any

from gristmill.config.settings import Settings
from gristmill.fleet.worker_id import node_name
from gristmill.server.question import Question

#: Events that are read, the last ones.
EVENTS_MOST = 500


@dataclass(frozen=True, slots=True)
class WorkerEvent:
    """A worker, by its node name, at the Unix time `at` in seconds: `what` is `start`, `end` or `death`.

    A death is noted when the worker has sent no heartbeat for 10 seconds; `at` is when the last one came.
    """

    at: float
    what: str
    worker: str


def worker_events(settings: Settings, since: float) -> Question[list[WorkerEvent]]:
    """The events since a Unix time in seconds, in the order in which the server noted them."""

    def parse(answers: list[Any]) -> list[WorkerEvent]:
        (entries,) = answers
        events = [
            WorkerEvent(int(fields["at"]) / 1000, fields["what"], node_name(fields["worker"])) for _, fields in entries
        ]
        return [event for event in reversed(events) if event.at >= since]

    return Question(lambda pipe: pipe.xrevrange(settings.key("worker_events"), count=EVENTS_MOST), parse)
