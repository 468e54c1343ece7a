"""Drop-in: what Celery promises of tasks, of what they are put together to and of inspection, on either pool."""

import pytest

from tests.conftest import until
from tests.support.dropin_bench import DropIn

POOLS = {"prefork": 2, "threads": 4}
IMPORTS = "from celery import chain, chord, group\nfrom celery.result import GroupResult\n"


@pytest.fixture(scope="module", params=POOLS)
def mill(request, server, tmp_path_factory):
    """A bench with one worker."""
    bench = DropIn(server.url, tmp_path_factory.mktemp("suite"))
    bench.pool = request.param
    bench.worker(request.param, POOLS[request.param], 4)
    bench.ready()
    yield bench
    bench.close()


@pytest.fixture(scope="module", params=POOLS)
def replies(request, server, tmp_path_factory):
    """A bench with one worker that sends results as messages."""
    bench = DropIn(server.url, tmp_path_factory.mktemp("rpc"), TEST_BACKEND="rpc://")
    bench.worker(request.param, POOLS[request.param], 4)
    bench.ready()
    yield bench
    bench.close()


def answers(bench, table):
    """What a program gets that does all of a table, by name."""
    steps = "".join(f"{sent}\nanswers[{name!r}] = {question}\n" for name, (sent, question, _) in table.items())
    answers = bench.ask("answers", f"{IMPORTS}answers = {{}}\n{steps}")
    bench.ended()
    return answers


def expected(table):
    return {name: answer for name, (_, _, answer) in table.items()}


#: What is sent; what is asked then; the answer.
TASKS = {
    "named arguments": ("sent = add.delay(one=1, other=2)", "sent.get(timeout=50)", 3),
    "long and strange text": ("sent = add.delay('é\\0' * 50_000, '🦉')", "len(sent.get(timeout=50))", 100_001),
    "a result that nobody wants": ("sent = add.apply_async((1, 2), ignore_result=True)", "sent.get(timeout=50)", None),
    "too late": (
        "sent = add.apply_async((1, 2), expires=-1); sent.get(propagate=False, timeout=50)",
        "sent.state",
        "REVOKED",
    ),
    "revoked while it waits": (
        "sent = add.apply_async((1, 2), countdown=0.5); sent.revoke(); sent.get(propagate=False, timeout=50)",
        "sent.state",
        "REVOKED",
    ),
    "too many retries": (
        "sent = twice.apply_async((1, 0), retries=5); sent.get(propagate=False, timeout=50)",
        "[sent.state, sent.result]",
        ["SUCCESS", 5],
    ),
    "an exception that cannot be made anew": (
        "sent = end_by.delay('odd'); sent.get(propagate=False, timeout=50)",
        "[sent.state, '1 and 2' in str(sent.result)]",
        ["FAILURE", True],
    ),
    "rejected": ("sent = end_by.delay('reject'); sent.get(propagate=False, timeout=50)", "sent.state", "FAILURE"),
    "rejected for such an exception": (
        "sent = end_by.delay('odd reject'); sent.get(propagate=False, timeout=50)",
        "sent.state",
        "FAILURE",
    ),
    "ignored by such an exception": ("end_by.delay('odd ignore'); sent = add.delay(1, 2)", "sent.get(timeout=50)", 3),
    "ignored": ("end_by.delay('ignore'); sent = add.delay(1, 2)", "sent.get(timeout=50)", 3),
    "properties": ("sent = properties.apply_async(app_id='me')", "sent.get(timeout=50)", ["me", "q"]),
    "a task in the place of another": ("sent = replaced.delay(2)", "sent.get(timeout=50)", 5),
}

