"""A task's annotations as its schema: what items may be, and what an error says."""

import json
from collections.abc import Mapping
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, BeforeValidator, Field
from typing_extensions import TypedDict

from gristmill.fleet.announcement import Announcement
from gristmill.tasks.remote import RemoteTask
from gristmill.tasks.schema import ItemError, Schema


def scale(path: str, width: Annotated[int, Field(ge=1, le=100)] = 10, fit: Literal["crop", "pad"] = "pad") -> None: ...


def power(base: Annotated[int, Field(ge=0, le=50)]) -> None: ...


def sized(options: dict[str, int]) -> None: ...


def pair(a: int, b: int) -> None: ...


def no_big_crop(width: int, fit: str, **_: object) -> None:
    if fit == "crop" and width > 50:
        raise ValueError("width: at most 50 with fit 'crop'")


@pytest.mark.parametrize(("given", "stored"), [("30", "30"), (" 30 ", "30"), (30, "30"), (30.0, "30"), ("0", "0")])
def test_a_bare_item_fills_the_one_required_parameter(given, stored):
    schema = Schema.of(power)
    assert schema.open_parameter({}) == "base"
    assert schema.item(given, {}, "base") == stored
    assert schema.arguments(json.loads(stored), {}, "base") == {"base": int(stored)}


@pytest.mark.parametrize("given", ["abc", "", "-1", "51", "3.5", None, [1], "1" * 5000])
def test_an_error_names_the_parameter_the_value_and_what_is_allowed(given):
    with pytest.raises(ItemError) as caught:
        Schema.of(power).item(given, {}, "base")
    text = str(caught.value)
    assert text.startswith("invalid value for base: ")
    assert repr(given)[:20] in text
    assert "an integer from 0 to 50" in text
    assert len(text) < 300


@pytest.mark.parametrize("annotation", [int, float, int | None, Annotated[int, Field(ge=0)]])
@pytest.mark.parametrize("value", [True, False])
def test_true_and_false_are_no_numbers(annotation, value):
    def task(n) -> None: ...

    task.__annotations__["n"] = annotation
    schema = Schema.of(task)
    with pytest.raises(ItemError, match=rf"invalid value for n: {value} "):
        schema.item(value, {}, "n")
    with pytest.raises(ItemError):
        schema.item({"n": value}, {}, "n")
    with pytest.raises(ItemError):
        schema.arguments(value, {}, "n")
    assert schema.item("7", {}, "n") in ("7", "7.0"), "text is converted, wherever it comes from"


def test_fixed_arguments_are_checked_and_leave_one_parameter_open():
    schema = Schema.of(pair)
    assert schema.open_parameter({}) == ""
    fixed = schema.fixed({"b": "7"})
    assert fixed == {"b": 7}
    assert schema.open_parameter(fixed) == "a"
    assert schema.arguments(json.loads(schema.item("5", fixed, "a")), fixed, "a") == {"a": 5, "b": 7}
    with pytest.raises(ItemError, match=r"'c'.*a, b"):
        schema.fixed({"c": "1"})
    with pytest.raises(ItemError, match=r"item: '5' .*a, b, as csv or jsonl"):
        schema.item("5", {}, "")


def test_an_object_of_arguments_is_stored_as_one():
    schema = Schema.of(scale)
    assert json.loads(schema.item({"path": "a.png", "width": "20"}, {}, "path", columns=True)) == {
        "path": "a.png",
        "width": 20,
    }
    assert json.loads(schema.item({"path": "a.png"}, {}, "path")) == {"path": "a.png"}
    with pytest.raises(ItemError, match=r"missing value for path"):
        schema.item({"width": 3}, {}, "path")
    with pytest.raises(ItemError, match=r"unknown parameter: 'heigth'"):
        schema.item({"path": "x", "heigth": 3}, {}, "path", columns=True)
    with pytest.raises(ItemError, match=r"fit: 'stretch' .*one of 'crop', 'pad'"):
        schema.item({"path": "x", "fit": "stretch"}, {}, "path")


def backup(target: str = "all", deep: bool = False):
    """Needs no argument."""


def test_an_item_may_give_nothing_where_nothing_is_needed():
    for schema, fixed in ((Schema.of(backup), {}), (Schema.of(pair), {"a": 1, "b": 2})):
        assert schema.open_parameters(fixed) == []
        assert schema.item({}, fixed, "") == schema.item("{}", fixed, "") == "{}"
        for item in ("[]", "x", "{", None, 3):
            with pytest.raises(ItemError, match=r"invalid value for item: .*\{\}"):
                schema.item(item, fixed, "")
    stored = json.loads(Schema.of(backup).item('{"target": "one"}', {}, ""))
    assert Schema.of(backup).arguments(stored, {}, "") == {"target": "one"}


def of_anything(x):
    """Takes any value."""


