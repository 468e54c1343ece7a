"""The advice for a queue: a sentence that says what limits it, and the command that helps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gristmill.config.figures import count, duration, item_count
from gristmill.dashboard.advised_command import SOMEWHERE, AdvisedCommand, Reader
from gristmill.fleet.queue_now import QueueNow
from gristmill.fleet.registry import LiveWorker
from gristmill.fleet.room import room_for
from gristmill.fleet.scaling import WORTH, Limit, Plan, is_settled, plan, start_seconds

#: A backlog that drains within so many seconds needs no advice; the slots to add should reach that.
TARGET_SECONDS = 60.0
#: What limits a queue whose slots have little to do.
_IDLE = frozenset({Limit.NOTHING, Limit.SERVER, Limit.PRODUCER, Limit.HOLD})


@dataclass(frozen=True, slots=True)
class Advice:
    """A sentence about a queue; `command` is what to type, or None; `level` is `idle`, `ok`, `info` or `warning`.

    `limit` is what limits the queue, a value of Limit, or empty. `seconds` is when the queue is done according to the
    sentence: with the command, if there is one; None where it does not say.
    """

    queue: str
    text: str
    command: str | None = None
    level: str = "ok"
    limit: str = ""
    seconds: float | None = None


def advise(
    queue: QueueNow,
    queues: Sequence[QueueNow],
    workers: Sequence[LiveWorker],
    server_cpu: float,
    reader: Reader = SOMEWHERE,
) -> Advice:
    """The advice for `queue`, one of `queues`, to a `reader`; the server uses `server_cpu` percent of one core."""
    name = queue.name
    if not queue.left:
        return _nothing_left(queue)
    planned = plan(queue, queues, workers, server_cpu, TARGET_SECONDS)
    command = AdvisedCommand(queue, queues, workers, reader)
    if not queue.slots:
        return _nobody(queue, planned, command, reader)
    text, time = f"{name}: {item_count(queue.left)} left", queue.drain
    if time is None and planned.limit in (Limit.NOTHING, Limit.SLOTS):
        return _standing(queue, text, planned)
    if time is not None:
        text += f", {duration(time)} at this rate"
    stands = Advice(name, f"{text}.", None, "ok", planned.limit, time)
    if time is not None and time <= TARGET_SECONDS:
        return stands
    if reader.is_autoscaled:
        return _with(stands, "gristmill autoscale sets its slots.")
    if not is_settled(queue):
        return _with(stands, "The slots have just changed, or got work: what they do is not measured yet.")
    return _on_limit(stands, queue, planned, command, workers)


def _nothing_left(queue: QueueNow) -> Advice:
    if queue.paused:
        text = f"{queue.name}: {item_count(queue.paused)} in paused batches."
        return Advice(queue.name, text, "gristmill resume", "info")
    if queue.waiting:
        text = f"{queue.name}: {item_count(queue.waiting)} in batches that wait for others, or for their time."
        return Advice(queue.name, text, level="info")
    return Advice(queue.name, f"{queue.name}: no item is left.", level="idle")


def _on_limit(
    stands: Advice, queue: QueueNow, planned: Plan, command: AdvisedCommand, workers: Sequence[LiveWorker]
) -> Advice:
    if planned.machines:
        return _machines(stands, planned, command)
    if planned.limit is Limit.SLOTS:
        return _more(stands, queue, planned, command, workers)
    used = f"slots are {100 * queue.used:.0f} % busy, and " if planned.limit in _IDLE else ""
    return replace(_with(stands, f"More workers won't help: {used}{planned.reason}."), level="info")


def _with(advice: Advice, sentence: str) -> Advice:
    return replace(advice, text=f"{advice.text} {sentence}")


def _nobody(queue: QueueNow, planned: Plan, command: AdvisedCommand, reader: Reader) -> Advice:
    wait = item_count(queue.left, "wait")
    if reader.is_autoscaled:
        text = f"{queue.name}: {wait}. gristmill autoscale sets its slots."
        return Advice(queue.name, text, None, "info", planned.limit)
    text, typed = f"All workers of {queue.name} drain: {wait}. Have them take items again", command.undrain()
    if typed is None:
        text, typed = f"No worker takes items from {queue.name}: {wait}. Start one", command.first()
    return Advice(queue.name, f"{text}{':' if typed else '.'}", typed, "warning", planned.limit)


def _standing(queue: QueueNow, left: str, planned: Plan) -> Advice:
    if queue.busy:
        busy = f"{queue.busy} of {count(queue.slots, 'slot')} {'is' if queue.busy == 1 else 'are'} busy"
        text = f"{left}; {busy}, and none has finished an item yet."
        return Advice(queue.name, text, level="info", limit=planned.limit)
    text = f"{left}, and no slot is busy: the items may be waiting for another attempt."
    return Advice(queue.name, text, "gristmill doctor", "warning", planned.limit)


def _more(
    stands: Advice, queue: QueueNow, planned: Plan, command: AdvisedCommand, workers: Sequence[LiveWorker]
) -> Advice:
    """Advise more slots, where there is room for them and they are worth it."""
    if planned.slots <= queue.slots:
        return stands
    if command.is_tuned:
        return _with(stands, "Its workers set their slots themselves.")
    more = command.more(planned.slots - queue.slots, room_for(queue, workers, planned.part))
    then = queue.drain_with(queue.slots + more.slots, start_seconds(queue, workers), queue.slots - more.stopped)
    if then is None or (queue.drain is not None and then > WORTH * queue.drain):
        return stands
    advised = _with(stands, f"{count(more.slots, 'more slot')} would bring that to {duration(then)}{more.how}")
    return replace(advised, command=more.text, level="info", seconds=then)


def _machines(stands: Advice, planned: Plan, command: AdvisedCommand) -> Advice:
    """Advise more machines, where those that there are have no room."""
    busy = f"{planned.reason[0].upper()}{planned.reason[1:]}."
    number = count(planned.machines, "more machine")
    more = command.machine()
    advised = _with(stands, f"{busy} {number} like {'it' if planned.places == 1 else 'these'} would help{more.how}")
    return replace(advised, command=more.text, level="warning")
