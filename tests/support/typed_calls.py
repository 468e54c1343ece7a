"""Calls of the public API, right and wrong: `test_types` runs type checkers on them, and nothing runs this file.

A line with a wrong call ends with the mark `# wrong`.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any, assert_type

from gristmill import Batch, BatchInfo, Result, State, aio, batches, cpu, io, open_batch, submit
from gristmill.errors import BatchCancelled, InputError, ItemFailed, ServerError, SettingError
from gristmill.files import new_file, open_under_root


@cpu
def square(n: int) -> int:
    """Return the square."""
    return n * n


@cpu(retries=2, time_limit=5)
def thumbnail(path: str, width: int = 256) -> str:
    """Return the path of a thumbnail."""
    with open_under_root(path) as photo, new_file("thumbnails") as small:
        small.write(photo.read(width))
        return small.publish("small.jpg")


@io(name="span")
def days_between(first: date, last: date) -> int:
    """Return the days between two dates."""
    return (last - first).days


@io
async def greet(name: str, word: str = "Hello") -> str:
    """Greet somebody."""
    return f"{word}, {name}"


@cpu
def report(parsed: Batch) -> str:
    """Return the states of a batch's results."""
    return ", ".join(result.state for result in parsed.results(state="succeeded"))


def calls() -> None:
    assert_type(square(3), int)
    assert_type(thumbnail("a.jpg", width=3), str)
    square.delay(3)
    square.s(3)
    square.s()
    thumbnail.s("a.jpg", width=3)
    thumbnail.s(width=3)
    thumbnail.si("a.jpg")
    thumbnail.apply_async(("a.jpg",), {"width": 3}, countdown=5)
    square("three")  # wrong
    square()  # wrong
    square.delay("three")  # wrong
    square.delay(3, 4)  # wrong
    square.s("three")  # wrong
    thumbnail.s("a.jpg", height=3)  # wrong
    thumbnail.si()  # wrong
    square.dealy(3)  # wrong


def submits() -> None:
    assert_type(submit(square, [1, 2]), Batch[int])
    assert_type(
        submit(square, (n for n in range(3)), name="squares", halt="fail=5%", ttl="7d", max_wait=10), Batch[int]
    )
    assert_type(submit(square, [{"n": 1}]), Batch[int])
    assert_type(submit(thumbnail, ["a.jpg"], set={"width": 128}, queue="io", priority=0), Batch[str])
    assert_type(submit(days_between, [{"first": date(2026, 1, 31), "last": date(2026, 2, 28)}]), Batch[int])
    assert_type(submit(days_between, ["2026-01-31"], set={"last": "2026-02-28"}), Batch[int])
    assert_type(submit("fetch", ["http://example.org/"]), Batch[Any])
    assert_type(submit(greet, ["Ada"]), Batch[str])
    assert_type(submit(greet, [{"name": "Ada", "word": "Hi"}]), Batch[str])
    assert_type(submit(greet, ["Ada"], set={"word": "Hi"}), Batch[str])
    submit(greet, [3])  # wrong
    submit(square, ["three"])  # wrong
    submit(square, 3)  # wrong
    submit(thumbnail, [b"a.jpg"])  # wrong
    submit(days_between, [date(2026, 1, 31)])  # wrong
    submit(square, [1], fixed={})  # wrong
    submit(square, [1], priority="first")  # wrong
    submit(print, ["a"])  # wrong
    submit(lambda n: n, [1])  # wrong


def follows(batch: Batch[int]) -> Iterator[int]:
    assert_type(batch.info(), BatchInfo)
    assert_type(batch.wait("10m"), BatchInfo)
    assert_type(list(batch), list[Result[int]])
    assert_type(list(batch.results(state=("failed", "dead"), in_order=True)), list[Result[int]])
    assert_type([result.value for result in batch], list[int])
    assert_type(list(batch.values(max_wait=60)), list[int])
    for info, results in batch.follow(consume=True):
        assert_type(info.state, State)
        assert_type([result.index for result in results], list[int])
    assert_type(batch.retry(cancelled=True), int)
    assert_type(batch.cancel(kill=True), BatchInfo)
    assert_type((batch.pause(), batch.resume()), tuple[bool, bool])
    batch.delete()
    batch.forget()  # wrong
    batch.wait(timeout=3)  # wrong
    words: list[str] = list(batch.values())  # wrong
    yield from batch.values()
    assert words


async def awaits(batch: aio.Batch[int]) -> None:
    assert_type(await aio.submit(square, [1, 2], name="squares", memory="1G", slots=2), aio.Batch[int])
    assert_type(await aio.submit(thumbnail, ["a.jpg"], set={"width": 128}, queue="io"), aio.Batch[str])
    assert_type(await aio.submit("fetch", ["http://example.org/"]), aio.Batch[Any])
    assert_type(await batch.wait("10m"), BatchInfo)
    assert_type(await aio.open_batch("first", task=greet), aio.Batch[str])
    assert_type([value async for value in batch.values()], list[int])
    assert_type([result async for result in batch], list[Result[int]])
    assert_type([results async for _, results in batch.follow()], list[list[Result[int]]])
    assert_type(await aio.submit(greet, ["Ada"]), aio.Batch[str])
    assert_type(await aio.submit(greet, [{"name": "Ada"}]), aio.Batch[str])
    assert_type(await aio.submit(greet, ["Ada"], set={"word": "Hi"}), aio.Batch[str])
    assert_type(await greet("Ada"), str)
    await aio.submit(square, ["three"])  # wrong
    await aio.submit(square, [1], fixed={})  # wrong
    await batch.wait(timeout=3)  # wrong


def finds() -> list[BatchInfo]:
    assert_type(open_batch("first"), Batch[Any])
    assert_type(open_batch("first", task=square), Batch[int])
    assert_type(open_batch("first", task=greet), Batch[str])
    assert_type(open_batch("first", task="square"), Batch[Any])
    open_batch("first", task=print)  # wrong
    try:
        return batches()
    except ItemFailed as error:
        assert_type(error.result, Result)
    except (BatchCancelled, InputError, ServerError, SettingError) as error:
        assert_type(error.exit_code, int)
    return []
