"""Which batches a list shows, and what the address of the page Batches may ask for."""

import pytest

from gristmill.batches.info import BatchInfo, State
from gristmill.batches.selection import Selection, checked_states
from gristmill.dashboard.batch_list import PAGE, SORTS, BatchQuery
from gristmill.errors import InputError

FIELDS = {"task": "fetch", "submitted_by": "Ada@laptop", "created": "1000", "queue": "io", "labels": '{"team":"maps"}'}
INFO = BatchInfo.from_fields("nightly-7", FIELDS)


@pytest.mark.parametrize(
    "selection",
    [
        {},
        {"states": {"submitting"}},
        {"states": {"submitting", "failed"}},
        {"task": "fetch"},
        {"labels": {"team": "maps"}},
        {"submitted_by": "ada@"},
        {"text": "NIGHT"},
        {"text": "team=ma"},
        {"text": "fet"},
    ],
)
def test_a_batch_that_has_it_is_shown(selection):
    assert Selection(**selection).has(INFO)
    assert bool(Selection(**selection)) is bool(selection)


@pytest.mark.parametrize(
    "selection",
    [
        {"states": {"failed"}},
        {"task": "fetc"},
        {"labels": {"team": "ads"}},
        {"submitted_by": "grace"},
        {"text": "daily"},
    ],
)
def test_one_that_lacks_it_is_not(selection):
    assert not Selection(**selection).has(INFO)


def test_all_parts_have_to_fit():
    assert not Selection(task="fetch", submitted_by="grace").has(INFO)


def test_states_are_checked():
    assert checked_states("open,running") == {State.OPEN, State.RUNNING}
    with pytest.raises(InputError):
        checked_states("open,closed")


def test_an_address_says_what_to_show():
    arguments = {"state": ["open,running"], "label": ["team=maps", "a=b"], "sort": ["-failed"], "page": ["3"]}
    query = BatchQuery.of({**arguments, "text": [" x "], "submitted_by": ["ada"], "task": ["fetch"]})
    assert query.selection == Selection({"open", "running"}, "fetch", {"team": "maps", "a": "b"}, "ada", "x")
    assert (query.order, query.ascending, query.first) == ("failed", False, 2 * PAGE)
    assert BatchQuery.of({}) == BatchQuery(Selection())
    assert BatchQuery.of({"sort": ["name"]}).ascending


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("page", value) for value in ("0", "-1", "x", "1.5", "٣", "99999999999")],
        *[("sort", value) for value in ("", "-", "weight", "--name")],
        *[("label", value) for value in ("team", "=maps", "team=")],
        ("state", "closed"),
    ],
)
def test_nonsense_is_refused_and_named(name, value):
    with pytest.raises(InputError) as refusal:
        BatchQuery.of({name: [value]})
    assert name in str(refusal.value)


def test_every_order_of_the_menu_is_one():
    for sort, _ in SORTS:
        assert BatchQuery.of({"sort": [sort]})
