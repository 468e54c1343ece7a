"""`--output-dir` with tasks: all that an item writes is in a file of its own, on any pool, however much it is."""

import pytest

from tests.support.command import Place
from tests.support.projects import write

#: Lines that take more than the server's and the worker's bounds on an output.
MANY = 250_000
PROJECT = {
    "pyproject.toml": '[tool.gristmill]\ntasks = ["noisy"]\n',
    "noisy.py": """
import subprocess
import sys

from gristmill import cpu, io, item


@cpu(retries=1)
def loud(lines: int) -> None:
    for line in range(lines):
        print(line)
    subprocess.run(["echo", "from below"], check=True)
    if lines == 1:
        raise ValueError(f"attempt {item.attempt}")


@io
def softly(word: str) -> None:
    print(word)


@io
async def later(word: str) -> None:
    print(word, file=sys.stderr)


@cpu(capture=False)
def aside(word: str) -> None:
    print(word)
""",
}


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("noisy"), GRISTMILL_RETRY_SECONDS="0.1")
    write(place.path, PROJECT)
    with place.up("--cpu-slots", "1", "--io-slots", "2", cwd=place.path):
        yield place
    place.deserted()


def _submit(place, task, *items):
    place.run("submit", task, *items, "--output-dir", task, "--follow", cwd=place.path)
    return {int(file.parent.name): file.read_text() for file in place.path.glob(f"{task}/*/output")}


def test_a_process_has_all_of_what_its_items_and_their_programs_write(noisy):
    outputs = _submit(noisy, "loud", "0", "1", str(MANY))
    assert outputs[0] == "from below\n"
    assert outputs[1] == "0\nfrom below\n", "that of the last attempt"
    assert outputs[2].splitlines() == [*map(str, range(MANY)), "from below"]
    assert [file.name for file in noisy.path.glob("loud/*/*")] == ["output"] * 3, "no draft is left"


@pytest.mark.parametrize("task", ["softly", "later"])
def test_so_has_each_item_of_a_thread_and_of_an_event_loop(noisy, task):
    assert _submit(noisy, task, "one", "two") == {0: "one\n", 1: "two\n"}


def test_what_is_not_captured_goes_to_the_worker(noisy):
    assert _submit(noisy, "aside", "one") == {}


@pytest.fixture
def closed(noisy):
    """Directories in which no file can be made, by why."""
    (noisy.path / "file").write_text("")
    (noisy.path / "out").unlink(missing_ok=True)
    (noisy.path / "out").symlink_to("/etc")
    return {"outside": "/etc/gristmill", "above": "../beside", "link": "out/x", "file": "file/out", "long": "x" * 256}


@pytest.mark.parametrize("why", ["outside", "above", "link", "file", "long"])
def test_a_directory_that_workers_cannot_write_is_refused_before_items_are_sent(noisy, closed, why):
    """Of the data root of the fleet, wherever the command is called."""
    done = noisy.run("submit", "softly", "one", "--name", why, "--output-dir", closed[why], "--follow")
    done.refused("--output-dir", closed[why])
    assert why not in noisy.names()


def test_so_is_one_below_a_data_root_in_which_no_file_can_be_made(place):
    """By a command that starts its own worker; as root too, whom the permissions let do this."""
    place.run("run", "fibonacci", "1", "--output-dir", "out", cwd="/proc").refused("--output-dir", "/proc")
    done = place.run("run", "fibonacci", "1", "--output-dir", "out", GRISTMILL_DATA_ROOT="/nowhere")
    done.refused("--output-dir", "/nowhere", "does not exist")
    place.run("run", "fibonacci", "1", "--output-dir", "out").good()
    assert (place.cwd / "out" / "0" / "output").read_text() == ""
