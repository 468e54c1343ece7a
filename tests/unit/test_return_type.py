"""The values that a task returns: stored as JSON by annotation or by type, and read back as they were."""

import dataclasses
import datetime
import enum
import json
import math
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from gristmill.tasks.encoding import DIGITS_MOST, plain_text
from gristmill.tasks.kinds import cpu
from gristmill.tasks.return_type import ResultMismatch, ResultNotJSON, ReturnType


class Colour(enum.Enum):
    RED = "red"
    TWO = 2


class Point(NamedTuple):
    x: int
    name: str


@dataclasses.dataclass
class Photo:
    path: Path
    body: bytes = b"\xff\xfe"
    at: datetime.datetime | None = None
    rest: Any = None


class Model(BaseModel):
    n: int = Field(1, alias="number")
    share: float | None = None
    words: dict = {}


MOMENT = datetime.datetime(2026, 1, 31, 23, 59, 58, 7, datetime.UTC)
VALUES = [
    (bytes, b"\xff\xfb\x00", '"__sA"'),
    (datetime.datetime, MOMENT, '"2026-01-31T23:59:58.000007Z"'),
    (datetime.date, MOMENT.date(), '"2026-01-31"'),
    (datetime.timedelta, datetime.timedelta(1, 2, 3), '"P1DT2.000003S"'),
    (Decimal, Decimal("1.10"), '"1.10"'),
    (uuid.UUID, uuid.UUID(int=3), '"00000000-0000-0000-0000-000000000003"'),
    (Path, Path("/a/b"), '"/a/b"'),
    (Colour, Colour.TWO, "2"),
    (Point, Point(1, "a"), '[1,"a"]'),
    (Photo, Photo(Path("a"), at=MOMENT), None),
    (Model, Model(number=3), '{"n":3,"share":null,"words":{}}'),
    (set[int], {1}, "[1]"),
    (np.float32, np.float32(0.1), None),
    (np.int64, np.int64(3), "3"),
]


@pytest.mark.parametrize(("annotation", "value", "text"), VALUES)
def test_a_value_is_stored_and_read_back_as_it_was(annotation, value, text):
    kind = ReturnType(annotation)
    stored = kind.text(value)
    back = kind.value(stored)
    assert (back, type(back)) == (value, type(value))
    assert kind.text(back) == stored
    assert text in (None, stored)


@pytest.mark.parametrize(("_annotation", "value", "text"), VALUES)
def test_without_an_annotation_the_type_of_the_value_decides(_annotation, value, text):
    assert text in (None, ReturnType().text(value))
    json.loads(ReturnType().text({"a": [value]}))


def test_arrays_keep_the_type_of_the_annotation():
    array = np.array([[0.1, 2], [3, 4]], np.float32)
    kind = ReturnType(npt.NDArray[np.float32])
    back = kind.value(kind.text(array))
    assert back.dtype == array.dtype
    assert (back == array).all()
    assert ReturnType().text(array) == kind.text(array)
    with pytest.raises(ResultMismatch, match="float32"):
        kind.text(array.astype(float))
    with pytest.raises(ResultNotJSON, match="datetime64"):
        ReturnType().text(np.datetime64("2026-01-31"))


@given(st.binary(), st.datetimes(timezones=st.just(datetime.UTC)), st.decimals(allow_nan=False, allow_infinity=False))
def test_any_value_of_these_types_is_read_back(body, moment, number):
    for annotation, value in ((bytes, body), (datetime.datetime, moment), (Decimal, number)):
        kind = ReturnType(annotation)
        assert kind.value(kind.text(value)) == value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts),
    )
)
def test_plain_json_is_written_as_it_is(value):
    assert json.loads(ReturnType().text(value)) == value


@pytest.mark.parametrize(
    ("annotation", "value", "key"),
    [
        (Any, {1: "a", "1": "b"}, "'1'"),
        (dict, {"a": [{None: "a", "null": "b"}]}, "'null'"),
        (dict[int | str, str], {1: "a", "1": "b"}, "'1'"),
        (Model, Model(words={1: "a", "1": "b"}), "'1'"),
    ],
)
def test_two_keys_that_are_one_in_json_are_named(annotation, value, key):
    with pytest.raises(ResultNotJSON, match=key):
        ReturnType(annotation).text(value)


def test_keys_are_read_back_by_the_annotation_and_are_text_without():
    kind = ReturnType(dict[int, str])
    assert kind.text({1: "a"}) == ReturnType().text({1: "a"}) == '{"1":"a"}'
    assert kind.value('{"1":"a"}') == {1: "a"}


@pytest.mark.parametrize("annotation", [Any, float, list[float], dict[str, Any], Model, Photo])
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_no_value_has_nan_in_it(annotation, number):
    value = {float: number, Any: number, Model: Model(share=number), Photo: Photo(Path("a"), rest=number)}
    other = [number] if annotation == list[float] else {"a": number}
    with pytest.raises(ResultNotJSON):
        ReturnType(annotation).text(value.get(annotation, other))


@pytest.mark.parametrize(
    ("annotation", "value", "place"),
    [
        (int, "x", "'x'"),
        (list[int], [1, "x"], "1: "),
        (dict[str, list[int]], {"a": [1, "x"]}, r"a\.1: "),
        (Annotated[int, Field(ge=0)], -1, "-1"),
        (Photo, Photo("a", body=3), "body"),
        (datetime.date, MOMENT, "date"),
        (None, 3, "None"),
    ],
)
def test_a_value_that_does_not_fit_names_the_field(annotation, value, place):
    with pytest.raises(ResultMismatch, match=place):
        ReturnType(annotation).text(value)


def test_integers_that_no_reader_takes_are_refused_and_text_of_digits_is_not():
    for value in (10**DIGITS_MOST, [1, 10**DIGITS_MOST]):
        with pytest.raises(ResultNotJSON):
            ReturnType().text(value)
    for value in (["9" * 3 * DIGITS_MOST], [10 ** (DIGITS_MOST - 1)], ["NaN"]):
        assert json.loads(plain_text(value)) == value


def _generator():
    yield 1


async def _async_generator():
    yield 1


def _annotated(annotation):
    def task(item: int) -> annotation:
        return iter(())

    return task


@pytest.mark.parametrize(
    "function",
    [
        _generator,
        _async_generator,
        _annotated(Iterator[int]),
        _annotated(Generator[int, None, None]),
        _annotated(AsyncIterator[int]),
        _annotated(list[Iterator[int]]),
        _annotated(pytest.MonkeyPatch),
        _annotated("Missing"),
    ],
)
def test_a_bad_definition_names_the_task(function):
    with pytest.raises(TypeError, match=r"task 'bad'.*expected"):
        cpu(name="bad")(function)


def test_a_generator_that_is_returned_is_refused():
    for value in ((n for n in range(3)), {"a": iter([])}):
        with pytest.raises(ResultNotJSON, match="list"):
            ReturnType().text(value)
