"""Bodies that nobody would send, through the real wire: no worker dies of one, and nothing else is lost.

`make fuzz` sends 100,000 of them; FUZZ_MESSAGES says how many otherwise.
"""

import json
import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gristmill.worker.slot.chunk_task import MESSAGE_VERSION
from tests.conftest import until

pytestmark = pytest.mark.slow

MESSAGES = int(os.environ.get("FUZZ_MESSAGES", "1000"))
#: Messages of one example: hypothesis's own time is most of it otherwise.
AT_ONCE = 50

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
depths = st.sampled_from([3, 90, 500, 2000, 20_000])
nested = st.builds(
    lambda depth, pair: pair[0] * depth + pair[1] * depth, depths, st.sampled_from(["[]", ('{"a":', "}")])
)
#: What stands for an argument list: JSON, all but JSON, or too deep.
bodies = st.one_of(
    values.map(json.dumps),
    st.tuples(st.lists(values, max_size=6), st.dictionaries(st.text(max_size=6), values, max_size=3)).map(
        lambda pair: json.dumps([*pair, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    ),
    st.text(max_size=60),
    nested,
    nested.map(lambda deep: f"[[{deep}],{{}},{{}}]"),
)
chunks = st.lists(values, max_size=6).map(lambda fields: json.dumps([[MESSAGE_VERSION, *fields], {}, {}]))


def envelope(task, body, headers, properties, odd):
    """A message as a worker expects it, but for what is odd."""
    message = {
        "body": body,
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {
            "lang": "py",
            "task": task,
            "id": "fuzz",
            "retries": 0,
            "argsrepr": "",
            "kwargsrepr": "",
            **headers,
        },
        "properties": {
            "correlation_id": "fuzz",
            "delivery_tag": "x",
            "delivery_info": {"routing_key": "io"},
            **properties,
        },
    }
    return json.dumps({**message, **odd})


fields = st.dictionaries(
    st.sampled_from(["id", "retries", "timelimit", "eta", "expires", "group", "root_id", "reply_to", "priority",
                     "delivery_info", "body_encoding", "ignore_result", "gm_token", "chain", "shadow"]),
    values.filter(lambda value: value != "base64"), max_size=3,
)  # fmt: skip
odd = st.dictionaries(
    st.sampled_from(["body", "headers", "properties", "content-type", "content-encoding"]), values, max_size=1
)
tasks = st.sampled_from(["eat", "munch", "celery.backend_cleanup", "celery.accumulate"])
messages = st.one_of(
    st.text(max_size=60),
    values.map(json.dumps),
    nested,
    st.builds(envelope, tasks, bodies, fields, fields, odd),
    st.builds(envelope, st.just("gristmill.chunk"), chunks | bodies, fields, st.just({}), st.just({})),
)
entries = st.tuples(st.sampled_from(["io", "cpu"]), st.integers(0, 9), messages)


#: Tasks that take anything and are done at once: nothing here shall wait for a day, because a number said so.
EATERS = """
from gristmill import cpu, io

@io
def eat(what: str = "", more: int = 0):
    return what

@cpu
def munch(what: str = "", more: int = 0):
    return what
"""


def processes(place):
    return {kind: place.worker(kind).pid for kind in ("cpu", "io")}


def waits_for_a_later_worker(text):
    """Whether it is the message of a chunk in a version that is still to come: that waits, however long."""
    try:
        message = json.loads(text)
        version = json.loads(message["body"])[0][0]
        return message["headers"]["task"] == "gristmill.chunk" and type(version) is int and version > MESSAGE_VERSION
    except (ValueError, LookupError, TypeError, RecursionError):
        # It has not been looked at yet, or is nested too deeply.
        return False


@pytest.mark.timeout(int(180 + MESSAGES / 20))
def test_no_worker_dies_of_what_it_is_sent(place):
    sent = 0
    (place.path / "eaters.py").write_text(EATERS)
    place.environ |= {"PYTHONPATH": str(place.path), "GRISTMILL_TASK_MODULES": "eaters"}
    # Most of them become dead letters, and each is to have room.
    room = {"GRISTMILL_DEAD_LETTER_BYTES": str(1 << 30)}
    with place.up("cpu", "io", "--cpu-slots", "1", "--io-slots", "8", in_peace=False, **room), place.ledger() as ledger:
        before, client = processes(place), ledger.client

        @settings(
            max_examples=max(1, MESSAGES // AT_ONCE), database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(st.lists(entries, min_size=AT_ONCE, max_size=AT_ONCE))
        def send(batch):
            nonlocal sent
            with client.pipeline(transaction=False) as pipe:
                for queue, level, text in batch:
                    pipe.execute_command("XADD", f"gm1:q:{queue}:{level}", "*", "m", text.encode(errors="replace"))
                pipe.execute()
            sent += len(batch)

        def left():
            streams = [f"gm1:q:{queue}:{level}" for queue in ("io", "cpu") for level in range(10)]
            number = sum(client.xlen(stream) for stream in streams)
            if number > sent / 100:
                return number
            texts = [fields["m"] for stream in streams for _, fields in client.xrange(stream)]
            return sum(not waits_for_a_later_worker(text) for text in texts)

        place.run("submit", "pause", *["0.01"] * 200, "--name", "good-io").good()
        place.run("submit", "fibonacci", *["15"] * 200, "--name", "good-cpu").good()
        send()
        for name in ("good-io", "good-cpu"):
            end = place.ended(name, 120 + MESSAGES / 50)
            assert (end.submitted, end.succeeded, end.left) == (200, 200, 0)
        until(lambda: left() == 0, 120 + MESSAGES / 50, "empty queues")
        assert processes(place) == before
        assert sent >= MESSAGES
        assert client.xlen("gm1:dead") > sent / 10
