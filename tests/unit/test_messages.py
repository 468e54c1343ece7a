"""What a message says of itself before it is put: its time, its priority; what is not Celery's passes through."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from gristmill.broker.messages import AHEAD_SECONDS, level_of, seconds_on_server, wait_out

LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


@pytest.mark.parametrize("eta", ["tomorrow", 7, [], {}, True, "", None])
def test_a_header_that_is_no_time_of_celerys_passes_through(eta):
    assert seconds_on_server({"headers": {"eta": eta, "task": "x"}}) == 0.0


@pytest.mark.parametrize(
    "headers", [None, "text", 5, {}, {"eta": LATER}, {"eta": LATER, "task": None}, {"eta": LATER, "task": {}}]
)
def test_a_message_that_is_no_task_of_celerys_is_due(headers):
    assert seconds_on_server({"headers": headers}) == 0.0


@pytest.mark.parametrize("zone", [UTC, None])
@pytest.mark.parametrize("as_text", [True, False])
def test_a_task_is_due_at_its_time(zone, as_text):
    eta = (datetime.now(UTC) + timedelta(hours=1)).replace(tzinfo=zone)
    message = {"headers": {"task": "x", "eta": eta.isoformat() if as_text else eta}}
    assert 3590 < seconds_on_server(message) <= 3600
    assert message["headers"]["eta"], "the task sees its time"


def test_a_task_that_is_due_soon_waits_in_the_slot():
    eta = (datetime.now(UTC) + timedelta(seconds=AHEAD_SECONDS / 2)).isoformat()
    assert seconds_on_server({"headers": {"task": "x", "eta": eta}}) == 0.0
    wait_out(eta)
    assert datetime.now(UTC) >= datetime.fromisoformat(eta)


@pytest.mark.parametrize(
    ("eta", "least"),
    [(LATER, AHEAD_SECONDS), ("2020-01-01T00:00:00Z", 0), ("tomorrow", 0)],
    ids=["later", "past", "no time"],
)
def test_a_slot_whose_clock_differs_waits_no_longer_than_the_message_came_ahead(eta, least):
    since = time.monotonic()
    wait_out(eta)
    assert least <= time.monotonic() - since < least + 10


@pytest.mark.parametrize("eta", ["2020-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59"])
def test_a_task_of_the_past_is_due(eta):
    assert seconds_on_server({"headers": {"task": "x", "eta": eta}}) == 0.0


@pytest.mark.parametrize(
    ("priority", "level"), [(None, 0), (3, 3), ("4", 4), (-1, 0), (99, 9), ("urgent", 0), (float("inf"), 0), ([], 0)]
)
def test_a_priority_that_is_none_is_the_first(priority, level):
    assert level_of({"properties": {"priority": priority}}) == level
