"""The times of schedules: at changes of the clocks, at the ends of months, and what is no time."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from gristmill.batches.timetable import Timetable, checked_every, checked_timezone, run_name
from gristmill.errors import InputError
from gristmill.producer.schedule import ScheduleOptions, local_timezone
from gristmill.producer.start_time import StartTime

BERLIN = "Europe/Berlin"


def ms(text):
    return round(1000 * datetime.fromisoformat(text).timestamp())


def times(expression, after, count, zone=BERLIN):
    """The next times, in UTC."""
    table, at, moments = Timetable.of_cron(expression, zone), ms(after), []
    for _ in range(count):
        at = table.next_after(at)
        moments.append(f"{datetime.fromtimestamp(at / 1000, UTC):%m-%d %H:%M}")
    return moments


class TestCron:
    @pytest.mark.parametrize(
        ("expression", "after", "expected"),
        [
            # The clocks go from 02:00 to 03:00 on 29 March 2026: 02:30 is skipped, and due right after.
            ("30 2 * * *", "2026-03-28T00:00Z", ["03-28 01:30", "03-29 01:00", "03-30 00:30"]),
            # What goes by the hour goes on by the hour.
            ("30 * * * *", "2026-03-29T00:00Z", ["03-29 00:30", "03-29 01:30", "03-29 02:30"]),
            # They go from 03:00 back to 02:00 on 25 October 2026: 02:30 comes twice, and is due once.
            ("30 2 * * *", "2026-10-24T12:00Z", ["10-25 00:30", "10-26 01:30"]),
            ("30 * * * *", "2026-10-24T23:45Z", ["10-25 00:30", "10-25 01:30", "10-25 02:30"]),
            ("*/20 * * * *", "2026-10-25T00:30Z", ["10-25 00:40", "10-25 01:00", "10-25 01:20", "10-25 01:40"]),
            ("0 0 31 * *", "2026-01-31T12:00Z", ["03-30 22:00", "05-30 22:00", "07-30 22:00"]),
            ("0 12 L * *", "2026-01-01T00:00Z", ["01-31 11:00", "02-28 11:00", "03-31 10:00"]),
            ("0 12 29 2 *", "2026-01-01T00:00Z", ["02-29 11:00", "02-29 11:00"]),
            ("0 9 * * mon-fri", "2026-01-30T12:00Z", ["02-02 08:00", "02-03 08:00"]),
        ],
    )
    def test_next_times(self, expression, after, expected):
        assert times(expression, after, len(expected)) == expected

    @pytest.mark.parametrize(
        "start", ["2026-10-25T00:29Z", "2026-10-25T00:31Z", "2026-10-25T01:10Z", "2026-10-25T01:31Z"]
    )
    @pytest.mark.parametrize("expression", ["30 2 * * *", "15,45 2 * * *", "30 * * * *", "*/7 * * * *", "0 3 * * *"])
    def test_time_never_goes_back(self, expression, start):
        table, moments = Timetable.of_cron(expression, BERLIN), [ms(start)]
        for _ in range(30):
            moments.append(table.next_after(moments[-1]))
        assert all(before < after for before, after in pairwise(moments))

    @pytest.mark.parametrize("zone", ["America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
    def test_a_daily_time_comes_once_on_each_day_of_a_year(self, zone):
        table, at = Timetable.of_cron("15 2 * * *", zone), ms("2026-01-01T12:00Z")
        days = 0
        while (at := table.next_after(at)) < ms("2027-01-01T12:00Z"):
            days += 1
        assert days == 365

    @pytest.mark.parametrize(
        "text", ["", "* * * *", "* * * * * *", "60 * * * *", "0 0 30 2 *", "a b c d e", "@daily", "*/0 * * * *"]
    )
    def test_what_is_no_expression(self, text):
        with pytest.raises(InputError, match="invalid value for cron"):
            Timetable.of_cron(text)

    @pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../etc/passwd", "/etc/localtime", "mars"])
    def test_what_is_no_zone(self, zone):
        with pytest.raises(InputError, match="invalid value for tz"):
            checked_timezone(zone)

    def test_this_host_has_a_zone(self):
        assert checked_timezone(local_timezone())


class TestEvery:
    def test_it_keeps_to_its_grid(self):
        table = Timetable.of_every("90s", 1_000_500)
        assert [table.next_after(at) for at in (0, 1_000_499, 1_000_500, 1_090_499, 1_090_500, 5_000_000)] == [
            10_500,
            1_000_500,
            1_090_500,
            1_090_500,
            1_180_500,
            5_050_500,
        ]

    @pytest.mark.parametrize("text", ["0", "0.5s", "-1", "soon", "3651d"])
    def test_what_is_no_interval(self, text):
        with pytest.raises(InputError, match="invalid value for every"):
            checked_every(text)


@pytest.mark.parametrize(
    "table", [Timetable.of_cron(" 5  4 * *  sun ", BERLIN), Timetable.of_every(1.5, 7), Timetable.of_every("3650d", 0)]
)
def test_text_stands_for_the_times(table):
    assert Timetable.of_text(table.text, table.timezone, str(table.start)) == table


def test_names_of_runs():
    assert run_name("nightly", ms("2026-01-31T01:30:05.9Z")) == "nightly-20260131-013005"


class TestOptions:
    def test_defaults(self):
        options = ScheduleOptions.of("0 2 * * *", tz=BERLIN)
        assert (options.cron.timezone, options.missed, options.overlap) == (BERLIN, "once", "skip")

    @pytest.mark.parametrize(
        "words",
        [
            {},
            {"cron": "0 2 * * *", "every": 60},
            {"every": 60, "tz": "UTC"},
            {"every": 60, "missed": "twice"},
            {"every": 60, "overlap": "once"},
        ],
    )
    def test_what_does_not_go_together(self, words):
        with pytest.raises(InputError):
            ScheduleOptions.of(**words)


class TestStartTime:
    def test_text_with_and_without_an_offset(self):
        moment = StartTime.of("2026-06-01T02:30", BERLIN).moment
        assert moment == StartTime.of("2026-06-01 02:30+02:00").moment == datetime(2026, 6, 1, 0, 30, tzinfo=UTC)
        assert StartTime.of(datetime(2026, 6, 1, 0, 30, tzinfo=UTC)).moment == moment

    def test_a_time_of_day_is_the_next_one(self):
        moment = StartTime.of("04:05", "UTC").moment.astimezone(UTC)
        assert (moment.hour, moment.minute) == (4, 5)
        assert 0 < (moment - datetime.now(UTC)).total_seconds() <= 86_400

    @pytest.mark.parametrize("text", ["", "tomorrow", "25:00", "2026-13-01T00:00", "2026-01-01", 5])
    def test_what_is_no_time(self, text):
        with pytest.raises(InputError, match="invalid value for at"):
            StartTime.of(text)
