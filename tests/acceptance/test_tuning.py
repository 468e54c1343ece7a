"""`up` without numbers: its io worker has as many slots as bring more items, and says why."""

import json
import re

import pytest

from tests.conftest import until
from tests.support.command import Place


def io_worker(place):
    rows = [json.loads(line) for line in place.run("workers", "--json").good().out.splitlines()]
    return next(row for row in rows if row["queue"] == "io")


@pytest.mark.slow
def test_items_that_wait_get_more_slots_and_a_number_stays(tmp_path):
    place = Place(tmp_path, GRISTMILL_LOG_LEVEL="info")
    waits = "\n".join(["0.2"] * 50_000)
    try:
        with place.up("io") as running:
            place.run("submit", "pause", "--from", "-", "--name", "waits", stdin=waits).good()
            row = until(lambda: (row := io_worker(place))["slots"] > 90 and row, 90, "more slots")
            # It has a reason, and the log has the numbers of the change.
            assert row["tuning"]
            assert re.search(r"\b64\b.*\b96\b", running.err)
            until(lambda: io_worker(place)["busy"] > 70, 30, "work in the new slots")
            place.run("cancel", "waits").good()
        with place.up("io", GRISTMILL_IO_SLOTS="64"):
            assert (io_worker(place)["slots"], io_worker(place)["tuning"]) == (64, "")
    finally:
        place.deserted()
