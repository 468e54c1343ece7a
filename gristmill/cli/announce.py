"""`gristmill announce`."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import Any

import click

from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import print_json, write
from gristmill.tasks import catalog
from gristmill.tasks.announce import words

LABELS = ("numbers", "letters")
#: So many times as fast, and the two waited side by side.
_FASTER = 1.2


@dataclass(frozen=True, slots=True)
class Said:
    """A word, which thread said it, and when: seconds from the start of its run, `sequential` or `threads`."""

    run: str
    thread: str
    word: str
    at: float


@new_command("announce")
@click.option("--count", default="5", show_default=True, metavar="N", help="Words that each of the two says (1 to 26).")
@click.option("--seconds", default="0.5", show_default=True, metavar="S", help="The pause between two words (0 to 60).")
@options.as_json
def command(count: str, seconds: str, as_json: bool) -> None:
    """Let one say numbers and another letters: first one after the other, then in two threads at once.

    The textbook's first example of threads. While one waits the other speaks, so that both are done in half the time.

    \b
    Examples:
      gristmill announce
      gristmill announce --count 10 --seconds 0.2
    """
    terms = catalog.find("announce").schema.fixed({"count": count, "seconds": seconds})
    took = []
    for run, said in (("sequential", _in_turn(terms)), ("threads", _at_once(terms))):
        if not as_json:
            write("one after the other:" if run == "sequential" else "in two threads:")
        begun = time.perf_counter()
        for thread, word, moment in said:
            one = Said(run, thread, word, round(moment - begun, 3))
            if as_json:
                print_json(asdict(one))
            else:
                write(f"  {one.at:6.2f} s  {thread:<10}  {word}")
        took.append(time.perf_counter() - begun)
    if not as_json:
        write(_finding(*took))


def _in_turn(terms: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    for label in LABELS:
        for word in words(label, **terms):
            yield current_thread().name, word, time.perf_counter()


def _at_once(terms: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    """What two threads say, as they say it. The main thread writes it: it can be interrupted, and they cannot."""
    heard: SimpleQueue[tuple[str, str, float] | None] = SimpleQueue()

    def speak(label: str) -> None:
        for word in words(label, **terms):
            heard.put((label, word, time.perf_counter()))
        heard.put(None)

    for label in LABELS:
        Thread(target=speak, args=(label,), name=label, daemon=True).start()
    for _ in LABELS:
        while (said := heard.get()) is not None:
            yield said


def _finding(alone: float, together: float) -> str:
    took = f"one after the other {alone:.2f} s, in two threads {together:.2f} s"
    if alone / together < _FASTER:
        return f"{took}: nothing was won, for there was too little to wait for."
    return f"{took}: while one thread waited, the other spoke."
