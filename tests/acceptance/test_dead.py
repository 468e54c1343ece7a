"""`gristmill dead`: what was given up on is listed, put back or deleted, and nothing else happens to it."""

import json
import os
import pty
import subprocess
import sys
from contextlib import contextmanager

import pytest
from kombu import Connection
from redis import Redis

from gristmill.batches.ledger import Ledger
from gristmill.broker.address import from_redis
from gristmill.broker.dead_letters import DeadLetters
from gristmill.config.settings import load
from gristmill.producer.batch_options import DEFAULT_PRIORITY
from tests.conftest import until
from tests.support.command import GRISTMILL, PATIENCE, first_in_path
from tests.support.leases import end_leases

#: A plain Celery call, and the wait for its result.
CALL = "from gristmill.tasks.fibonacci import fibonacci; print(fibonacci.delay(20).id)"
WAIT = "import sys; from gristmill.tasks.application import app; print(app.AsyncResult(sys.argv[1]).get(timeout=60))"
#: The version of a chunk's message that a worker of the next release knows.
NEXT = 3
LATER = f"import gristmill.worker.slot.chunk_task\ngristmill.worker.slot.chunk_task.MESSAGE_VERSION = {NEXT}\n"
ANY = json.dumps({"headers": {"task": "any"}, "properties": {}, "body": ""})
#: Where messages of chunks stand.
CHUNKS = f"gm1:q:cpu:{DEFAULT_PRIORITY}"
HOSTILE = "\x1b]0;owned\x07\x9b31m\u2028[red]"


@contextmanager
def connected(place):
    with Redis.from_url(place.server().url, decode_responses=True) as client:
        yield client


def given_up(place, reason, queue="cpu", deaths=0):
    """Give up on the next message of a queue, as a worker would."""
    with Connection(from_redis(place.server().url)) as connection:
        channel = connection.default_channel
        message = until(lambda: channel.basic_get(queue))
        assert channel.qos.bury(message.delivery_tag, reason, deaths)
    end_leases()


def put(place, text, queue="cpu"):
    with connected(place) as client:
        return client.xadd(f"gm1:q:{queue}:0", {"m": text})


def called(place):
    done = place.process([sys.executable, "-c", CALL]).good()
    return done.out.strip()


def listed(place, *options):
    return place.run("dead", "list", "--json", *options).good().rows


class TestList:
    def test_none(self, place):
        with place.server_only():
            done = place.run("dead", "list").good()
            assert (done.out, done.err) == ("", "no dead letters\n")
            done = place.run("dead", "list", "--queue", "io", "--quiet").good()
            assert (done.out, done.err) == ("", "")
            rows = {row["check"]: row for row in place.run("doctor", "--json").rows}
            assert rows["dead letters"] == {
                "check": "dead letters",
                "state": "0, 0 of 67,108,864 bytes",
                "advice": "OK",
            }

    def test_what_they_are_as_a_table_and_as_json(self, place):
        with place.server_only():
            identity = called(place)
            given_up(place, "it ended its process", deaths=3)
            put(place, json.dumps({"headers": {"task": HOSTILE}, "properties": {}, "body": ""}), "io")
            given_up(place, HOSTILE, "io")
            first, second = listed(place)
            assert list(first) == [
                *("id", "queue", "priority", "reason", "deaths", "worker", "at", "task", "task_id", "bytes"),
            ]
            assert (first["queue"], first["priority"], first["deaths"]) == ("cpu", 0, 3)
            assert (first["reason"], first["task"]) == ("it ended its process", "fibonacci")
            assert first["task_id"] == identity
            assert (second["queue"], second["task"], second["reason"]) == ("io", HOSTILE, HOSTILE)
            assert listed(place, "--queue", "io") == [second]

            table = place.run("dead", "list").good().out
            assert [line.split()[0] for line in table.splitlines()] == ["id", first["id"], second["id"]]
            assert "\\x1b]0;owned\\x07\\x9b31m\\u2028[red]" in table
            raw = place.run("dead", "list", "--json").good().out
            for text in (table, raw):
                assert not {"\x1b", "\x07", "\x9b", "\u2028"} & set(text)

            done = place.run("doctor", "--json")
            (row,) = [row for row in done.rows if row["check"] == "dead letters"]
            assert row["state"].startswith("2, ")
            assert "gristmill dead list" in row["advice"]
            assert done.code == 1
            done = place.run("doctor", "--json", GRISTMILL_DEAD_LETTER_BYTES="900")
            (row,) = [row for row in done.rows if row["check"] == "dead letters"]
            assert "nearly full" in row["advice"]
            assert "GRISTMILL_DEAD_LETTER_BYTES" in row["advice"]


