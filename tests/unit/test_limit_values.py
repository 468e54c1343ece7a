"""By what limits know an item, and the limits of tasks."""

import json

import pytest

from gristmill import cpu, io
from gristmill.batches.chunk import Chunk, Item, Work
from gristmill.batches.info import BatchInfo
from gristmill.config.limits import UNLIMITED, Limits, rate_of
from gristmill.config.quantities import parse_rate
from gristmill.errors import InputError
from gristmill.producer.append_options import AppendOptions
from gristmill.producer.batch_options import BatchOptions
from gristmill.producer.items.checked import CheckedItems
from gristmill.producer.limiting import limit_values_of
from gristmill.producer.new_submission import new_submission
from gristmill.producer.schedule import ScheduleOptions
from gristmill.producer.values import source_of
from gristmill.tasks.fetch.task import fetch
from gristmill.tasks.limit_values import NO_VALUE, VALUE_CHARACTERS, LimitValues
from gristmill.tasks.program.task import program
from gristmill.tasks.remote import RemoteTask
from gristmill.worker.slot.told_values import told_values


@io(name="limited by a parameter", max_running=2, limit_by="customer")
def notify(customer: str, text: str = "hello", urgent: bool = False) -> None: ...


def region(customer: str) -> str:
    return customer.partition("-")[0]


@io(name="limited by a function", rate="10/s", limit_by=region)
def visit(customer: str) -> None: ...


def submission(task, options, **limits):
    """A batch, an append, a schedule, or a batch that takes the values of another one."""
    kinds = {name: option for name, option in options.items() if name != "from_batch"}
    all_options = BatchOptions.of(from_batch=options.get("from_batch"), **limits)
    return new_submission(task, source_of(["http://a.example"], has_one=False), name="b", options=all_options, **kinds)


def values(task, name, items, fixed=None, parameter=""):
    limits = LimitValues(task, name, fixed or {}, parameter)
    return [limits.of(json.loads(item)) for item in items]


class TestValues:
    def test_alike_where_the_argument_is(self):
        same = ['"a"', '{"customer": "a"}', '{"customer": "a", "text": "x"}']
        texts = values(notify, "customer", [*same, '"b"'], parameter="customer")
        assert len({*texts[:3]}) == 1
        assert texts[3] != texts[0]
        assert all(len(text) == VALUE_CHARACTERS and int(text, 16) >= 0 for text in texts)

    def test_of_what_is_set_and_of_defaults(self):
        assert len({*values(notify, "customer", ["{}", '{"text": "x"}'], {"customer": "a"})}) == 1
        plain, other = values(notify, "text", ['"a"', '{"customer": "a", "text": "x"}'], parameter="customer")
        assert plain != other
        assert values(notify, "urgent", ['{"customer": "a"}']) == values(notify, "urgent", ['{"customer": "b"}'])

    def test_of_what_the_task_derives(self):
        north, too, south = values(visit, "region", ['"n-1"', '"n-2"', '"s-1"'], parameter="customer")
        assert north == too != south

    def test_of_the_host_of_a_url(self):
        urls = ["http://a.example/1", "https://A.example:8443/2", "http://b.example/1"]
        one, same, other = values(fetch, "host", [f'"{url}"' for url in urls], parameter="url")
        assert one == same != other

    def test_of_a_column_of_a_programs_input(self):
        items = ['{"input": {"host": "a", "path": "1"}}', '{"input": {"host": "a", "path": "2"}}']
        assert len({*values(program, "host", items, {"command": {}}, "input")}) == 1
        with pytest.raises(InputError, match="'disk'"):
            values(program, "disk", items, {"command": {}}, "input")

    def test_a_name_that_no_item_has_is_refused(self):
        with pytest.raises(InputError, match=r"'town'.*customer, text, urgent"):
            LimitValues(notify, "town", {}, "customer")

    def test_what_the_function_raises_names_it(self):
        with pytest.raises(InputError, match="region"):
            values(visit, "region", ["7"], parameter="customer")


