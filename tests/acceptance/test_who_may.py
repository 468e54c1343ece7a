"""Who may have programs run: workers that a setting allows to, asked by users of the server that may ask them."""

import os
import sys
import time

import pytest
from redis.exceptions import NoPermissionError

from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load
from gristmill.server.scripts import source
from tests.conftest import until
from tests.support.roles import PROGRAMS, roles

#: A plain call of the task, and of another one that shows that the worker takes calls.
PLAIN_CALL = """
import os
os.environ["GRISTMILL_COMMANDS"] = "any"
from gristmill.tasks.application import app
command = {"words": ["touch", os.environ["TEST_MARK"]]}
app.send_task("program", kwargs={"input": "x", "command": command}, queue="cpu")
app.send_task("fibonacci", args=[5], queue="cpu").get(timeout=60)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with roles(tmp_path_factory.mktemp("who"), "shop:") as running:
        yield running


def worker(place, served, role, **settings):
    """A cpu worker of that user, once it has joined."""
    environ = served.settings(role)
    command = [sys.executable, "-P", "-m", "gristmill.worker", "cpu", "--slots", "1"]
    started = place.started(command, **environ, **settings)

    class Joined:
        def __enter__(self):
            started.__enter__()
            key = environ["GRISTMILL_PREFIX"] + "gm1:workers"
            until(lambda: served.admin.zcard(key), what="a worker")

        def __exit__(self, *error):
            served.admin.delete(environ["GRISTMILL_PREFIX"] + "gm1:workers")
            return started.__exit__(*error)

    return Joined()


def forged(served, mark):
    """A batch of the task `program`, as somebody stores it who does not ask our checks."""
    ledger = Ledger(served.client("producer"), load({"GRISTMILL_PREFIX": served.prefix}))
    command = f'{{"command": {{"words": ["touch", "{mark}"]}}}}'
    fields = {
        "task": "program", "kind": "cpu", "queue": "cpu", "parameter": "input", "fixed": command, "fingerprint": "x",
        "retries": 0, "retry_seconds": 1, "chunk_seconds": 1, "submitted_by": "mallory", "priority": 5, "ttl": 60_000,
        "keep_logs": "all",
    }  # fmt: skip
    ledger.create("forged", "token", fields)
    ledger.append("forged", "token", 0, ['"x"'], "sha")
    ledger.end("forged", "token", 0)
    return ledger


def test_a_worker_that_was_not_told_to_runs_none_for_anybody(place, served, tmp_path):
    """By our commands, by a batch that was stored past them, by a plain message of Celery."""
    mark, producer = tmp_path / "mark", served.settings("producer")
    with worker(place, served, "worker"):
        for settings in (producer, {**producer, "GRISTMILL_COMMANDS": "any"}):
            refusal = place.run("submit", "--", "touch", str(mark), ":::", "x", **settings).refused()
            assert "GRISTMILL_COMMANDS" in refusal
        ledger = forged(served, mark)
        place.process([sys.executable, "-P", "-c", PLAIN_CALL], **producer, TEST_MARK=str(mark))
        until(
            lambda: served.admin.hlen(f"{served.prefix}gm1:batch:forged:started"), what="the forged chunk to be taken"
        )
        time.sleep(2)
        assert ledger.infos(["forged"])[0].left == 1
    assert not mark.exists()
    ledger.delete("forged")


def test_those_who_may_have_programs_run(place, served):
    with worker(place, served, "program_worker", GRISTMILL_COMMANDS="any"):
        producer = served.settings("program_producer")
        done = place.run("submit", "--follow", "--", "echo", "got", ":::", "a", "b", **producer).good()
        assert sorted(done.out.split()) == ["a", "b", "got", "got"]
        # A viewer sees neither the command nor its variables.
        with served.client("viewer") as viewer, pytest.raises(NoPermissionError):
            viewer.hgetall(f"{served.prefix}{PROGRAMS}gm1:batch:x:state")


@pytest.mark.parametrize("role", ["producer", "dashboard", "viewer", "worker"])
def test_nobody_else_reaches_what_their_workers_read(served, role):
    prefix = served.prefix + PROGRAMS
    attempts = [
        ("XADD", f"{prefix}gm1:q:cpu:5", "*", "m", "{}"),
        ("HSET", f"{prefix}gm1:batch:b:state", "task", "program"),
        ("ZADD", f"{prefix}gm1:wanting:cpu", "1", "b"),
        ("SET", f"{prefix}gm1:schema", "2"),
        ("LPUSH", f"{prefix}cpu", "{}"),
        ("PUBLISH", f"{prefix}/0.gristmill.pidbox", "{}"),
        ("EVAL", f"return redis.call('HSET', '{prefix}gm1:batch:b:state', 'task', 'program')", "0"),
    ]
    with served.client(role) as client:
        for attempt in attempts:
            with pytest.raises(Exception, match=r"(?i)permission|ACL failure"):
                client.execute_command(*attempt)
        script = source("batches/create")
        fields = {"batch": "b", "token": "t", "lease": 1000, "fields": ["task", "program", "fingerprint", "x"]}
        with pytest.raises(Exception, match=r"(?i)permission|ACL failure"):
            client.eval(script.text, 0, *script.flat(prefix, fields))
    assert served.admin.keys(f"{prefix}gm1:batch:b:*") == []


def test_a_program_has_no_secret_of_its_worker(place, served, tmp_path):
    secret = tmp_path / "password"
    secret.write_text(served.passwords["program_worker"])
    with worker(place, served, "program_worker", GRISTMILL_COMMANDS="any"):
        producer = {**served.settings("program_producer"), "GIVEN_AWAY": "with-the-batch"}
        words = ["submit", "--follow", "--env", "GIVEN_AWAY", "--env", "OWN=1", "--", "sh", "-c", "env", ":::", "x"]
        out = place.run(*words, **producer).good().out
        assert {"GIVEN_AWAY=with-the-batch", "OWN=1"} <= {*out.splitlines()}
        assert "GRISTMILL_" not in out
        assert served.passwords["program_worker"] not in out
        assert not any(value in out for name, value in os.environ.items() if name.startswith("GRISTMILL_"))