class TestRequeueAndDrop:
    def test_a_requeued_letter_runs(self, place):
        """Put back while no worker knows its task; the next one runs it."""
        with place.server_only():
            identity = called(place)
            given_up(place, "tried", deaths=3)
            (dead_letter,) = listed(place)
            done = place.run("dead", "requeue", dead_letter["id"]).good()
            assert (done.out, done.err) == ("", "requeued 1 dead letter\n")
            assert listed(place) == []
        with place.up("cpu", "--cpu-slots", "1"):
            assert place.process([sys.executable, "-c", WAIT, identity]).good().out == "6765\n"
            assert place.run("dead", "list").good().err == "no dead letters\n"

    def test_by_their_ids_or_all(self, place):
        with place.server_only():
            for _ in range(5):
                put(place, ANY)
                given_up(place, "tried")
            ids = [row["id"] for row in listed(place)]
            place.run("dead", "delete", ids[1], ids[3]).good()
            assert [row["id"] for row in listed(place)] == [ids[0], ids[2], ids[4]]
            assert place.run("dead", "requeue", ids[2], ids[0], "--quiet").good().err == ""
            assert place.run("dead", "delete", "--all").good().err == "deleted 1 dead letter\n"
            assert listed(place) == []
            with connected(place) as client:
                assert (client.xlen("gm1:q:cpu:0"), client.get("gm1:dead:bytes")) == (2, "0")
            assert place.run("dead", "requeue", "--all").good().err == "requeued 0 dead letters\n"

    def test_bad_input_names_itself_and_changes_nothing(self, place):
        with place.server_only():
            put(place, ANY)
            given_up(place, "tried")
            (dead_letter,) = listed(place)
            place.run("dead", "delete", dead_letter["id"], "5-0").refused("'5-0'", "gristmill dead list")
            place.run("dead", "requeue", "first").refused("'first'", "1767225600000-0")
            place.run("dead", "requeue").refused("--all", "not both")
            place.run("dead", "delete", dead_letter["id"], "--all").refused("--all", "not both")
            place.run("dead", "lst").refused("'lst'")
            assert listed(place) == [dead_letter]

    @pytest.mark.parametrize(("answer", "left"), [(b"n\n", 1), (b"y\n", 0)])
    def test_drop_all_asks_on_a_terminal(self, place, answer, left):
        with place.server_only():
            put(place, ANY)
            given_up(place, "tried")
            code, said = on_a_terminal(place, ["dead", "delete", "--all"], answer)
            assert "Delete 1 dead letter (" in said
            assert code == (130 if left else 0)
            assert len(listed(place)) == left
            code, said = on_a_terminal(place, ["dead", "delete", "--all", "--yes"], b"")
            assert (code, "Drop" in said) == (0, False)

    def test_without_a_fleet_just_the_server_is_started(self, place):
        with place.server_only():
            put(place, "{")
            with Connection(from_redis(place.server().url)) as connection:
                assert connection.default_channel.basic_get("cpu") is None
            end_leases()
        (dead_letter,) = listed(place)
        assert dead_letter["reason"].startswith("malformed")
        place.run("dead", "delete", dead_letter["id"]).good()
        assert listed(place) == []
        assert not (place.home.path / "server.json").exists()


def on_a_terminal(place, arguments, typed):
    """Run a command with a terminal, type into it; answers its exit code and what the terminal showed."""
    ours, theirs = pty.openpty()
    command = [GRISTMILL, *arguments]
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with subprocess.Popen(command, **streams, cwd=place.cwd, env=place.environ, start_new_session=True) as process:
        os.close(theirs)
        os.write(ours, typed)
        code = process.wait(PATIENCE)
    shown = b""
    try:
        while part := os.read(ours, 1024):
            shown += part
    except OSError:
        # Nobody holds the other end any more.
        pass
    os.close(ours)
    return code, shown.decode()


class TestOtherVersions:
    @pytest.mark.slow
    def test_a_chunk_of_a_later_version_waits_for_a_worker_that_knows_it(self, place):
        """It takes no slot from others, is never given up on, and is run once."""
        modules = place.path / "modules"
        modules.mkdir()
        (modules / "later.py").write_text(LATER)
        with place.server_only():
            names = [f"later-{number}" for number in range(4)]
            for name in names:
                place.run("submit", "fibonacci", "10", "--name", name, "--quiet").good()
            with connected(place) as client:
                assert raised(client) == 4
        with place.up("cpu", "--cpu-slots", "1") as running:
            place.run("submit", "fibonacci", "20", "21", "--name", "now", "--follow", "--quiet").good()
            running.says(f"chunk message of version {NEXT}: this worker knows version {NEXT - 1}")
            with connected(place) as client:
                assert client.xlen(CHUNKS) == 4
                assert len(DeadLetters(client, load({}))) == 0
        with place.up("cpu", "--cpu-slots", "1", GRISTMILL_TASK_MODULES="later", PYTHONPATH=first_in_path(modules)):
            for name in names:
                info = place.ended(name)
                assert (info.succeeded, info.left, info.duplicates) == (1, 0, 0)


def raised(client):
    """Make the chunks' messages on queue cpu ones of the next version, where the batch knows them; answers how many."""
    # The messages are put where there is a worker: one that ends before it takes them.
    Ledger(client, load({})).heartbeat("gone", {"queue": "cpu", "slots": 4}, [])
    entries = client.xrange(CHUNKS)
    for identity, fields in entries:
        message = json.loads(fields["m"])
        arguments, *rest = json.loads(message["body"])
        _, batch, _, first, count, *_ = arguments
        message["body"] = json.dumps([[NEXT, *arguments[1:]], *rest])
        place = client.xadd(CHUNKS, {"m": json.dumps(message)})
        client.hset(f"gm1:batch:{batch}:message_of", f"{first}:{count}", f"{DEFAULT_PRIORITY}/{place}")
        client.xdel(CHUNKS, identity)
    return len(entries)
