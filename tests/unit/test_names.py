"""Names are the field's words, and say what a value is; a class has a name of its own."""

import pytest

from tests.support.names import ROOMS, Name, classes, faults, judge, of_python

# Rooms that still have such names: `python -m tests.support.names ROOM` lists them. A room that is clean leaves.
NOT_YET: tuple[str, ...] = ()


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in NOT_YET])
def test_a_room_has_no_old_word_and_no_participle(room: str) -> None:
    bad = faults(room)
    assert not bad, "\n".join(map(str, bad))


def test_a_class_has_a_name_of_its_own() -> None:
    rooms = tuple(room for room in ROOMS if room not in NOT_YET and not room.startswith("tests"))
    # `aio` has the public names a second time, awaited.
    places = {
        name: {file for file in files if not file.startswith("gristmill/aio/")}
        for name, files in classes(rooms).items()
    }
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


BAD = """
class TickReads:
    who: int
def _found(begun, *, terms=1):
    asked, (alone, *_kept) = 1, (2, 3)
    self.tether = [said for said in ()]
    with open() as given:
        pass
    for pulse_thread in ():
        pass
    other_input = batch_run = (lambda fed: 1)
    letters: int = (held := 3)
    import os as known
    match x:
        case seen:
            pass
"""
GOOD = """
import celery.beat
from x import found
class Whole:
    succeeded: int
def was_seen(ids_known):
    dead_letters = found(who=1).tick
    heartbeat = state.begun
"""


def test_every_kind_of_bad_name_is_seen() -> None:
    bad = [name.text for name in of_python(BAD) if list(judge(name))]
    expected = (
        "TickReads who _found begun terms asked alone _kept tether said given pulse_thread other_input batch_run fed"
    )
    assert sorted(bad) == sorted([*expected.split(), "letters", "held", "known", "seen"])


def test_the_words_of_others_are_no_names_of_ours() -> None:
    assert [name.text for name in of_python(GOOD) if list(judge(name))] == []


@pytest.mark.parametrize(("kind", "allowed"), [("function", True), ("value", False)])
def test_a_verb_is_a_name_of_a_function_only(kind: str, allowed: bool) -> None:
    assert (not list(judge(Name(kind, "cut", "producer/x.py", 1)))) is allowed
