"""What the documentation shows is run as it stands there: the README's task and commands, the pages' Python."""

import json
import os
import shlex
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.support.command import Place
from tests.support.examples import PROJECT, blocks, section

README, PYTHON, TASKS = PROJECT / "README.md", PROJECT / "docs" / "python.md", PROJECT / "docs" / "tasks.md"

PHOTOS = ["photos/1.jpg", "photos/2.jpg", "photos/3.jpg"]


def own_task(language):
    return [code for _, code in blocks(section(README, "A task of your own"), language)]


class Folder(Place):
    """A folder with photos and the documentation's tasks, in which its commands run."""

    def shell(self, line: str) -> str:
        """What a line of a shell prints."""
        return self.process(["bash", "-euo", "pipefail", "-c", line]).good().out

    def python(self, code: str) -> str:
        """What a program prints."""
        return self.process([sys.executable, "-c", code]).good().out


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A folder where `gristmill up` runs."""
    place = Folder(
        tmp_path_factory.mktemp("fleet"), GRISTMILL_TASK_MODULES="photos,days", GRISTMILL_RETRY_SECONDS="0.05"
    )
    place.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    (place.cwd / "photos").mkdir()
    for number, path in enumerate(PHOTOS):
        Image.new("RGB", (640, 480), (80 * number, 40, 40)).save(place.cwd / path)
    (place.cwd / "photos.py").write_text(own_task("python")[0])
    (place.cwd / "days.py").write_text("\n".join(code for _, code in blocks(TASKS.read_text(), "python")))
    with place.up("cpu", "io"):
        yield place
    place.deserted()


def results(text):
    return [json.loads(line) for line in text.splitlines()]


def test_the_readmes_task_runs(fleet):
    code = own_task("sh")
    assert len(code) == 1
    found = results(fleet.shell(code[0]))
    assert sorted(result["input"] for result in found) == sorted(2 * PHOTOS)
    assert {result["state"] for result in found} == {"succeeded"}
    assert {result["value"] for result in found} == {f"thumbnails/{path}" for path in PHOTOS}
    with Image.open(fleet.cwd / "thumbnails" / PHOTOS[0]) as small:
        assert small.size == (256, 192)


def test_the_readmes_everyday_commands_work(fleet):
    code = blocks(section(README, "Everyday commands"), "sh")[0][1]
    lines = [line for line in code.splitlines() if not line.startswith("gristmill up")]
    logs = fleet.cwd / "logs"
    logs.mkdir()
    for name in ("a.log", "b.log"):
        (logs / name).write_text("a line\n")
    (program,) = [line for line in lines if line.startswith("gristmill run -- ")]
    fleet.shell(program)
    assert sorted(path.name for path in logs.iterdir()) == ["a.log.gz", "b.log.gz"]
    lines.remove(program)
    said = {}
    for line in lines:
        words = shlex.split(line, comments=True)
        said[words[words.index("gristmill") + 1]] = (
            fleet.shell(line) if "|" in words else fleet.run(*words[1:]).good().out
        )
    assert sorted(result["value"] for result in results(said["run"])) == [317811, 514229, 832040]
    assert said["submit"] == "first\n"
    assert [result["index"] for result in results(said["results"])] == list(range(30))
    assert "prefork" in said["workers"]
    shown = json.loads(blocks(section(README, "Everyday commands"), "json")[0][1])
    assert list(shown) == list(results(said["results"])[0])


def test_the_readmes_task_is_a_celery_task(fleet):
    printed = fleet.python(own_task("python")[1])
    assert printed.splitlines() == [f"thumbnails/{PHOTOS[0]}", str([f"thumbnails/{path}" for path in PHOTOS])]


def test_the_examples_of_the_python_api_print_what_they_say(fleet):
    parts = blocks(PYTHON.read_text(), "python", "text")
    program = "\n".join(code for language, code in parts if language == "python")
    printed = "".join(code for language, code in parts if language == "text")
    assert fleet.python(program) == printed


TASKS_PROGRAM = """
from gristmill.errors import InputError
from gristmill import submit

ping = submit("ping", ["host"])
days = submit("weekday", ["2026-01-31", "2026-02-28"], set={"offset": "1"})
totals = submit("total", [{"first": 1, "last": 100}, {"first": 7, "last": 7}])
print([result.value for result in days.results(in_order=True)])
print([result.value for result in totals.results(in_order=True)])
try:
    submit("total", [{"first": 7, "last": 6}])
except InputError as error:
    print(error)
for result in ping.results():
    print(result.state, result.attempts, result.error["type"])
"""


def test_the_tasks_of_the_page_on_tasks_do_what_it_says(fleet):
    assert fleet.python(TASKS_PROGRAM).splitlines() == [
        "[6, 6]",
        "[5050, 7]",
        "item 0: invalid value for last: 6 (expected 7 or more)",
        "failed 4 ConnectionError",
    ]
