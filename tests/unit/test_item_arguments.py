"""The arguments of an item from its stored value: the quick way of numbers and texts gives what the schema gives."""

from typing import Annotated

import pytest
from pydantic import Field

from gristmill.batches.chunk import Chunk, Work
from gristmill.tasks.other_values import arguments_of
from gristmill.tasks.schema import ItemError, Schema


def counted(number: Annotated[int, Field(ge=0, le=50)]): ...
def measured(number: float): ...
def named(number: str): ...
def decided(number: bool): ...
def anything(number): ...
def more(number: int, other: int = 3): ...


VALUES = (7, -1, 51, 0.5, 7.0, "7", "seven", "", True, False, None, [7], {"number": 7}, {"number": "7"}, {"word": 7})


def answer(call):
    """What a call answers, with the type of each value, or the error that it raises."""
    try:
        return {name: (type(value), value) for name, value in call().items()}
    except ItemError as error:
        return str(error)


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("fixed", [{}, {"other": 4}], ids=repr)
@pytest.mark.parametrize(
    "function", [counted, measured, named, decided, anything, more], ids=lambda each: each.__name__
)
def test_they_are_those_of_the_schema(function, fixed, value):
    schema = Schema.of(function)
    work = Work(Chunk("b", 1, 0, 1), "t", fixed, "number", 0, 1.0, [])
    given = answer(lambda: arguments_of(work, schema)(value))
    assert given == answer(lambda: schema.arguments(value, fixed, "number"))


def test_the_check_of_the_task_is_asked_for_each_item():
    def even(number: int):
        if number % 2:
            raise ValueError("odd")

    schema = Schema.of(counted, even)
    arguments = arguments_of(Work(Chunk("b", 1, 0, 1), "t", {}, "number", 0, 1.0, []), schema)
    assert arguments(4) == {"number": 4}
    with pytest.raises(ItemError, match="odd"):
        arguments(5)
