"""The options of a batch: what `priority`, `halt`, `ttl` and `max_wait` take, and what an error names."""

import pytest

from gristmill.errors import InputError
from gristmill.producer.batch_options import BatchOptions, checked_halt, checked_max_wait
from gristmill.producer.item_states import item_states


@pytest.mark.parametrize("text", ["1", "10", "999999999999999", "10%", "0.5%", "100%", "99.999999%"])
def test_what_halt_takes(text):
    assert checked_halt(f"fail={text}") == text


@pytest.mark.parametrize(
    "share", ["", "0", "-1", "1.5", "0%", "0.0%", "100.1%", "%", "10 %", "ten", "1e3", "10%%", "٣"]
)
def test_what_a_share_is_not(share):
    with pytest.raises(InputError, match="halt: "):
        checked_halt(f"fail={share}")


@pytest.mark.parametrize("value", ["10", "10%", 10])
def test_halt_refuses_a_bare_number_and_names_the_form(value):
    with pytest.raises(InputError) as refused:
        checked_halt(value)
    assert f"did you mean fail={value}?" in str(refused.value)


@pytest.mark.parametrize("text", ["", "10", "10%", 10, None, "success=10"])
def test_what_halt_refuses(text):
    with pytest.raises(InputError) as refused:
        checked_halt(text)
    assert f"halt: {text!r} " in str(refused.value)
    assert "fail=N" in str(refused.value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1", 1),
        ("90s", 90),
        ("1.5m", 90),
        ("12h", 43_200),
        ("7d", 604_800),
        ("3650d", 315_360_000),
        (60, 60),
        (1.5, 1.5),
    ],
)
def test_what_durations_take(value, seconds):
    assert BatchOptions.of(ttl=value).ttl == seconds
    assert checked_max_wait(value) == seconds


@pytest.mark.parametrize("value", ["", "-1", "7 d", "1w", "3651d", "1h30m", "inf", "nan", -1, 1e12])
def test_what_durations_refuse(value):
    with pytest.raises(InputError) as refused:
        BatchOptions.of(ttl=value)
    assert f"ttl: {value!r} " in str(refused.value)
    with pytest.raises(InputError) as refused:
        checked_max_wait(value)
    assert f"max_wait: {value!r} " in str(refused.value)


def test_a_batch_is_kept_for_a_second_at_least_and_a_wait_may_be_none():
    assert checked_max_wait(0) == 0
    for value in (0, "0.5"):
        with pytest.raises(InputError, match="ttl: "):
            BatchOptions.of(ttl=value)


@pytest.mark.parametrize("priority", [-1, 10, 1.5, "5", True, None])
def test_what_priority_refuses(priority):
    with pytest.raises(InputError) as refused:
        BatchOptions.of(priority)
    assert f"priority: {priority!r} " in str(refused.value)


def test_options_as_the_batch_keeps_them():
    assert BatchOptions.of(3, "fail=10", "2h").fields() == {
        "priority": 3,
        "halt": "10",
        "ttl": 7_200_000,
        "keep_logs": "failed",
    }
    assert BatchOptions.of().fields() == {"priority": 5, "ttl": 604_800_000, "keep_logs": "failed"}


@pytest.mark.parametrize(
    ("state", "states"),
    [
        (None, set()),
        ("failed", {"failed"}),
        ("failed, dead", {"failed", "dead"}),
        (["cancelled", "succeeded"], {"cancelled", "succeeded"}),
    ],
)
def test_what_selects_results_by_state(state, states):
    assert item_states(state) == states


@pytest.mark.parametrize("state", ["", "running", "failed,", ["failed", "lost"], []])
def test_what_selects_nothing(state):
    with pytest.raises(InputError) as refused:
        item_states(state)
    assert f"state: {state!r} " in str(refused.value)
