"""The one grammar of durations, sizes and shares, and who reads it."""

import click
import pytest

from gristmill.cli.options.values import Duration
from gristmill.config.quantities import parse_duration, parse_rate, parse_share, parse_size, parse_width
from gristmill.config.settings import load
from gristmill.errors import SettingError


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("1.5m", 90),
        ("12h", 43_200),
        ("7d", 604_800),
        ("45", 45),
        ("0", 0),
        (2, 2),
        (0.5, 0.5),
    ],
)
def test_durations(value, seconds):
    assert parse_duration(value) == seconds


@pytest.mark.parametrize("value", ["", "s", "-1", "1w", "7 d", "1h30m", "1e3", "inf", "nan", "٣", "1S", -1, True])
def test_what_is_no_duration(value):
    with pytest.raises(ValueError, match="90s, 30m, 12h or 7d"):
        parse_duration(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_no_duration(value):
    with pytest.raises(ValueError, match="90s"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("value", "size"), [("512M", 512 << 20), ("4G", 4 << 30), ("1.5K", 1536), ("1T", 1 << 40), ("100", 100), (7, 7)]
)
def test_sizes(value, size):
    assert parse_size(value) == size


@pytest.mark.parametrize("value", ["", "M", "-1", "512m", "1 G", "4GB", "4GiB", "1e3", True])
def test_what_is_no_size(value):
    with pytest.raises(ValueError, match="512M or 4G"):
        parse_size(value)


@pytest.mark.parametrize(("value", "share"), [("10%", 0.1), ("0.5%", 0.005), ("100%", 1.0)])
def test_shares(value, share):
    assert parse_share(value) == pytest.approx(share)


@pytest.mark.parametrize("value", ["", "%", "0%", "100.1%", "10", "10 %", "-1%", "1e1%", "ten%"])
def test_what_is_no_share(value):
    with pytest.raises(ValueError, match="10%"):
        parse_share(value)


def test_settings_take_durations_and_sizes():
    environ = {
        "GRISTMILL_DRAIN_SECONDS": "2m",
        "GRISTMILL_TTL_SECONDS": "3600",
        "GRISTMILL_TIME_LIMIT": "0",
        "GRISTMILL_SLOT_MEMORY": "512M",
        "GRISTMILL_FETCH_BYTES": "1000",
    }
    settings = load(environ)
    assert (settings.drain_seconds, settings.ttl_seconds, settings.time_limit) == (120, 3600, 0)
    assert (settings.slot_memory, settings.fetch_bytes) == (512 << 20, 1000)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("DRAIN_SECONDS", "soon"), ("DRAIN_SECONDS", "2h"), ("LEASE_SECONDS", "1s"), ("SLOT_MEMORY", "much")],
)
def test_settings_refuse_what_is_none(setting, value):
    with pytest.raises(SettingError) as error:
        load({f"GRISTMILL_{setting}": value})
    assert f"GRISTMILL_{setting}" in str(error.value)


@pytest.mark.parametrize(
    ("value", "slots", "width"),
    [
        ("8", 2, 8),
        ("50%", 5, 2),
        ("50%", 1, 1),
        ("200%", 3, 6),
        ("0.1%", 8, 1),
        ("+0", 4, 4),
        ("+2", 4, 6),
        ("+0", 0, 1),
    ],
)
def test_widths(value, slots, width):
    assert parse_width(value, slots) == width


@pytest.mark.parametrize("value", ["", "0", "-1", "+", "+-1", "%", "0%", "1.5", "8 ", "٣", "1e3%", "99999999"])
def test_what_is_no_width(value):
    with pytest.raises(ValueError, match=r"8, .* 50%, .* \+2"):
        parse_width(value, 4)


@pytest.mark.parametrize(
    ("value", "rate"), [("10/s", 10), ("600/m", 10), ("1/h", 1 / 3600), ("1000000/s", 1e6), ("3600/h", 1)]
)
def test_rates(value, rate):
    assert parse_rate(value) == rate


@pytest.mark.parametrize("value", ["", "10", "/s", "0/s", "-1/s", "1.5/s", "10/d", "10/S", "10 /s", "1000001/s", "٣/s"])
def test_what_is_no_rate(value):
    with pytest.raises(ValueError, match="10/s, 600/m or 1000/h"):
        parse_rate(value)


def test_a_bound_of_a_duration_is_a_number_that_people_read():
    with pytest.raises(click.BadParameter, match="315,360,000"):
        Duration(1).convert("0s", None, None)
