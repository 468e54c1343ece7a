"""Messages that no worker can run, for test_letters: whatever somebody may have put on a queue."""

import base64
import json
import uuid

ESCAPE = "\x1b]0;owned\x07\x1b[31m\u202e\x9b2J"
TASK = "tests.support.transport_app.mark"


def message(body=None, headers=None, properties=None, **envelope):
    """What Celery sends, with changes."""
    identity = str(uuid.uuid4())
    options = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return {
        "body": json.dumps([[1], {}, options]) if body is None else body,
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": TASK, "id": identity, "retries": 0, "ignore_result": True, **(headers or {})},
        "properties": {
            "correlation_id": identity,
            "delivery_info": {"exchange": "", "routing_key": "q"},
            "delivery_tag": identity,
            **(properties or {}),
        },
        **envelope,
    }


#: Deep enough to exhaust the stack of whoever copies it, and not that of whoever decodes it.
DEEP = "[" * 500 + "]" * 500

#: Headers that Celery would stumble over.
HEADERS = [
    {"id": None},
    {"id": [1]},
    {"task": {"a": 1}},
    {"task": None},
    {"root_id": {}},
    {"group": 5},
    {"shadow": [ESCAPE]},
    {"expires": ESCAPE},
    {"expires": {}},
    {"eta": "never"},
    {"eta": 7},
    {"retries": "many"},
    {"timelimit": 5},
    {"timelimit": [1, 2, 3]},
    {"timelimit": ["a", "b"]},
    {"argsrepr": 5},
    {"ignore_result": "yes"},
    {"stamped_headers": "x"},
    {"stamps": []},
    {"replaced_task_nesting": "x"},
    {"compression": "bzip99"},
    {"compression": [1]},
    {"x": json.loads(DEEP)},
]
#: Bodies that are no arguments of a task.
BODIES = [
    "{",
    "5",
    "null",
    '"text"',
    "[]",
    "[[1], {}]",
    "[{}, [], {}]",
    "[[1], {}, 5]",
    f"[[{DEEP}], {{}}, {{}}]",
    "[" * 100_000,
    json.dumps({"args": 5, "kwargs": {}}),
    "\ud800",
    ESCAPE,
]
#: Envelopes that are none, or of something else.
ENVELOPES = [
    message(
        **{"content-type": "application/x-python-serialize"}, body="gASVAA==", properties={"body_encoding": "base64"}
    ),
    message(**{"content-type": f"application/{ESCAPE}"}),
    message(**{"content-type": [1]}),
    message(**{"content-encoding": 5}),
    message(properties={"body_encoding": "base64"}, body=base64.b64encode(b"\xff\xfe\xfa").decode()),
    message(properties={"body_encoding": "base64"}, body="x"),
    message(properties={"body_encoding": "rot13"}),
    message(properties={"delivery_info": "q"}),
    message(properties={"delivery_info": {"consumer_tag": []}}),
    {**message(), "headers": [1]},
    {**message(), "headers": {}},
    {**message(), "headers": None, "body": json.dumps({"task": TASK})},
    {**message(), "headers": None, "body": json.dumps({"task": [TASK], "id": "a"})},
    {**message(), "headers": None, "body": json.dumps({"task": TASK, "id": "a", "args": 5})},
    {**message(), "headers": None, "body": json.dumps({"task": 5, "id": "a"})},
    {**message(), "body": 5},
    {**message(), "body": None},
    {**message(), "properties": None},
    {"version": 9},
    [],
    5,
    None,
]
#: Entries that are no JSON at all.
RAW = [
    b"",
    b"{",
    b"\xff\xfe\x00\x80",
    b"[" * 100_000,
    b'{"__type__": "uuid", "__value__": 5}',
    b'{"a": "\\ud800"}',
    ESCAPE.encode(),
]


def entries():
    """All of them, as the text of a queue's entry."""
    for headers in HEADERS:
        yield json.dumps(message(headers=headers)).encode()
    for body in BODIES:
        yield json.dumps(message(body=body)).encode()
    for envelope in ENVELOPES:
        yield json.dumps(envelope).encode()
    yield from RAW
