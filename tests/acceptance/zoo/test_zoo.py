"""One worker for all animals: each ends as documented, neighbours succeed, nothing is left after `up`."""

from pathlib import Path

import pytest

from tests.acceptance.zoo.animals import ANIMALS
from tests.support.command import Place, first_in_path

#: The animals that end otherwise than well: by `dead` and by the type of the error.
DEAD = {
    "forks and dies",
    "daemonises and dies",
    "segfault",
    "exits at once",
    "aborts",
    "becomes another program",
    "closes everything",
    "kills its process group",
    "exits in a thread",
    "asks to be traced",
}
FAILED = {
    "forks and raises twice": "LookupError",
    "runs too long with a program": "TimeLimitExceeded",
    "eats memory": "MemoryError",
    "holds the gil": "TimeLimitExceeded",
    "stops its process": "TimeLimitExceeded",
    "raises": "ZeroDivisionError",
    "exits": "SystemExit",
    "waits for itself": "TimeLimitExceeded",
    "recurses": "RecursionError",
    "raises without a text": "_Mute",
    "raises without attributes": "_Masked",
    "raises with an endless text": "_Mumbling",
    "breaks the worker": "TypeError",
    "returns what JSON has not": "ResultNotJSON",
    "returns too much": "ResultTooLarge",
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    place = Place(
        tmp_path_factory.mktemp("zoo"),
        GRISTMILL_TASK_MODULES="tests.acceptance.zoo.animals",
        GRISTMILL_SLOT_MEMORY="512M",
        PYTHONPATH=first_in_path(Path(__file__).parents[3]),
    )
    try:
        with place.up("cpu", "io", "--cpu-slots", "2", "--io-slots", "2", in_peace=False):
            before = place.run("run", "neighbour", "0", "--name", "before", "--quiet").good()
            place.run("submit", "animal", *sorted(ANIMALS), "--name", "zoo", "--quiet").good()
            place.ended("zoo", 240)
            place.run("run", "neighbour", *map(str, range(20)), "--name", "after", "--quiet").good()
            place.run("run", "gigabyte", "1", "--name", "gigabyte", "--quiet").good()
            place.run("run", "squares", *map(str, range(1, 7)), "--name", "joblib", "--quiet").good()
            place.run("run", "leaves_a_program", "1", "--name", "io", "--quiet").good()
            place.before = before.rows[0]["value"]
            place.ends = {result.input: result for result in place.results("zoo")}
            place.books = [place.info(name) for name in ("zoo", "after", "gigabyte")]
            place.after = place.results("after")
            place.squares = {result.input: result.value for result in place.results("joblib")}
            place.program = place.results("io")[0].value
            yield place
    finally:
        place.deserted()


@pytest.mark.slow
@pytest.mark.parametrize("what", sorted(ANIMALS))
def test_each_animal_ends_as_documented(zoo, what):
    result = zoo.ends[what]
    error = (result.error or {}).get("type")
    assert 0 <= result.seconds < 240
    if what in DEAD:
        assert (result.state, error) == ("dead", "ProcessDied")
    elif what in FAILED:
        assert (result.state, error) == ("failed", FAILED[what])
    else:
        assert (result.state, error) == ("succeeded", None)


@pytest.mark.slow
def test_the_books_balance(zoo):
    for info in zoo.books:
        assert info.submitted == info.succeeded + info.failed + info.dead + info.cancelled
        assert (info.left, info.cancelled) == (0, 0)
    assert zoo.books[0].submitted == len(ANIMALS) >= 40


@pytest.mark.slow
def test_joblib_computes_in_one_item_after_another(zoo):
    assert zoo.squares == {count: sum(number**2 for number in range(count)) for count in range(1, 7)}


@pytest.mark.slow
def test_no_file_is_left(zoo):
    assert list(zoo.cwd.iterdir()) == []


@pytest.mark.slow
def test_neighbours_find_their_process_as_it_was(zoo):
    assert [result.value for result in zoo.after] == [zoo.before] * 20


@pytest.mark.slow
def test_no_process_of_an_item_is_left(zoo):
    programs = {one.pid for one in zoo.processes() if "time.sleep(600)" in " ".join(one.cmdline())}
    assert programs == {zoo.program}, "a program that a thread has started is the worker's"
