"""What `submit` refuses before it needs a server: the parameter, the value and the place are in the error."""

import re
from datetime import date
from enum import Enum
from typing import Annotated

import pytest
from pydantic import BeforeValidator

from gristmill import cpu, submit
from gristmill.config.names import checked_name
from gristmill.errors import InputError
from gristmill.producer.submission import automatic_name
from gristmill.tasks.schema import ItemError, Schema


class Odd(date):
    """A date that breaks the rules of its type, as NaT of pandas does."""

    def __eq__(self, other):
        raise TypeError("cannot compare")

    def __hash__(self):
        raise TypeError("cannot hash")

    @property
    def year(self):
        raise ValueError("has no year")

    def __repr__(self):
        return "Odd()"


class Colour(Enum):
    RED = "red"


def _check(value: object) -> None:
    if value == "type":
        raise TypeError("a check that fails")
    if value == "zero":
        1 / 0  # noqa: B018
    if value == "value":
        raise ValueError("not this one")


def _validate(value: object) -> object:
    return value["no such key"]  # type: ignore[index]


@cpu
def day_of(day: date) -> int:
    return day.toordinal()


@cpu(check=_check)
def checked(value: str) -> str:
    return value


@cpu
def anything(value: object) -> object:
    return value


@cpu
def validated(value: Annotated[dict, BeforeValidator(_validate)]) -> object:
    return value


@cpu
def two(first: int, last: int = 3) -> int:
    return first + last


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ((day_of, ["2026-01-31", "31.1.2026"]), ["item 1: ", "day: '31.1.2026'", "a date such as 2026-01-31"]),
        ((day_of, [date(2026, 1, 31), Odd(2026, 1, 31)]), ["item 1: ", "Odd()"]),
        ((day_of, [float("nan")]), ["item 0: ", "day: nan"]),
        ((checked, ["good", "type"]), ["item 1: ", "TypeError: a check that fails"]),
        ((checked, ["good", "zero"]), ["item 1: ", "ZeroDivisionError"]),
        ((checked, ["good", "value"]), ["item 1: not this one"]),
        ((anything, [1, 10**5000]), ["item 1: ", "4300 digits"]),
        ((anything, [1, [10**5000]]), ["item 1: ", "4300 digits"]),
        ((anything, [float("nan")]), ["item 0: ", "nan", "JSON"]),
        ((anything, [object()]), ["item 0: ", "object object", "JSON"]),
        ((anything, ["\ud800"]), ["item 0: ", "JSON"]),
        ((validated, [{"a": 1}]), ["item 0: ", "KeyError"]),
        ((two, [{"first": 1, "lost": 2}]), ["item 0: ", "first", "lost"]),
        ((two, [{"last": 1}]), ["item 0: ", "missing value for first"]),
        ((two, [None]), ["item 0: ", "first: None"]),
        ((two, []), ["items: no items"]),
        ((two,), ["items: None "]),
        ((two, 3), ["items: 3 "]),
        ((two, "12"), ["items: '12' "]),
        ((two, {"first": 1}), ["items: {'first': 1} "]),
        ((lambda n: n, [1]), ["task: <function", "@cpu or @io"]),
        ((print, [1]), ["task: <built-in function print>"]),
        ((None, [1]), ["task: None"]),
    ],
    ids=[f"case{n}" for n in range(23)],
)
def test_what_items_and_tasks_are_refused(arguments, parts):
    with pytest.raises(InputError) as refused:
        submit(*arguments)
    text = str(refused.value)
    assert [part for part in parts if part not in text] == []
    assert "\n" not in text


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"name": "a/b"}, ["name: 'a/b'"]),
        ({"name": 3}, ["name: 3"]),
        ({"set": {"lost": 1}}, ["'lost'", "first, last"]),
        ({"set": {"last": "x"}}, ["last: 'x'", "an integer"]),
        ({"set": "last=1"}, ["set: 'last=1'"]),
        ({"priority": 10}, ["priority: 10"]),
        ({"halt": 5}, ["halt: 5", "fail=5"]),
        ({"ttl": "1w"}, ["ttl: '1w'"]),
        ({"max_wait": "soon"}, ["max_wait: 'soon'"]),
        ({"queue": 3}, ["queue: 3"]),
        ({"queue": ""}, ["queue: ''"]),
    ],
    ids=str,
)
def test_what_options_are_refused(options, parts):
    with pytest.raises(InputError) as refused:
        submit(two, [1], **options)
    assert [part for part in parts if part not in str(refused.value)] == []


def test_a_value_that_json_cannot_carry_is_refused_after_its_annotation_took_it():
    def coloured(colour: Colour) -> None: ...

    assert Schema.of(coloured).item("red", {}, "colour") == '"red"'
    with pytest.raises(ItemError, match=r"colour: 'blue' .*one of 'red'|colour: 'blue' .*'red'"):
        Schema.of(coloured).item("blue", {}, "colour")


def test_generated_names_differ_also_where_a_service_submits_thousands_a_second(monkeypatch):
    monkeypatch.setattr("time.strftime", lambda *_: "20260131-235959")
    names = {automatic_name("my.tasks:fibonacci") for _ in range(20_000)}
    assert len(names) == 20_000
    longest = automatic_name("a" * 80)
    assert checked_name(longest) == longest
    assert all(re.fullmatch(r"my\.tasks-fibonacci-20260131-235959-[0-9a-f]{12}", name) for name in names)
