"""Items of a list, checked and encoded many at once: the same texts and the same errors as one by one."""

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import AfterValidator, Field

from gristmill.errors import InputError
from gristmill.producer.items import Reading, from_paths
from gristmill.producer.items.checked import LOT_BYTES, LOT_ITEMS, CheckedItems
from gristmill.producer.items.program_inputs import ProgramInputs
from gristmill.producer.values import Values, source_of
from gristmill.tasks.bare_items import BareItems
from gristmill.tasks.program.function import program_task
from gristmill.tasks.schema import Schema

KINDS = {
    "number": Annotated[int, Field(ge=-5, le=10**20)],
    "share": float,
    "text": str,
    "strict": Annotated[int, Field(strict=True)],
    "checked": Annotated[int, AfterValidator(lambda value: value + 1)],
    "yes": bool,
    "anything": object,
    "list": list[int],
}
VALUES = some.one_of(
    some.integers(-6, 10**21),
    some.integers(-5, 9),
    some.floats(),
    some.text(some.characters(exclude_categories=())),
    some.sampled_from(["7", " 8 ", "1.5", "\udcff", "nan", True, None, {"item": 3}, [1]]),
)


def schema_of(annotation, check=None):
    def task(item, more=1):
        pass

    task.__annotations__ = {"item": annotation}
    return Schema.of(task, check)


def one_by_one(schema, values, fixed):
    try:
        return [schema.item(value, fixed, "item") for value in values]
    except InputError:
        return None


@pytest.mark.parametrize("fixed", [{}, {"more": 2}])
@pytest.mark.parametrize("kind", KINDS)
@given(values=some.lists(VALUES, min_size=1, max_size=4))
def test_the_texts_are_those_of_each_item(kind, fixed, values):
    schema = schema_of(KINDS[kind])
    bare = BareItems.of(schema, fixed, "item")
    texts = bare.texts(values) if bare else None
    assert texts is None or texts == one_by_one(schema, values, fixed)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("number", [0, 5, 10**19]),
        ("share", [1, 0.5]),
        ("text", ["a", "é\n", "\udcff"]),
        ("anything", ["a", "é", "\udcff"]),
    ],
)
@pytest.mark.parametrize("fixed", [{}, {"more": 2}])
def test_numbers_and_texts_are_encoded_together(kind, values, fixed):
    schema = schema_of(KINDS[kind])
    assert BareItems.of(schema, fixed, "item").texts(values) == one_by_one(schema, values, fixed)


@pytest.mark.parametrize("values", [[1, True], [1, "x"], [-6], [10**21], [{"item": 1}], [None], [10**4300]])
def test_what_is_no_such_number_is_looked_at_alone(values):
    assert BareItems.of(schema_of(KINDS["number"]), {}, "item").texts(values) is None


def test_checks_of_the_task_are_looked_at_alone():
    assert BareItems.of(schema_of(int, lambda item, more: None), {}, "item") is None
    assert BareItems.of(schema_of(KINDS["checked"]), {}, "item") is None


class Task:
    name, schema = "task", schema_of(KINDS["number"])


def checked(values, on_bad=None):
    return CheckedItems(Task, source_of(values, False), {}, on_bad)


def test_a_list_comes_in_lots_with_the_number_of_their_first_item():
    lots = list(checked(range(LOT_ITEMS + 2)).lots())
    assert [(lot.number, len(lot.texts)) for lot in lots] == [(0, LOT_ITEMS), (LOT_ITEMS, 2)]


def test_a_bad_item_of_a_lot_is_named_and_its_neighbours_are_kept():
    values, said = [*range(LOT_ITEMS), 7, -6, 8], []
    items = checked(values, said.append)
    assert [*items] == [str(value) for value in values if value != -6]
    assert items.rejected == len(said) == 1
    assert said[0].startswith(f"item {LOT_ITEMS + 1}: ")
    with pytest.raises(InputError, match=rf"^item {LOT_ITEMS + 1}: "):
        list(checked(values))


def test_a_lot_has_few_long_items():
    class LongTask:
        name, schema = "task", schema_of(str)

    long = "x" * (LOT_BYTES // 2)
    lots = list(CheckedItems(LongTask, source_of([long, long, "y", "z"], False), {}).lots())
    assert [(lot.number, len(lot.texts)) for lot in lots] == [(0, 2), (2, 2)]


def test_a_lot_ends_at_a_bad_item():
    lots = checked([1, 2, -6, *range(3)], lambda _: None).lots()
    assert [(lot.number, len(lot.texts)) for lot in lots] == [(0, 2), (3, 3)]


def inputs(path, text, on_bad=None):
    path.write_text(text)
    source = ProgramInputs(from_paths([str(path)], Reading()))
    return CheckedItems(program_task(), source, {"command": {"words": ["echo"]}}, on_bad)


def test_the_inputs_of_a_program_come_in_lots_from_a_file(tmp_path):
    lots = list(inputs(tmp_path / "inputs", "a b\n" * (LOT_ITEMS + 2)).lots())
    assert [(lot.number, lot.texts) for lot in lots] == [(1, ['"a b"'] * LOT_ITEMS), (LOT_ITEMS + 1, ['"a b"'] * 2)]


def test_a_bad_line_and_a_blank_one_do_not_shift_the_numbers(tmp_path):
    said = []
    items = inputs(tmp_path / "inputs", "1\n\n2\nx\0y\n3\n4\n", on_bad=said.append)
    assert [(lot.number, lot.texts) for lot in items.lots()] == [(1, ['"1"']), (3, ['"2"']), (5, ['"3"', '"4"'])]
    assert [line.rpartition("inputs:")[2][:2] for line in said] == ["4:"]


def test_a_lot_of_a_file_has_few_long_lines(tmp_path):
    long = "x" * (LOT_BYTES // 2)
    lots = inputs(tmp_path / "inputs", f"{long}\n{long}\n{long}\ny\n").lots()
    assert [(lot.number, len(lot.texts)) for lot in lots] == [(1, 2), (3, 2)]


def test_what_makes_its_items_as_it_goes_is_read_one_by_one():
    assert type(source_of(iter([1]), False)) is Values
    assert [len(lot.texts) for lot in checked(iter([1, 2, 3])).lots()] == [1, 1, 1]