def by_place(x: dict[tuple[int, int], int]):
    """Takes keys that JSON has not."""


@pytest.mark.parametrize(
    ("task", "value", "words"),
    [
        (of_anything, {1: "a", "1": "b"}, "RepeatedKey: .*'1'"),
        (of_anything, [{"deep": {True: 1, "true": 2}}], "RepeatedKey: .*'true'"),
        (of_anything, {(1, 2): 3}, "key is of type tuple"),
        (by_place, {(1, 2): 3}, "tuple"),
    ],
)
def test_keys_that_json_cannot_tell_apart_are_refused(task, value, words):
    with pytest.raises(ItemError, match=f"(?s)^invalid value for x: .*{words}"):
        Schema.of(task).item({"x": value}, {}, "x")
    with pytest.raises(ItemError):
        Schema.of(task).fixed({"x": value})


def test_other_keys_become_text():
    assert Schema.of(of_anything).item([{1: 2}], {}, "x") == '[{"1": 2}]'


def test_a_value_that_is_an_object_itself_is_kept_apart_from_arguments():
    schema = Schema.of(sized)
    stored = json.loads(schema.item({"w": 1}, {}, "options"))
    assert stored == {"options": {"w": 1}}
    assert schema.arguments(stored, {}, "options") == {"options": {"w": 1}}
    assert json.loads(schema.item('{"w": 2}', {}, "options")) == {"options": {"w": 2}}


def test_an_object_with_a_key_of_a_parameter_is_arguments():
    with pytest.raises(ItemError, match=r"unknown parameter: 'option' .*'options'.*: options\)"):
        Schema.of(sized).item({"options": {"w": 1}, "option": 2}, {}, "options")


@pytest.mark.parametrize(
    ("item", "pattern"),
    [
        ({"base": 4, "m": 1}, r"unknown parameter: 'm' .*: base\)"),
        ({"bse": 4}, r"unknown parameter: 'bse' .*'base'"),
        ({3: 4}, r"unknown parameter: 3 .*: base\)"),
        ({}, r"missing value for base "),
    ],
)
def test_an_object_is_arguments_where_no_value_can_be_one(item, pattern):
    announcement = Announcement("f", "cpu", {"base": True}, objects={"base": False})
    for schema in (Schema.of(power), RemoteTask.of("power", announcement).schema):
        with pytest.raises(ItemError, match=pattern):
            schema.item(item, {}, "base")


def test_an_object_is_arguments_where_no_bare_value_may_be():
    with pytest.raises(ItemError, match=r"unknown parameter: 'c' .*: a, b\)"):
        Schema.of(pair).item({"c": 1}, {}, "")


def test_a_worker_that_does_not_say_what_takes_objects_checks_them_itself():
    schema = RemoteTask.of("power", Announcement("f", "cpu", {"base": True})).schema
    assert json.loads(schema.item({"bse": 4}, {}, "base")) == {"base": {"bse": 4}}


class Size(BaseModel):
    width: int


class Point(TypedDict):
    x: int


class Color(Enum):
    RED = "red"


class Node(BaseModel):
    children: list["Node"]


OBJECTS = [Any, object, dict, dict[str, int], Mapping[str, int], Size, Point, Node, Size | None, int | Point]
OBJECTS += [Annotated[int, BeforeValidator(lambda value: value["n"])], Annotated[dict, Field(min_length=1)]]
OTHERS = [int, str, bool, float, date, Path, Color, int | None, int | str, list[int], list[Size], tuple[int, str]]
OTHERS += [set[int], bytes, Literal["a"], Annotated[int, Field(ge=1)], Annotated[list[int], Field(min_length=1)]]


@pytest.mark.parametrize(
    ("annotation", "takes"), [*((one, True) for one in OBJECTS), *((one, False) for one in OTHERS)]
)
def test_a_type_tells_whether_it_takes_an_object(annotation, takes):
    def task(value) -> None: ...

    task.__annotations__["value"] = annotation
    assert Schema.of(task).parameters["value"].takes_object is takes


def test_a_check_sees_every_argument_and_its_text_is_the_error():
    schema = Schema.of(scale, lambda path, **rest: no_big_crop(**rest))
    fixed = schema.fixed({"fit": "crop"})
    assert schema.item("a.png", fixed, "path") == '"a.png"'
    with pytest.raises(ItemError, match=r"at most 50 with fit 'crop'"):
        schema.item({"path": "a.png", "width": 51}, fixed, "path")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_what_json_cannot_carry_is_refused(value):
    def anything(value: object) -> None: ...

    with pytest.raises(ItemError, match=r"item: .*JSON"):
        Schema.of(anything).item(value, {}, "value")


def test_a_function_with_open_ended_arguments_is_no_task():
    def loose(*items: int) -> None: ...

    with pytest.raises(TypeError, match=r"named parameters only"):
        Schema.of(loose)