CANVAS = {
    "ids": (
        "sent = (ids.si() | ids.si() | ids.si()).delay(); last = sent.get(timeout=50)",
        "[last[0] == sent.parent.parent.id, last[1] == sent.parent.id]",
        [True, True],
    ),
    "a group in the place of a task in a chord": (
        "sent = chord([spread.s([1, 2], 10), add.s(1, 1)])(flat.s())",
        "sent.get(timeout=50)",
        [[11, 12], 2],
    ),
    "a group in a chain": (
        "sent = (add.s(1, 1) | group(add.s(n) for n in range(3)) | total.s()).delay()",
        "sent.get(timeout=50)",
        9,
    ),
    "chords in a chord": (
        "sent = chord([chord([add.s(n, n) for n in range(3)], total.s()) for _ in range(3)])(total.s())",
        "sent.get(timeout=50)",
        18,
    ),
    "a group's results in any order": (
        "sent = group(add.s(n, n) for n in range(20)).delay()",
        "sorted(value for _, value in ((r, r.get(timeout=50)) for r in sent))",
        [2 * n for n in range(20)],
    ),
    "a group that is stored": (
        "sent = group(add.s(n, 1) for n in range(3)).delay(); sent.save()",
        "GroupResult.restore(sent.id, app=app).get(timeout=50)",
        [1, 2, 3],
    ),
    "a failure in a group": (
        "sent = group(add.s(1, 1), fail.s()).delay(); sent.get(propagate=False, timeout=50)",
        "[sent.failed(), sent.completed_count()]",
        [True, 1],
    ),
    "a chain of chains": (
        "sent = chain(chain(add.s(1, 1), add.s(1)), group(add.s(1), add.s(2)), total.s()).delay()",
        "sent.get(timeout=50)",
        9,
    ),
    "an immutable step": ("sent = (add.s(1, 1) | add.si(5, 5)).delay()", "sent.get(timeout=50)", 10),
}


def test_tasks(mill):
    assert answers(mill, TASKS) == expected(TASKS)


def test_what_is_put_together(mill):
    assert answers(mill, CANVAS) == expected(CANVAS)


def test_time_limits_of_a_pool_process(mill):
    if mill.pool == "threads":
        pytest.skip("Celery has no time limits in threads")
    assert mill.ask("notice_the_limit.delay().get(timeout=50)") == "noticed"
    sent = "sent = ignore_the_limit.delay(); sent.get(propagate=False, timeout=50)"
    assert mill.ask("[sent.state, type(sent.result).__name__]", sent) == ["FAILURE", "TimeLimitExceeded"]
    mill.ended()


#: A question of `app.control.inspect()`, and what is asked of the worker's answer.
INSPECT = {
    "ping()": "answer == {'ok': 'pong'}",
    "registered()": "add.name in answer",
    "active_queues()": "[queue['name'] for queue in answer] == ['q']",
    "stats()": "answer['broker']['transport'] == 'gristmill'",
    "conf()": "answer['task_default_queue'] == 'q'",
    "report()": "'software' in answer['ok']",
    "clock()": "answer['clock'] > 0",
    "revoked()": "isinstance(answer, list)",
    "scheduled()": "answer == []",
}


def test_inspection(mill):
    table = {
        question: (f"(answer,) = app.control.inspect(timeout=30, limit=1).{question}.values()", holds, True)
        for question, holds in INSPECT.items()
    }
    assert answers(mill, table) == expected(table)


def test_inspection_of_what_runs_and_of_what_is_reserved(mill):
    slots, name = POOLS[mill.pool], "inspect"
    mill.send(f"for n in range({slots} + 1): mark.apply_async((n,), {{'hold': '{name}'}}, task_id=f'{name}-{{n}}')")

    def active():
        return sorted(each["id"] for each in mill.inspect("active()"))

    until(lambda: len(active()) == slots)
    assert active() == [f"{name}-{n}" for n in range(slots)]
    assert not any(each["delivery_info"]["redelivered"] for each in mill.inspect("active()"))
    assert [each["id"] for each in mill.inspect("reserved()")] == [f"{name}-{slots}"]
    ((state, request),) = mill.inspect(f"query_task('{name}-0')").values()
    assert (state, request["id"]) == ("active", f"{name}-0")
    mill.go(name)
    mill.ended()


REPLIES = {
    "a result": ("sent = add.delay(1, 2)", "sent.get(timeout=50)", 3),
    "many results": (
        "sent = [add.delay(n, n) for n in range(30)]",
        "[each.get(timeout=50) for each in sent]",
        [2 * n for n in range(30)],
    ),
    "a group's results": (
        "sent = group(add.s(n, n) for n in range(10)).delay()",
        "sent.get(timeout=50)",
        [2 * n for n in range(10)],
    ),
    "a chain's result": ("sent = (add.s(1, 1) | add.s(2) | add.s(3)).delay()", "sent.get(timeout=50)", 7),
    "a failure": ("sent = fail.delay(); sent.get(propagate=False, timeout=50)", "sent.state", "FAILURE"),
    "a retry": ("sent = twice.delay(1, 0.2)", "sent.get(timeout=50)", 1),
    "a task that came again": ("sent = reject_first.delay(1)", "sent.get(timeout=50)", 1),
    "one result read twice": ("sent = add.delay(1, 2); sent.get(timeout=50)", "sent.get(timeout=50)", 3),
}


def test_results_that_come_as_messages(replies):
    assert answers(replies, REPLIES) == expected(REPLIES)
