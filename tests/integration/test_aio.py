"""`gristmill.aio`: what the blocking names do, awaited, without holding up the loop."""

import asyncio
import threading
import time

import pytest

import gristmill
from gristmill import aio, open_batch
from gristmill.errors import InputError, ItemFailed
from tests.support.ledger import WORKER, heartbeat, outcomes, pop, run_all, submit


def record(ledger, failing=()):
    while chunk := pop(ledger):
        items = ledger.take(chunk).items
        done = [outcomes([item], "failed" if item.index in failing else "succeeded")[0] for item in items]
        ledger.record(chunk, done, 0.001, WORKER)


async def all_of(iterator):
    return [one async for one in iterator]


def test_the_names_are_those_of_the_package():
    assert sorted(aio.__all__) == sorted(gristmill.__all__)
    methods = {name for name in dir(gristmill.Batch) if not name.startswith("_")} - {"lots", "present"}
    assert methods <= set(dir(aio.Batch))


def test_a_batch_is_read_as_the_blocking_one_is(here):
    submit(here, "b", 250)
    run_all(here)

    async def read():
        batch = await aio.open_batch("b")
        assert (await batch.info()) == (await batch.wait(max_wait=1)) == (await aio.batches())[0]
        assert await all_of(batch.values()) == list(range(250))
        assert [result.index for result in await all_of(batch.results(in_order=True))] == list(range(250))
        assert sorted(result.index for result in await all_of(batch)) == list(range(250))
        assert await all_of(batch.results(follow=False)) == list(open_batch("b").results(follow=False))
        await batch.delete()
        with pytest.raises(InputError, match="'b'"):
            await aio.open_batch("b")

    asyncio.run(read())


def test_failures_states_and_control(here):
    submit(here, "b", 10)
    record(here, failing={3, 5})
    submit(here, "live", 4)

    async def read():
        batch = await aio.open_batch("b")
        values = batch.values()
        assert [await anext(values) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ItemFailed) as failed:
            await anext(values)
        assert failed.value.result.index == 3
        assert sorted(result.index for result in await all_of(batch.results(state="failed"))) == [3, 5]
        with pytest.raises(InputError):
            batch.results(state="lost")
        assert len(await all_of(batch.results(consume=True))) == 10
        assert (await batch.info()).consumed == 8
        for refused in (batch.retry, (await aio.open_batch("live")).resume):
            with pytest.raises(InputError, match="no worker on queue cpu knows"):
                await refused()
        live = await aio.open_batch("live")
        assert [await live.pause(), await live.pause()] == [True, False]
        assert (await live.cancel(kill=True)).cancelled == 4

    asyncio.run(read())


def test_many_wait_at_once_and_the_loop_goes_on(here):
    submit(here, "b", 20)
    turns = []

    async def tick():
        while True:
            turns.append(time.monotonic())
            await asyncio.sleep(0.01)

    async def read():
        batch = await aio.open_batch("b")
        ticking = asyncio.create_task(tick())
        waiting = [asyncio.create_task(batch.wait()) for _ in range(100)]
        following = [asyncio.create_task(all_of(batch)) for _ in range(100)]
        with pytest.raises(TimeoutError):
            await batch.wait(max_wait=0.5)
        assert len(turns) > 5
        await asyncio.to_thread(run_all, here)
        infos, results = await asyncio.gather(*waiting), await asyncio.gather(*following)
        ticking.cancel()
        assert {info.succeeded for info in infos} == {20}
        assert {len(each) for each in results} == {20}

    asyncio.run(read())


def test_a_coroutine_that_is_cancelled_returns_and_its_submit_can_be_repeated(here):
    begun, cancelled, ended = (threading.Event() for _ in range(3))

    def slowly():
        begun.set()
        cancelled.wait(60)
        yield from range(3)
        ended.set()

    async def read():
        first = asyncio.create_task(aio.submit("fibonacci", slowly(), name="s"))
        await asyncio.to_thread(begun.wait, 60)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        cancelled.set()
        await asyncio.to_thread(ended.wait, 60)
        again = await aio.submit("fibonacci", range(3), name="s", max_wait=10)
        assert (await again.info()).submitted == 3
        with pytest.raises(InputError, match="ten"):
            await aio.submit("fibonacci", ["ten"])

    asyncio.run(read())


def test_values_follow_while_items_are_recorded(here):
    here.heartbeat(WORKER, heartbeat(), [])
    submit(here, "b", 30)

    async def read():
        batch = await aio.open_batch("b")
        values = asyncio.create_task(all_of(batch.values(max_wait=60)))
        await asyncio.sleep(0.3)
        assert not values.done()
        await asyncio.to_thread(run_all, here)
        assert await values == list(range(30))

    asyncio.run(read())
