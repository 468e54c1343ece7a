"""Steps of a batch under control, one at a time."""

from gristmill.batches.reader import ResultReader
from tests.support.ledger import WORKER, outcomes, pop


def begin(ledger, worker=WORKER):
    """Take one message, and begin its chunk: the chunk and its items."""
    chunk = pop(ledger)
    return chunk, ledger.take(chunk, worker).items


def record(ledger, chunk, items, state="succeeded", rest=0, retry_ms=None):
    return ledger.record(chunk, outcomes(items, state, retry_ms), 0.001 * len(items), WORKER, rest=rest)


def results(ledger, count):
    return list(ResultReader(ledger.client, ledger.settings, "b").in_order(0, count))


def keys(ledger):
    return sorted(ledger.client.scan_iter(ledger.settings.key("batch:*")))


def submit_failed(ledger):
    """Run what is on the queue; all of it fails."""
    while chunk := pop(ledger):
        record(ledger, chunk, ledger.take(chunk, WORKER).items, "failed")


def run_all_again(ledger):
    while chunk := pop(ledger):
        work = ledger.take(chunk, WORKER)
        if work is not None:
            record(ledger, chunk, work.items)
