"""Batches of ours: each list is a batch, whose items are recorded with their results."""

import time
from collections.abc import Iterable

import work

from gristmill import submit
from gristmill.tasks.kinds import cpu, io


@cpu
def noop(number: int) -> None:
    """Nothing at all."""
    work.noop(number)


@cpu
def lot(numbers: list[int]) -> None:
    """Many no-ops in one item, as a user would pack them by hand."""
    work.lot(numbers)


@cpu(name="cpu")
def compute(number: int) -> None:
    """About 10 ms of CPU."""
    work.cpu(number)


@cpu
def fib10(number: int) -> None:
    """The light task of Windmill's comparison."""
    work.fib10(number)


@cpu
def fib33(number: int) -> None:
    """The long task of Windmill's comparison."""
    work.fib33(number)


@io
def wait(number: int) -> None:
    """100 ms of waiting."""
    work.wait(number)


@io
def marked(number: int) -> None:
    """Half a second of waiting, with a mark at its begin and its end."""
    work.marked(number)


def put_one(task: str, argument: object) -> None:
    """Put a batch of one item, and wait for nothing."""
    submit(task, [argument])


def put_many(task: str, arguments: range) -> str:
    """Put a batch; its name."""
    return submit(task, arguments, name=f"{task}-{time.time_ns()}").name


def put_lots(lists: Iterable[list[int]]) -> str:
    """Put a batch whose items are lists of no-ops; its name."""
    return submit("lot", lists, name=f"lots-{time.time_ns()}").name
