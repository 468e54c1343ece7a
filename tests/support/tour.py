"""Runs the steps of docs/threads-to-fleet.md; `python -m tests.support.tour` writes what they print into the page.

`python -m tests.support.tour pool.py` leaves out the steps with `pool.py`, whose output stays as it is.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import until
from tests.support.command import READY, Place
from tests.support.examples import DOCS, blocks

PAGE = DOCS / "threads-to-fleet.md"
#: Seconds that a step may take: F(45) on a busy host.
STEP_SECONDS = 1800.0

_STEP = re.compile(
    r"(?P<background><!-- background -->\n)?```sh\n(?P<code>.*?)^```$(?:\n\n```text\n(?P<text>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Step:
    """A shell block of the page, whether it goes on in a terminal of its own, and the output the page shows."""

    code: str
    background: bool
    text: str | None


def steps() -> list[Step]:
    """The page's steps, in order."""
    return [Step(match["code"], bool(match["background"]), match["text"]) for match in _STEP.finditer(PAGE.read_text())]


class Tour:
    """A directory with the page's programs, in which its steps run."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.place = Place(directory, **settings)
        self.place.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        for _, program in blocks(PAGE.read_text(), "python"):
            name = program.removeprefix('"""').partition(":")[0]
            (self.place.cwd / name).write_text(program)

    def outputs(self, *without: str) -> Iterator[tuple[Step, str]]:
        """Each step with what it prints, on standard output and standard error; but none that has one of `without`."""
        with ExitStack() as stack:
            for step in steps():
                if any(word in step.code for word in without):
                    continue
                yield step, stack.enter_context(self._started(step)) if step.background else self._run(step)

    def _run(self, step: Step) -> str:
        code = step.code.replace("http://127.0.0.1:5555", self._dashboard())
        process = subprocess.run(
            ["bash", "-euc", code],
            cwd=self.place.cwd,
            env=self.place.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=STEP_SECONDS,
            check=False,
        )
        assert process.returncode == 0, process.stdout
        return process.stdout

    def _dashboard(self) -> str:
        server = self.place.home.read()
        return (server.dashboard or "").rstrip("/") if server else ""

    @contextmanager
    def _started(self, step: Step) -> Iterator[str]:
        log = self.place.path / f"background-{len(step.code)}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {step.code}"],
                cwd=self.place.cwd,
                env=self.place.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            if step.text is not None:
                until(lambda: READY in log.read_text() or process.poll() is not None, 60, "a step that is ready")
            assert process.poll() is None, log.read_text()
            yield log.read_text()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def main() -> None:
    """Run the page's steps and write what they print into the page."""
    page = PAGE.read_text()
    with tempfile.TemporaryDirectory() as name:
        for step, output in Tour(Path(name) / "tour").outputs(*sys.argv[1:]):
            sys.stdout.write(f"{step.code}{output}\n")
            if step.text is not None:
                before = f"{step.code}```\n\n```text\n{step.text}```"
                assert page.count(before) == 1, step.code
                # The temporary directory has another name each time, which tells a reader nothing.
                text = re.sub(rf"{re.escape(name)}\S*/", "…/", output)
                page = page.replace(before, f"{step.code}```\n\n```text\n{text}```")
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
