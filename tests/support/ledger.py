"""Steps of the ledger without any worker: a test submits a batch, pops the chunks' messages, records outcomes."""

import json

from gristmill.batches.chunk import Chunk, Outcome
from gristmill.batches.info import BatchInfo

FIELDS = {
    "task": "fibonacci",
    "queue": "cpu",
    "parameter": "n",
    "fixed": "{}",
    "fingerprint": "f",
    "retries": 0,
    "retry_seconds": 1,
    "chunk_seconds": 0.25,
    "submitted_by": "me@here",
}
WORKER = "cpu@a"


def heartbeat(slots=2, queue="cpu"):
    return {"queue": queue, "slots": slots}


def enlist(ledger, queue="cpu"):
    """A worker with 16 slots, if no other has sent a heartbeat: chunks are handed out where there is one.

    Ten seconds later it is taken for dead, unless it is enlisted again.
    """
    slots = ledger.client.hgetall(ledger.settings.key("slots_of"))
    if not slots or slots == {WORKER: f"16 {queue}"}:
        ledger.heartbeat(WORKER, heartbeat(16, queue), [])


def submit(ledger, name, count, block=100, **fields):
    """Submit a batch, for which there is a worker."""
    enlist(ledger, fields.get("queue", "cpu"))
    ledger.create(name, "token", {**FIELDS, **fields})
    for first in range(0, count, block):
        end = min(count, first + block)
        ledger.append(name, "token", first, [str(index) for index in range(first, end)], f"sha{end}")
    ledger.end(name, "token", 0)


def take_from(ledger, name, source, **fields):
    """Submit a batch whose items are values of another one."""
    ledger.create(name, "token", {**FIELDS, "from_batch": source, "from_states": "succeeded", **fields})


def queue_key(ledger, queue="cpu"):
    return ledger.settings.key(f"q:{queue}:0")


def pop(ledger, queue="cpu", *, stays=False):
    """Take one message and be done with it, unless it `stays` on the queue: its chunk."""
    entries = ledger.client.xrange(queue_key(ledger, queue), count=1)
    if not entries:
        return None
    identity, fields = entries[0]
    if not stays:
        ledger.client.xdel(queue_key(ledger, queue), identity)
    version, batch, epoch, first, count, _ = json.loads(json.loads(fields["m"])["body"])[0]
    assert version == 2
    return Chunk(batch, epoch, first, count)


def outcomes(items, state="succeeded", retry_ms=None):
    return [
        Outcome(item.index, state, item.attempt, _text(item, state), 0.1, WORKER, 1, retry_ms=retry_ms)
        for item in items
    ]


def _text(item, state):
    error = {"type": "ValueError", "message": str(item.value), "traceback": ""}
    return json.dumps(int(item.value) if state == "succeeded" else error)


def info(ledger, name):
    return BatchInfo.from_fields(name, ledger.state(name))


def states(ledger, *names):
    return [str(info(ledger, name).state) for name in names]


def counts(ledger):
    """What the server counts of the queue cpu, but for zeros."""
    texts = ledger.client.hgetall(ledger.settings.key("queue:cpu"))
    return {name: int(text) for name, text in texts.items() if int(text)}


def run_all(ledger, seconds_each=0.001, state="succeeded"):
    chunks = []
    while message := pop(ledger):
        chunk = message
        work = ledger.take(chunk)
        assert work is not None
        ledger.record(chunk, outcomes(work.items, state), seconds_each * chunk.count, WORKER)
        chunks.append(chunk)
    return chunks


def heal(ledger, chunks=()):
    """A heartbeat, to which every batch is due."""
    for batch in ledger.client.zrange(ledger.settings.key("due"), 0, -1):
        ledger.client.zadd(ledger.settings.key("due"), {batch: 0})
    ledger.heartbeat(WORKER, heartbeat(), chunks)


def age(ledger, name, chunk, ms):
    ledger.client.zincrby(ledger.key(name, "in_flight"), -ms, chunk.member)


def let_time_pass(ledger, name):
    """As if a lease had ended and every wait was over."""
    for part in ("in_flight", "retry"):
        for member in ledger.client.zrange(ledger.key(name, part), 0, -1):
            ledger.client.zadd(ledger.key(name, part), {member: 1})
    heal(ledger)
