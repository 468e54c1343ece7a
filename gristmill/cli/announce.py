"""`gristmill announce`."""

import time
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import Any

import click

from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import as_they_come, print_json, write
from gristmill.cli.options.values import Duration, Integer
from gristmill.tasks.announce import words

LABELS = ("numbers", "letters")
#: The least ratio of both times that shows that the two waited side by side.
_FASTER = 1.2


@new_command("announce")
@click.option(
    "--count", type=Integer(1, 26), default=5, show_default=True, metavar="N", help="Words that each says, up to 26."
)
@click.option(
    "--seconds",
    type=Duration(0, 60),
    default=0.5,
    show_default=True,
    metavar="S",
    help="Pause between two words, up to 60.",
)
@options.as_json
def command(count: int, seconds: float, as_json: bool) -> None:
    """Print numbers and letters, first one after the other, then in two threads at once.

    The textbook's first example of threads: while one thread waits, the other speaks, so both end in half the time.

    \b
    Examples:
      gristmill announce
      gristmill announce --count 10 --seconds 0.2
    """
    options = {"count": count, "seconds": seconds}
    times = []
    for run, spoken in (("sequential", _in_turn(options)), ("threads", _at_once(options))):
        if not as_json:
            write("one after the other:" if run == "sequential" else "in two threads:")
        started_at = time.perf_counter()
        for thread, text, moment in as_they_come(spoken):
            at = round(moment - started_at, 3)
            if as_json:
                print_json({"run": run, "thread": thread, "word": text, "at": at})
            else:
                write(f"  {at:6.2f} s  {thread:<10}  {text}")
        times.append(time.perf_counter() - started_at)
    if not as_json:
        write(_finding(*times))


def _in_turn(options: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    for label in LABELS:
        for word in words(label, **options):
            yield current_thread().name, word, time.perf_counter()


def _at_once(options: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Yield what two threads say, as they say it. The main thread prints it, since Ctrl-C interrupts only that one."""
    spoken: SimpleQueue[tuple[str, str, float] | None] = SimpleQueue()

    def speak(label: str) -> None:
        for word in words(label, **options):
            spoken.put((label, word, time.perf_counter()))
        spoken.put(None)

    for label in LABELS:
        Thread(target=speak, args=(label,), name=label, daemon=True).start()
    for _ in LABELS:
        while (word := spoken.get()) is not None:
            yield word


def _finding(sequential: float, together: float) -> str:
    times = f"one after the other {sequential:.2f} s, in two threads {together:.2f} s"
    if sequential / together < _FASTER:
        return f"{times}: nothing was gained, for there was too little to wait for."
    return f"{times}: while one thread waited, the other spoke."
