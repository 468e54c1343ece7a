"""The schedules on the page Batches."""

from dataclasses import asdict
from typing import Any

from gristmill.batches.schedules import Schedules
from gristmill.fleet.overview import Observer

#: Schedules on the page, the oldest ones.
SCHEDULES_MOST = 100


def rows(observer: Observer) -> list[dict[str, Any]]:
    """The schedules as the page has them."""
    infos = Schedules(observer.fleet.client, observer.meters.settings).infos()
    return [asdict(info) for info in infos[:SCHEDULES_MOST]]
