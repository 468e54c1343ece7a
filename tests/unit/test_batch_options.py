"""The terms of a batch: what `--priority`, `--halt` and `--ttl` take."""

import pytest

from gristmill.errors import InputError
from gristmill.producer.batch_options import BatchOptions, checked_halt, seconds


@pytest.mark.parametrize("text", ["1", "10", "999999999999999", "10%", "0.5%", "100%", "99.999999%"])
def test_what_halt_takes(text):
    assert checked_halt(text) == text


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "0%", "0.0%", "100.1%", "%", "10 %", "ten", "1e3", "10%%", "٣"])
def test_what_halt_refuses(text):
    with pytest.raises(InputError, match=r"--halt .* is not allowed: a number of items from 1 on"):
        checked_halt(text)


@pytest.mark.parametrize(
    ("given", "kept"),
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
def test_what_ttl_takes(given, kept):
    assert seconds(given) == kept


@pytest.mark.parametrize("given", ["", "0", "0.5", "-1", "7 d", "1w", "3651d", "1h30m", "inf", "nan", 0, -1, 1e12])
def test_what_ttl_refuses(given):
    with pytest.raises(InputError, match=r"--ttl .* is not allowed: seconds, or a time such as 90s"):
        seconds(given)


@pytest.mark.parametrize("priority", [-1, 10])
def test_what_priority_refuses(priority):
    with pytest.raises(InputError, match=f"--priority {priority} is not allowed: 0 "):
        BatchOptions.of(priority)


def test_terms_as_the_batch_keeps_them():
    assert BatchOptions.of(3, 10, "2h").fields() == {"priority": 3, "halt": "10", "ttl": 7_200_000}
    assert BatchOptions.of().fields() == {"priority": 5, "ttl": 604_800_000}
