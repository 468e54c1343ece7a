"""A queue at one moment, and how long its items will take with so many slots."""

from dataclasses import dataclass

Times = tuple[float | None, ...]

#: Rounds after which slots that began together do not end their items together any more.
ROUNDS = 6
#: Items are equal whose longest takes so many times the mean, at most: a histogram tells no more.
EQUAL = 1.3


@dataclass(frozen=True, slots=True)
class QueueNow:
    """A queue at this moment.

    `left` counts the items without an outcome, but for the `paused` ones, which are in paused batches, and for the
    `waiting` ones, whose batches wait for others or for their time. `oldest` is the age in seconds of the oldest item
    left. `rate`, `failing` and `arrivals` are items per second: with an outcome, failed, and stored. `seconds` is the
    mean run time of an item, `used` the share (0 to 1) of the slots that was busy, and `speed` how many seconds of
    items a busy slot does in a second: fewer than 1 where items are so short that taking and recording them counts,
    more where a slot runs several items of an async task at once. `work` is how many seconds the items left take
    together, 0 where their batches do not tell. `longest` is the run time that the longest of the last items will have,
    and `ends` in how many seconds those that run will all have ended: None while nothing tells that. Limits of batches
    and tasks hold `over_limit` of the items left back; `hold` says which limit, and `held_seconds` for how long, None
    where nobody knows. The number of slots has been the same for `steady` seconds. What is measured is of `ended`
    items; `doubt` is the share by which their mean run time may be off. `wait` and `run` are the quantiles 0.5, 0.95
    and 0.99 of the last minute in seconds. `submitting` says that a producer is still adding items. `kind` is that of
    its tasks, empty where neither a worker nor a batch shows it.
    """

    name: str
    left: int = 0
    paused: int = 0
    waiting: int = 0
    oldest: float = 0.0
    rate: float = 0.0
    failing: float = 0.0
    seconds: float = 0.0
    used: float = 0.0
    slots: int = 0
    busy: int = 0
    workers: int = 0
    submitting: bool = False
    wait: Times = (None, None, None)
    run: Times = (None, None, None)
    kind: str = ""
    arrivals: float = 0.0
    speed: float = 1.0
    work: float = 0.0
    longest: float = 0.0
    ends: float | None = None
    over_limit: int = 0
    hold: str = ""
    held_seconds: float | None = None
    steady: float = 3600.0
    ended: int = 1000
    doubt: float = 0.0

    @property
    def drain(self) -> float | None:
        """Seconds until no item is left, as things are; None while nothing tells that."""
        if not self.left:
            return 0.0
        seconds = self.drain_with(self.slots)
        return seconds if seconds is None else max(seconds, self.held_seconds or 0.0)

    def drain_with(self, slots: int, start_seconds: float = 0.0, meanwhile: int | None = None) -> float | None:
        """Seconds until no item is left with `slots`, of which the new ones run `start_seconds` from now on.

        Until then `meanwhile` run: those that do now, unless some of them have to start again.
        Slots that do not get enough items now are taken to be as busy then: this is for a queue that slots limit. Items
        that a running producer adds count only where it goes on for ever, which nobody knows of a file.
        """
        if not self.left:
            return 0.0
        work = self.work or self.left * self.seconds
        if self.ends is not None and self.left <= self.slots:
            return self.ends
        if not work or not slots:
            return None
        if slots <= self.slots or not start_seconds:
            return self._drain(work, slots, slots)
        until_then = self.slots if meanwhile is None else meanwhile
        as_now = self._drain(work, until_then, until_then) if until_then else None
        if as_now is not None and as_now <= start_seconds:
            return as_now
        rest = max(work + (self._growth - until_then * self._pace) * start_seconds, 0.0)
        then = self._drain(rest, slots, until_then)
        return then if then is None else start_seconds + then

    @property
    def _pace(self) -> float:
        """Seconds of items that each slot does in a second, the idle ones included."""
        return self.speed * (self.used or 1.0)

    @property
    def _growth(self) -> float:
        """Seconds of items that come in a second, from producers that do not read a file."""
        return 0.0 if self.submitting else self.arrivals * self.seconds

    def _drain(self, work: float, slots: int, running: int) -> float | None:
        """Seconds for so much work with `slots`, of which `running` are somewhere in an item, and the others begin.

        The last items start when the others have left the slots; then the longest of them decides. Slots that begin
        together end equal items together: then a last round takes as long as the others.
        """
        mean = (self.work or self.left * self.seconds) / self.left
        pace = slots * self._pace - self._growth
        waiting = work - slots * max(1.0, self.speed) * mean
        last = max(mean, self.longest)
        if waiting <= 0:
            return last
        if pace <= 0:
            return None
        last_starts = waiting / pace
        rounds, rest = divmod(work / mean, slots)
        if rounds < ROUNDS and self.speed <= 1:
            part = min(1.0, rest / running) if running else 1.0
            if rest >= 1 and slots == running and last <= EQUAL * mean:
                part = 1.0
            last_starts = max(last_starts, (rounds + part - 1) * mean)
        return last_starts + last
