"""Which subscriptions are gone: what a watcher concludes from its looks. It needs no server."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

#: Seconds for which a subscription is gone before its process counts as dead.
GONE_SECONDS = 0.5
#: The same where only the server has seen the subscription, and not this watcher: whatever cut all connections may have
#: cut it too, and its process may be about to connect again.
UNSEEN_SECONDS = 2.0
#: When more than this many, and more than this share of all, go within a second, the leases decide: a network or a
#: server does that, and processes that die together are rare.
STORM_MOST, STORM_SHARE, STORM_SECONDS = 2, 0.25, 1.0
#: After so many seconds without a look nobody knows what was missing meanwhile: absences begin anew.
BLIND_SECONDS = 1.0


class Absence(NamedTuple):
    """A subscription that is missed: `due` (monotonic seconds) is when its process counts as dead.

    `since` is when a look first missed it, in ms of the server's time.
    """

    due: float
    since: int


class Absences:
    """The looks of one watcher over one connection, as far as they matter."""

    def __init__(self) -> None:
        self._last_look = 0.0
        self.forget()

    def forget(self) -> None:
        """Begin anew: what the next look misses was never there."""
        #: Consumers whose subscription a look has seen, and whose absence, if any, still matters.
        self._fleet: set[str] = set()
        self._absences: dict[str, Absence] = {}
        #: Those of the fleet that only the server has seen.
        self._unseen: set[str] = set()
        #: Consumer -> when it was first missed, for those of the last second.
        self._departures: dict[str, float] = {}

    def trust(self, consumers: Iterable[str], *, lately: bool = False) -> None:
        """Take the server's word that these consumers have had a subscription on its present run.

        With `lately`, they had it while the watcher's connection stood: nothing has cut all connections since.
        """
        names = set(consumers)
        self._fleet |= names
        if not lately:
            self._unseen |= names

    def look(self, subscribers: Mapping[str, int], at: float, since: int) -> list[tuple[str, int]]:
        """Take in a look: consumer -> number of its subscriptions. Return who counts as dead, each with its `since`."""
        if at - self._last_look > BLIND_SECONDS:
            self._absences.clear()
            self._departures.clear()
        self._last_look = at
        for consumer, count in subscribers.items():
            if count:
                self._fleet.add(consumer)
                self._unseen.discard(consumer)
                self._absences.pop(consumer, None)
                self._departures.pop(consumer, None)
            elif consumer in self._fleet and consumer not in self._absences:
                seconds = UNSEEN_SECONDS if consumer in self._unseen else GONE_SECONDS
                self._absences[consumer] = Absence(at + seconds, since)
                self._departures[consumer] = at
        self._departures = {one: moment for one, moment in self._departures.items() if at - moment <= STORM_SECONDS}
        self._leave(self._fleet - subscribers.keys())
        if self._is_storm():
            self._leave(self._departures)
        # A hair less: a look that comes for this moment must not come a hair too early.
        return [(consumer, absence.since) for consumer, absence in self._absences.items() if at >= absence.due - 0.001]

    def _is_storm(self) -> bool:
        number, of = len(self._departures), len(self._fleet | self._departures.keys())
        return number > STORM_MOST and number > STORM_SHARE * of

    def _leave(self, consumers: "set[str] | dict[str, float]") -> None:
        """Leave consumers to their leases, until a look sees their subscriptions again."""
        for consumer in consumers:
            self._fleet.discard(consumer)
            self._absences.pop(consumer, None)

    def postpone(self, consumer: str, at: float, since: int) -> None:
        """Wait anew for a consumer that the server has heard of although its subscription is gone."""
        if consumer in self._absences:
            self._absences[consumer] = Absence(at + GONE_SECONDS, since)

    def until_next(self, at: float) -> float | None:
        """Seconds until the next consumer would count as dead; None while all subscriptions stand."""
        first = min((absence.due for absence in self._absences.values()), default=None)
        return None if first is None else max(0.0, first - at)
