"""What items wrote is kept with their outcomes, within a budget, and goes when they go."""

import pytest

from gristmill import open_batch
from gristmill.batches.chunk import Chunk, Outcome
from gristmill.batches.reader import ResultReader
from gristmill.batches.result_consumer import ResultConsumer
from tests.support.ledger import WORKER, info, submit


def outcome(index, state="succeeded", attempt=1, log=None, retry_ms=None):
    return Outcome(index, state, attempt, "1", 0.1, WORKER, 1, retry_ms, log)


@pytest.fixture
def record(ledger):
    submit(ledger, "b", 20, retries=3)
    epoch = int(ledger.state("b")["epoch"])
    return lambda *outcomes: ledger.record(Chunk("b", epoch, 0, 20), outcomes, 0.1, WORKER, rest=-1)


def logs(ledger):
    results = ResultReader(ledger.client, ledger.settings, "b").in_order(0, 20)
    return {result.index: result.log for result in results if result.log is not None}


def kept_bytes(ledger):
    return int(ledger.state("b").get("log_bytes", 0))


def test_an_outcome_has_its_log(ledger, record):
    record(outcome(0), outcome(1, log="whole\ngroup"), outcome(2), outcome(3, "failed", log="ß"), outcome(4, "dead"))
    assert logs(ledger) == {1: "whole\ngroup", 3: "ß"}
    assert kept_bytes(ledger) == len("whole\ngroup") + len("ß".encode())


def test_the_log_is_that_of_the_last_attempt(ledger, record):
    record(outcome(0, "failed", log="first", retry_ms=1), outcome(1, "failed", log="first", retry_ms=1))
    assert kept_bytes(ledger) == 10
    record(outcome(0, "failed", attempt=2, log="second"), outcome(1, attempt=2))
    assert logs(ledger) == {0: "second"}
    assert kept_bytes(ledger) == 6


def test_the_api_yields_logs_by_index(here, record):
    record(outcome(4, "failed", log="four"), outcome(1, log="one"), outcome(2))
    assert list(open_batch("b").logs()) == [(1, "one"), (4, "four")]


def test_a_duplicate_brings_no_log(ledger, record):
    record(outcome(0, "failed", log="first"))
    record(outcome(0, "failed", log="again"), outcome(0, "failed", attempt=2, log="late"))
    assert logs(ledger) == {0: "first"}


def test_a_spent_budget_is_told(ledger, record):
    ledger.settings = ledger.settings.model_copy(update={"batch_log_bytes": 10})
    record(outcome(0, "failed", log="x" * 6), outcome(1, "failed", log="y" * 6), outcome(2, "failed", log="z" * 4))
    assert logs(ledger) == {0: "x" * 6, 2: "z" * 4}
    assert info(ledger, "b").as_dict()["logs_lost"] == 1
    assert "1 run" in info(ledger, "b").lost_logs()


def test_consumed_results_take_their_logs_along(ledger, record):
    record(*(outcome(index, log="text") for index in range(20)))
    batch = info(ledger, "b")
    consumer = ResultConsumer(ledger.client, ledger.settings, "b", round(batch.created * 1000))
    list(consumer.noted(ResultReader(ledger.client, ledger.settings, "b").in_order(0, 20)))
    consumer.consume(below=20)
    assert ledger.client.exists(ledger.key("b", "logs")) == 0
    assert kept_bytes(ledger) == 0


def test_logs_expire_and_go_with_their_batch(ledger, record):
    submit(ledger, "c", 1, ttl=60_000)
    chunk = Chunk("c", int(ledger.state("c")["epoch"]), 0, 1)
    ledger.record(chunk, [outcome(0, "failed", log="text")], 0.1, WORKER)
    assert 0 < ledger.client.pttl(ledger.key("c", "logs")) <= 60_000
    ledger.delete("c")
    assert ledger.client.exists(ledger.key("c", "logs")) == 0


def test_retry_keeps_the_log_until_the_item_has_run_again(ledger, record):
    record(*(outcome(index) for index in range(19)), outcome(19, "failed", log="once"))
    assert ledger.client.hget(ledger.key("b", "logs"), "19") == "once"
    assert info(ledger, "b").failed == 1
