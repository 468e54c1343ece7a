"""The data of the pages Batches and one batch."""

import json
from itertools import islice
from typing import Any

from gristmill.batches.histogram import COARSE, bound, from_coarse, quantile
from gristmill.batches.info import ENDED, OPEN, BatchInfo, State
from gristmill.batches.ledger import Ledger
from gristmill.batches.reader import ResultReader
from gristmill.batches.result import Result
from gristmill.config.settings import Settings
from gristmill.dashboard import busy
from gristmill.dashboard.chain import chain
from gristmill.errors import InputError
from gristmill.fleet.meters import BatchMeter
from gristmill.fleet.outlook import Outlook
from gristmill.fleet.overview import QUANTILES, Observer
from gristmill.server.question import Question, together

#: Failed items on a page; characters of an input, a message, a traceback.
FAILED_MOST = 50
INPUT, MESSAGE, TRACEBACK = 500, 500, 4000
#: Seconds over which a batch's rate is measured.
RATE_SECONDS = 10


def find(ledger: Ledger, name: str) -> BatchInfo:
    """The batch called `name`.

    Raises:
        InputError: no batch has that name.
    """
    infos = ledger.infos([name])
    if not infos:
        raise InputError(f"no batch is called {name!r}: it was deleted, or never submitted")
    return infos[0]


def data(observer: Observer, name: str, after: int) -> dict[str, Any]:
    """One batch: its row, its progress, its run times, and the failed items behind the index `after`."""
    info = find(observer.ledger, name)
    client, settings = observer.client, observer.settings
    at = observer.meters.now()
    meters, attempts, slowest = together(
        client, observer.meters.batches([name]), _attempts(settings, name), _slowest(settings, name)
    )
    meter = meters[name]
    outlook = observer.outlooks.of([info], inputs=True)[name]
    reader = ResultReader(client, settings, name)
    failures = list(islice(reader.failed(after + 1), FAILED_MOST + 1))
    return {
        "at": at,
        "batch": row(info, at, outlook, meter),
        "running": busy.row(outlook.running[0]) if outlook.running else None,
        "attempts": attempts,
        "progress": _progress(meter, info, at),
        "runs": _runs(meter),
        "times": [quantile(from_coarse(meter.runs), share) for share in QUANTILES],
        "slowest": _with_inputs(slowest, reader),
        "failures": [_failure(result) for result in failures[:FAILED_MOST]],
        "more": len(failures) > FAILED_MOST,
        "workflow": chain(observer.ledger, name),
    }


def row(info: BatchInfo, at: float, outlook: Outlook | None, meter: BatchMeter | None) -> dict[str, Any]:
    """The fields of a batch as pages have them, at the server's Unix time `at`; of an ended one without an outlook."""
    seconds = (info.finished or at) - info.created
    if info.state in ENDED:
        # A cancelled item took no time.
        rate = (info.done - info.cancelled) / seconds if seconds > 0 else 0.0
    else:
        rate = _rate(meter, at - info.created) if meter else 0.0
    goes_on = outlook and info.left and info.state in (State.RUNNING, *OPEN)
    seconds_left = outlook.seconds_left(info, rate) if outlook and goes_on else None
    times = {"created": info.created, "finished": info.finished, "seconds": seconds, "seconds_left": seconds_left}
    times |= {"abandoned_at": info.abandoned_at, "scheduled_at": info.scheduled_at}
    words = {"state": str(info.state), "queue": info.queue, "hold": info.hold}
    counts = {"done": info.done, "rate": rate, "taking": info.taking, "notice": info.notice}
    return {**info.as_dict(), **words, **counts, **times}


def _rate(meter: BatchMeter, age: float) -> float:
    """Items per second over the last seconds of a batch that is `age` seconds old."""
    if not meter.slices:
        return 0.0
    first = max(0, int((age - RATE_SECONDS) // meter.width), min(meter.slices))
    done = sum(sum(counts) for number, counts in meter.slices.items() if number >= first)
    return done / max(1.0, age - first * meter.width)


def _progress(meter: BatchMeter, info: BatchInfo, at: float) -> dict[str, Any]:
    end = int(((info.finished or at) - info.created) // meter.width)
    succeeded = failed = 0
    lines: dict[str, list[int]] = {"succeeded": [0], "failed": [0]}
    for number in range(max([end, *meter.slices], default=0) + 1):
        more, worse = meter.slices.get(number, (0, 0))
        succeeded, failed = succeeded + more, failed + worse
        lines["succeeded"].append(succeeded)
        lines["failed"].append(failed)
    return {"width": meter.width, "first": info.created, "number": len(lines["succeeded"]), **lines}


def _runs(meter: BatchMeter) -> list[dict[str, Any]]:
    """The histogram of run times, with the empty buckets between the first and the last one."""
    if not meter.runs:
        return []
    numbers = range(min(meter.runs), max(meter.runs) + 1)
    return [{"upto": bound(COARSE * number), "items": meter.runs.get(number, 0)} for number in numbers]


def _attempts(settings: Settings, name: str) -> Question[dict[str, int]]:
    """How many items failed at least once, and how many of those wait for their next attempt."""
    key = settings.key(f"batch:{name}:")
    return Question(
        lambda pipe: pipe.hlen(f"{key}attempts").zcard(f"{key}retry"),
        lambda answers: dict(zip(("failed_once", "waiting"), answers, strict=True)),
    )


def _slowest(settings: Settings, name: str) -> Question[list[tuple[str, float]]]:
    """The indexes of the slowest items that have ended, each with its seconds, the slowest first."""
    key = settings.key(f"batch:{name}:slowest")
    return Question(lambda pipe: pipe.zrevrange(key, 0, -1, withscores=True), lambda answers: list(answers[0]))


def _with_inputs(members: list[tuple[str, float]], reader: ResultReader) -> list[dict[str, Any]]:
    inputs = {index: reader.item(index) for index in sorted(int(member) for member, _ in members)}
    return [{"index": int(member), "input": _short(inputs[int(member)]), "seconds": score} for member, score in members]


def _short(text: str | None) -> str:
    """An input as the page has it; empty when a reader consumed it."""
    return "" if text is None else text[:INPUT] + ("…" if len(text) > INPUT else "")


def _failure(result: Result) -> dict[str, Any]:
    error = result.error or {}
    text = json.dumps(result.input, ensure_ascii=False)
    return {
        "index": result.index,
        "input": _short(text),
        "state": result.state,
        "attempts": result.attempts,
        "seconds": result.seconds,
        "worker": result.worker,
        "type": error.get("type", ""),
        "message": error.get("message", "")[:MESSAGE],
        "traceback": error.get("traceback", "")[-TRACEBACK:],
        "log": result.log,
    }
