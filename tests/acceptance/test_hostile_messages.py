"""Messages that would run code where they are read: each becomes a dead letter, and none of its code runs."""

import json
import os
import pickle
from base64 import b64encode

import pytest

from tests.conftest import until


class Trap:
    """An object whose pickle makes a directory when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def pickled(path):
    return pickle.dumps([[Trap(path)], {}, {}])


def yaml(path):
    return f"[[!!python/object/apply:os.mkdir [{path}]], {{}}, {{}}]".encode()


@pytest.mark.parametrize(
    ("content_type", "encoding", "body"),
    [("application/x-python-serialize", "binary", pickled), ("application/x-yaml", "utf-8", yaml)],
    ids=["pickle", "yaml"],
)
def test_a_body_that_is_code_is_not_read(place, content_type, encoding, body):
    trap = place.path / "trap"
    message = {
        "body": b64encode(body(trap)).decode(),
        "content-type": content_type,
        "content-encoding": encoding,
        "headers": {"lang": "py", "task": "pause", "id": "trap", "retries": 0},
        "properties": {
            "correlation_id": "trap",
            "delivery_tag": "x",
            "delivery_info": {"routing_key": "io"},
            "body_encoding": "base64",
        },
    }
    with place.up("io", in_peace=False), place.ledger() as ledger:
        before = place.worker("io").pid
        ledger.client.xadd("gm1:q:io:0", {"m": json.dumps(message)})
        until(lambda: ledger.client.xlen("gm1:dead") == 1, what="a dead letter")
        (row,) = place.run("dead", "list", "--json").good().rows
        assert row["task"] in ("pause", None)
        assert place.run("run", "pause", "0.01").code == 0
        assert place.worker("io").pid == before
    assert not trap.exists()
