"""What async peers run: the tasks of work.py as coroutines, which such peers run best."""

import asyncio

import work


async def noop(number: int) -> None:
    """Nothing at all."""
    work.noop(number)


async def lot(numbers: list[int]) -> None:
    """Many no-ops in one message."""
    work.lot(numbers)


async def cpu(number: int) -> None:
    """About 10 ms of CPU."""
    work.cpu(number)


async def wait(number: int) -> None:  # noqa: ARG001 - like the others
    """100 ms of waiting."""
    await asyncio.sleep(work.WAIT_SECONDS)
    work.tally().done()


async def light(submitted: float) -> None:
    """Note how long it is since then."""
    work.light(submitted)


async def marked(number: int) -> None:
    """Half a second of waiting, with a mark at its begin and its end."""
    work.mark(number, "began")
    await asyncio.sleep(work.MARKED_SECONDS)
    work.mark(number, "ended")


TASKS = (noop, lot, cpu, wait, light, marked)
