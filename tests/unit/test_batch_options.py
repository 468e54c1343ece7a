"""The options of a batch: what `priority`, `halt`, `ttl` and `max_wait` take, and what an error names."""

import pytest

from gristmill.errors import InputError
from gristmill.producer.batch_options import BatchOptions
from gristmill.producer.halt import checked_halt
from gristmill.producer.item_states import item_states
from gristmill.producer.labels import parse_label
from gristmill.producer.watching import deadline_of


@pytest.mark.parametrize("text", ["1", "10", "999999999999999", "10%", "0.5%", "100%", "99.999999%"])
@pytest.mark.parametrize("why", ["fail", "success"])
def test_what_halt_takes(why, text):
    assert checked_halt(f"{why}={text}") == checked_halt(f"soon,{why}={text}") == f"{why}={text}"
    assert checked_halt(f"now,{why}={text}") == f"now,{why}={text}"


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


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "10%",
        10,
        None,
        "done=10",
        "never",
        "later,fail=1",
        "now",
        "now,10",
        "fail=1,fail=2",
        "now,soon,fail=1",
    ],
)
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
    assert deadline_of(value).seconds == seconds


@pytest.mark.parametrize("value", ["", "-1", "7 d", "1w", "3651d", "1h30m", "inf", "nan", -1, 1e12])
def test_what_durations_refuse(value):
    with pytest.raises(InputError) as refused:
        BatchOptions.of(ttl=value)
    assert f"ttl: {value!r} " in str(refused.value)
    with pytest.raises(InputError) as refused:
        deadline_of(value)
    assert f"max_wait: {value!r} " in str(refused.value)


def test_a_batch_is_kept_for_a_second_at_least_and_a_wait_may_be_none():
    assert deadline_of(0).seconds == 0
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
        "halt": "fail=10",
        "ttl": 7_200_000,
        "keep_logs": "failed",
    }
    assert BatchOptions.of().fields() == {"priority": 5, "ttl": 604_800_000, "keep_logs": "failed"}


def test_what_a_batch_says_of_its_items_stands_beside_what_its_task_says():
    fields = BatchOptions.of(retries=0, time_limit="1.5m", max_running=8, rate="10/s").fields()
    assert [fields[name] for name in ("retries", "time_limit", "max_running", "rate")] == [0, 90, "8", "10/s"]
    assert "retries" not in BatchOptions.of().fields()


@pytest.mark.parametrize(
    ("name", "value"),
    [("retries", -1), ("retries", 1001), ("retries", 1.5), ("retries", "2"), ("retries", True)]
    + [("time_limit", value) for value in ("", "-1", "soon", -1, "3651d")]
    + [("max_running", value) for value in (0, "0", -1, "+", "%", "0%", "-50%", "1.5", True, "8 ", "all", 10**8)]
    + [("rate", value) for value in (10, "10", "0/s", "1.5/s", "10/d", "", "10/s ")]
    + [("output_dir", ""), ("output_dir", "../beside"), ("output_dir", "a\0b")],
)
def test_what_limits_refuse(name, value):
    with pytest.raises(InputError) as refused:
        BatchOptions.of(**{name: value})
    assert f"{name}: {value!r} " in str(refused.value)


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


class TestLabels:
    def test_they_are_kept_as_json_by_key(self):
        options = BatchOptions.of(labels={"team": "maps", "env": "prod"})
        assert options.fields()["labels"] == '{"env": "prod", "team": "maps"}'
        assert "labels" not in BatchOptions.of(labels={}).fields()

    @pytest.mark.parametrize("labels", [{"": "x"}, {"a": ""}, {"a b": "x"}, {"a": 1}, {"a": "x" * 65}, ["a"]])
    def test_what_is_no_label(self, labels):
        with pytest.raises(InputError, match="invalid value for label"):
            BatchOptions.of(labels=labels)

    @pytest.mark.parametrize("text", ["", "team", "=maps", "team=", "team=a=b", "team=ma ps"])
    def test_what_is_no_label_of_a_command(self, text):
        with pytest.raises(InputError, match="invalid value for label"):
            parse_label(text)

    def test_a_label_of_a_command(self):
        assert parse_label("team=maps/eu-1.2_x") == ("team", "maps/eu-1.2_x")