class TestOfATask:
    def test_they_are_announced(self):
        assert notify.limits == Limits("2", None, "customer")
        remote = RemoteTask.of("notify", notify.announcement)
        assert remote.limits == notify.limits
        assert values(remote, "customer", ['"a"'], parameter="customer") == values(
            notify, "customer", ['"a"'], parameter="customer"
        )

    @pytest.mark.parametrize(("task", "by_workers"), [(visit, True), (notify, False)], ids=["derived", "a parameter"])
    def test_without_the_module_workers_tell_what_is_derived(self, task, by_workers):
        remote = RemoteTask.of(task.name, task.announcement)
        items = CheckedItems(remote, source_of(["n-1"], has_one=False), {})
        assert (limit_values_of(remote, UNLIMITED, items) is None) is by_workers
        with pytest.raises(InputError, match="'town'"):
            limit_values_of(remote, Limits("1", None, "town"), items)

    def test_those_of_fetch_are_those_of_the_settings(self, monkeypatch):
        assert fetch.limits == Limits("4", "10/s", "host")

    @pytest.mark.parametrize(("limit_by", "name"), [("town", "town"), (lambda town: town, "town")])
    def test_a_name_that_is_no_parameter_is_refused(self, limit_by, name):
        with pytest.raises(TypeError, match=name):

            @cpu(name="limited by nothing", max_running=1, limit_by=limit_by)
            def nothing(customer: str) -> None: ...

    def test_the_value_of_a_limit_is_checked(self):
        for options in ({"max_running": 0}, {"rate": "10"}, {"limit_by": "customer"}):
            with pytest.raises(InputError, match=next(iter(options))):
                cpu(**options)


APPEND = {"append": AppendOptions.of()}
SCHEDULE = {"schedule": ScheduleOptions.of(every=60)}
TAKES = {"from_batch": "pages"}


class TestOfABatch:
    @pytest.mark.parametrize(
        "options", [{}, APPEND, SCHEDULE, TAKES], ids=["batch", "append", "schedule", "from a batch"]
    )
    def test_those_of_both_hold(self, options):
        assert submission(fetch, options)._fields()["task_limit_by"] == "host"
        assert submission(fetch, options, rate="1/s", limit_by="host")._fields()["limit_by"] == "host"

    def test_a_name_needs_a_limit(self):
        assert BatchOptions.of(rate="1/s", limit_by="host").limits == Limits(None, "1/s", "host")
        assert BatchOptions.of().limits == UNLIMITED
        with pytest.raises(InputError, match="limit_by"):
            BatchOptions.of(limit_by="host")

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({}, ""),
            ({"held_by": "rate", "rate": "10/s"}, "--rate 10/s"),
            ({"held_by": "max_running", "max_running": "2", "limit_by": "n"}, "--max-running 2 for each n"),
            ({"held_by": "task_rate", "task_rate": "1/s", "limit_by": "n"}, "its task's rate 1/s"),
            (
                {"held_by": "task_max_running", "task_max_running": "4", "task_limit_by": "host"},
                "its task's max_running 4 for each host",
            ),
        ],
    )
    def test_what_holds_it_in_words(self, fields, words):
        always = {"task": "t", "created": "0", "queue": "cpu", "submitted_by": "me"}
        assert BatchInfo.from_fields("b", {**always, **fields}).hold == words


@pytest.mark.parametrize("rate", [10, 0.5, 1 / 3600, 0.25, 2.5, 100_000])
def test_a_rate_is_written_as_it_is_read(rate):
    assert parse_rate(rate_of(rate)) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("parameter", "value", "tells"), [("customer", "eu-1", 1), ("customer", 3, 0), ("renamed", "x", 0)]
)
def test_an_item_whose_value_nobody_can_tell_has_none(parameter, value, tells):
    work = Work(Chunk("b", 1, 7, 1), visit.name, {}, parameter, 0, 1.0, [Item(7, value, 1)], limit_by="region")
    told = told_values(work, visit, 1.0, suspect=False)
    assert (len(told), told != NO_VALUE) == (VALUE_CHARACTERS, bool(tells))
