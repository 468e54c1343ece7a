"""What the documentation shows is run as it stands there: the README's task and commands, the pages' Python."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import until
from tests.support.examples import PROJECT, blocks, section

README, PYTHON, TASKS = PROJECT / "README.md", PROJECT / "docs" / "python.md", PROJECT / "docs" / "tasks.md"

#: Seconds that anything here may take.
PATIENCE = 60
PHOTOS = ["photos/1.jpg", "photos/2.jpg", "photos/3.jpg"]


def own_task(language):
    return [code for _, code in blocks(section(README, "A task of your own"), language)]


class Place:
    """A directory with photos and the documentation's tasks, a home, and an environment for commands there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "photos").mkdir()
        for number, path in enumerate(PHOTOS):
            Image.new("RGB", (640, 480), (80 * number, 40, 40)).save(directory / path)
        (directory / "photos.py").write_text(own_task("python")[0])
        (directory / "days.py").write_text("\n".join(code for _, code in blocks(TASKS.read_text(), "python")))
        strangers = ("GRISTMILL_", "PYTEST_", "COV_")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(strangers)}
        self.environ = {
            **clean,
            "GRISTMILL_TASK_MODULES": "photos,days",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GRISTMILL_HOME": str(directory / "home"),
            "GRISTMILL_RETRY_SECONDS": "0.05",
        }

    def run(self, *argv: str) -> str:
        done = subprocess.run(
            argv,
            cwd=self.directory,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shell(self, line: str) -> str:
        return self.run("bash", "-euo", "pipefail", "-c", line)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A place where `gristmill up` runs."""
    place = Place(tmp_path_factory.mktemp("fleet"))
    said = place.directory / "up.err"
    with said.open("wb") as stderr:
        argv = ["gristmill", "up", "cpu", "io"]
        up = subprocess.Popen(argv, cwd=place.directory, env=place.environ, stdin=subprocess.DEVNULL, stderr=stderr)
    with up:
        try:
            until(lambda: up.poll() is not None or "Ctrl-C ends it" in said.read_text(), PATIENCE, "up")
            assert up.poll() is None, said.read_text()
            yield place
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(PATIENCE)
    assert up.returncode == 0, said.read_text()


def results(text):
    return [json.loads(line) for line in text.splitlines()]


def test_the_readmes_task_runs(fleet):
    code = own_task("sh")
    assert len(code) == 1
    found = results(fleet.shell(code[0]))
    assert sorted(result["input"] for result in found) == sorted(2 * PHOTOS)
    assert {result["state"] for result in found} == {"succeeded"}
    assert {result["value"] for result in found} == {f"thumbnails/{path}" for path in PHOTOS}
    with Image.open(fleet.directory / "thumbnails" / PHOTOS[0]) as small:
        assert small.size == (256, 192)


def test_the_readmes_everyday_commands_work(fleet):
    code = blocks(section(README, "Everyday commands"), "sh")[0][1]
    lines = [line for line in code.splitlines() if not line.startswith("gristmill up")]
    logs = fleet.directory / "logs"
    logs.mkdir()
    for name in ("a.log", "b.log"):
        (logs / name).write_text("a line\n")
    (program,) = [line for line in lines if line.startswith("gristmill run -- ")]
    fleet.shell(program)
    assert sorted(path.name for path in logs.iterdir()) == ["a.log.gz", "b.log.gz"]
    lines.remove(program)
    said = {line.partition("gristmill ")[2].split()[0]: fleet.shell(line) for line in lines}
    assert sorted(result["value"] for result in results(said["run"])) == [317811, 514229, 832040]
    assert said["submit"] == "first\n"
    assert [result["index"] for result in results(said["results"])] == list(range(30))
    assert "prefork" in said["workers"]
    shown = json.loads(blocks(section(README, "Everyday commands"), "json")[0][1])
    assert list(shown) == list(results(said["results"])[0])


def test_the_readmes_task_is_a_celery_task(fleet):
    printed = fleet.run(sys.executable, "-c", own_task("python")[1])
    assert printed.splitlines() == [f"thumbnails/{PHOTOS[0]}", str([f"thumbnails/{path}" for path in PHOTOS])]


def test_the_examples_of_the_python_api_print_what_they_say(fleet):
    parts = blocks(PYTHON.read_text(), "python", "text")
    program = "\n".join(code for language, code in parts if language == "python")
    printed = "".join(code for language, code in parts if language == "text")
    assert fleet.run(sys.executable, "-c", program) == printed


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
    assert fleet.run(sys.executable, "-c", TASKS_PROGRAM).splitlines() == [
        "[6, 6]",
        "[5050, 7]",
        "item 0: invalid value for last: 6 (expected 7 or more)",
        "failed 4 ConnectionError",
    ]
