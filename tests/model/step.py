"""One step of an exploration."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.model.product import Product
from tests.model.world import Actors, Worker

Act = Callable[[Product], Actors]
WorkerAct = Callable[[Product, Worker], Worker]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its words, what it does, and whether it is a fault.

    `run` calls the product and answers the actors after it; a step without it calls nothing, and `after` are its
    actors. `lost` are the actors when the answer of the call is lost: what they know is what they knew before.
    """

    words: str
    run: Act | None
    fault: bool = False
    after: Actors | None = None
    lost: Actors | None = None
