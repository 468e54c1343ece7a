"""The options of a batch: what `--priority`, `--halt` and `--ttl` take."""

import pytest

from gristmill.errors import InputError
from gristmill.producer.batch_options import BatchOptions, checked_halt, checked_ttl


@pytest.mark.parametrize("limit", ["1", "10", "999999999999999", "10%", "0.5%", "100%", "99.999999%"])
def test_what_halt_takes(limit):
    assert checked_halt(f"fail={limit}") == limit


@pytest.mark.parametrize(
    "limit", ["", "0", "-1", "1.5", "0%", "0.0%", "100.1%", "%", "10 %", "ten", "1e3", "10%%", "٣"]
)
def test_what_halt_refuses(limit):
    with pytest.raises(InputError) as error:
        checked_halt(f"fail={limit}")
    assert f"halt: 'fail={limit}'" in str(error.value)


@pytest.mark.parametrize("value", ["10", "10%", 10])
def test_halt_refuses_a_bare_number_and_names_the_form(value):
    with pytest.raises(InputError) as error:
        checked_halt(value)
    assert f"did you mean fail={value}?" in str(error.value)


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
def test_what_ttl_takes(value, seconds):
    assert checked_ttl(value) == seconds


@pytest.mark.parametrize("value", ["", "0", "0.5", "-1", "7 d", "1w", "3651d", "1h30m", "inf", "nan", 0, -1, 1e12])
def test_what_ttl_refuses(value):
    with pytest.raises(InputError) as error:
        checked_ttl(value)
    assert f"ttl: {str(value)!r}" in str(error.value)


@pytest.mark.parametrize("priority", [-1, 10])
def test_what_priority_refuses(priority):
    with pytest.raises(InputError) as error:
        BatchOptions.of(priority)
    assert f"priority: {priority} " in str(error.value)


def test_options_as_the_batch_keeps_them():
    assert BatchOptions.of(3, "fail=10", "2h").fields() == {"priority": 3, "halt": "10", "ttl": 7_200_000}
    assert BatchOptions.of().fields() == {"priority": 5, "ttl": 604_800_000}
