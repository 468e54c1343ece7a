"""A queue at one moment, and how long its items will take with so many slots."""

from dataclasses import dataclass

Times = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class QueueNow:
    """A queue at this moment.

    `left` counts the items without an outcome, but for the `paused` ones, which are in paused batches. `oldest` is the
    age in seconds of the oldest item left. `rate`, `failing` and `arrivals` are items per second: with an outcome,
    failed, and stored. `seconds` is the mean run time of an item, `used` the share (0 to 1) of the slots that was busy,
    and `speed` how many seconds of items a busy slot does in a second: fewer than 1 where items are so short that
    taking and recording them counts, more where a slot runs several items of an async task at once. `work` is how many
    seconds the items left take together, 0 where their batches do not tell. `longest` is the run time that the longest
    of the last items will have, and `ends` in how many seconds those that run will all have ended: None while nothing
    tells that. Limits of batches and tasks hold `held` of the items left back; `hold` says which, and `held_seconds`
    for how long, None where nobody knows. The number of slots has been the same for `steady` seconds.
    `wait` and `run` are the quantiles 0.5, 0.95 and 0.99 of the last minute in seconds. `submitting` says that a
    producer is still adding items. `kind` is that of its tasks, empty where neither a worker nor a batch shows it.
    """

    name: str
    left: int = 0
    paused: int = 0
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
    held: int = 0
    hold: str = ""
    held_seconds: float | None = None
    steady: float = 3600.0

    @property
    def drain(self) -> float | None:
        """Seconds until no item is left, at this rate; None while the rate is 0."""
        return 0.0 if not self.left else self.left / self.rate if self.rate > 0 else None

    def drain_with(self, slots: int, start_seconds: float = 0.0) -> float | None:
        """Seconds until no item is left with `slots`, of which the new ones run `start_seconds` from now on.

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
        as_now = self._drain(work, self.slots) if self.slots else None
        if slots <= self.slots or not start_seconds:
            return self._drain(work, slots)
        if as_now is not None and as_now <= start_seconds:
            return as_now
        meanwhile = (self._growth - self.slots * self._pace) * start_seconds
        then = self._drain(max(work + meanwhile, 0.0), slots)
        if then is None or as_now is None:
            return then if then is None else start_seconds + then
        return min(as_now, start_seconds + then)

    @property
    def _pace(self) -> float:
        """Seconds of items that each slot does in a second, the idle ones included."""
        return self.speed * (self.used or 1.0)

    @property
    def _growth(self) -> float:
        """Seconds of items that come in a second, from producers that do not read a file."""
        return 0.0 if self.submitting else self.arrivals * self.seconds

    def _drain(self, work: float, slots: int) -> float | None:
        """The last items start when the others have left the slots; then the longest of them decides."""
        mean = work / self.left
        pace = slots * self._pace - self._growth
        at_once = min(self.left, slots * max(1.0, self.speed))
        waiting = work - at_once * mean
        last = max(mean, self.longest)
        if waiting <= 0:
            return last
        return waiting / pace + last if pace > 0 else None
