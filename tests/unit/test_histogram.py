"""Histograms of durations, and what the charts make of buckets."""

import random
from collections import Counter

import pytest

from gristmill.batches.histogram import FIRST, LAST, bound, bucket, encode, from_coarse, quantile
from gristmill.dashboard.history import RANGES, History
from gristmill.fleet.meters import Bucket, Series


@pytest.mark.parametrize("seconds", [1e-5, 0.0099, 0.01, 0.25, 1.0, 1.0001, 59.0, 86_400.0])
def test_a_bucket_holds_what_is_within_its_bounds(seconds):
    number = bucket(seconds)
    assert bound(number - 1) < seconds * 1.0000001
    assert seconds <= bound(number) * 1.0000001


def test_what_is_out_of_range_goes_to_the_ends():
    assert [bucket(seconds) for seconds in (-1.0, 0.0, 1e-9, 1e9)] == [FIRST, FIRST, FIRST, LAST]


def test_what_is_sent_names_each_bucket_once():
    assert encode([1.0, 1.0, 0.1]) == "-10:1,0:2"
    assert encode([]) == ""


def test_each_duration_is_counted_in_its_bucket():
    dice = random.Random(5)
    times = [-1.0, 0.0, 1e9, *(dice.lognormvariate(-6, 6) for _ in range(2_000)), *map(bound, range(FIRST, LAST))]
    counted = {
        int(number): int(count) for number, _, count in (part.partition(":") for part in encode(times).split(","))
    }
    assert counted == Counter(map(bucket, times))


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_quantiles_are_off_by_less_than_a_bucket(share):
    dice = random.Random(7)
    times = sorted(dice.lognormvariate(-3, 1.5) for _ in range(5_000))
    true = times[int(share * len(times))]
    assert quantile(Counter(map(bucket, times)), share) == pytest.approx(true, rel=0.12)


def test_a_coarse_histogram_keeps_its_items_and_its_bounds():
    fine = from_coarse({-5: 3, 0: 1, 2: 4})
    assert fine == {-11: 1, -10: 2, 0: 1, 3: 2, 4: 2}
    assert bound(4) == pytest.approx(10 ** (2 / 5))


def test_what_an_earlier_version_counted_counts():
    counted = Bucket.from_fields(
        {"t|cpu|r0|t": "2", "t|cpu|R0|t": "1", "t|cpu|w1|t": "1", "t|cpu|a|t": "5", "t|cpu|d|t": "7"}
    )
    count = counted.tasks[Series("cpu", "t")]
    assert (count.runs, count.waits) == ({-1: 1, 0: 2}, {2: 1})
    assert (count.retries, count.duplicates) == (5, 7)


def test_there_is_no_quantile_of_nothing():
    assert quantile({}, 0.5) is None


class _Meters:
    """Buckets as the server would answer them, and how many were asked for."""

    def __init__(self, buckets):
        self.buckets, self.asked = buckets, []

    def read(self, width, starts):
        self.asked += starts
        return [self.buckets.get((width, start), Bucket()) for start in starts]


def fields(succeeded, failed=0, left=0, samples=1):
    made = {"t|cpu|s|square": succeeded, "t|cpu|f|square": failed, "t|cpu|R-10|square": succeeded + failed}
    return Bucket.from_fields({**made, "q|left|cpu": left * samples, "n": samples})


def test_a_chart_has_a_number_for_each_second_and_reads_it_once():
    meters = _Meters({(1, 1000): fields(40, 10, left=7), (1, 1001): fields(20)})
    history = History(meters)
    view = history.view("live", 1002.5)
    assert (view["first"], view["number"], view["width"]) == (1002 - 300, 300, 1)
    cpu = view["queues"]["cpu"]
    # Of what nobody sampled, nobody knows that it was 0.
    assert cpu["succeeded"][-3:] == [None, 40.0, 20.0]
    assert cpu["failed"][-2:] == [10.0, 0.0]
    assert cpu["left"][-3:] == [None, 7.0, 0.0]
    assert cpu["run"][0][-3:] == [None, pytest.approx(0.0895, rel=0.01), pytest.approx(0.0895, rel=0.01)]
    assert view["tasks"]["square on cpu"]["succeeded"][-1] == 20.0
    meters.asked.clear()
    history.view("live", 1003.5)
    # The last seconds may still change: those are asked for again.
    assert meters.asked == [999, 1000, 1001, 1002]


def test_what_has_no_colour_left_is_drawn_together():
    bucket = {f"t|cpu|s|task-{number}": str(number + 1) for number in range(9)}
    bucket |= {f"h|cpu|host-{number}": str(10 * number) for number in range(9)}
    bucket |= {f"h|{what}|host-{number}": "100" for number in range(9) for what in ("used", "memory")}
    view = History(_Meters({(1, 1000): Bucket.from_fields(bucket)})).view("live", 1001.5)
    assert list(view["tasks"]) == [*(f"task-{number} on cpu" for number in range(3, 9)), "3 other tasks"]
    assert view["tasks"]["3 other tasks"]["succeeded"][-1] == 1 + 2 + 3
    assert list(view["hosts"]) == [*(f"host-{number}" for number in range(6)), "mean of 3 others"]
    assert view["hosts"]["mean of 3 others"]["cpu"][-1] == 70


def test_seven_have_a_line_each_and_the_live_hosts_come_first():
    old = {f"h|{what}|old-{number}": "50" for number in range(7) for what in ("cpu", "used", "memory")}
    new = {f"h|{what}|new": "50" for what in ("cpu", "used", "memory")}
    assert len(History(_Meters({(1, 1000): Bucket.from_fields(old)})).view("live", 1001.5)["hosts"]) == 7
    both = _Meters({(1, 999): Bucket.from_fields(old), (1, 1000): Bucket.from_fields(new)})
    hosts = History(both).view("live", 1001.5)["hosts"]
    assert list(hosts) == ["new", *(f"old-{number}" for number in range(5)), "mean of 2 others"]


@pytest.mark.parametrize(("late", "between"), [(2, 0.0), (4, 0.0), (5, None), (60, None)])
def test_a_gap_is_one_when_it_is_longer_than_somebody_is_late(late, between):
    meters = _Meters({(1, 1000): fields(40), (1, 1001 + late): fields(20)})
    line = History(meters).view("live", 1002.5 + late)["queues"]["cpu"]["succeeded"]
    assert line[-2 - late :] == [40.0, *[between] * late, 20.0]
    assert line[: -2 - late] == [None] * (298 - late)


def test_a_stretch_that_is_not_over_counts_by_the_seconds_it_has():
    view = History(_Meters({(10, 1000): fields(60)})).view("1h", 1006.0)
    assert view["queues"]["cpu"]["succeeded"][-1] == 10.0
    assert History(_Meters({(10, 1000): fields(60)})).view("1h", 1001.0)["first"] == 1000 - 360 * 10


def test_samples_are_means():
    found = Bucket.from_fields({"q|left|io": "30", "q|oldest|io": "9000", "h|cpu|a": "150", "n": "3"})
    assert found.queues == {"io": {"left": 10.0, "oldest": 3.0}}
    assert found.hosts == {"a": {"cpu": 50.0}}


def test_names_of_tasks_may_hold_anything():
    found = Bucket.from_fields({"t|cpu|s|a|b|c": "2"})
    assert found.tasks[Series("cpu", "a|b|c")].succeeded == 2


def test_every_range_has_buckets_that_are_kept_long_enough():
    from gristmill.fleet.meters import WIDTHS

    assert dict(RANGES.values()) == WIDTHS
