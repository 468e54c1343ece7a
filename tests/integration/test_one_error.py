"""What a Python program sees while the server is away: one error in one line, whatever it asks for."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.forked import run_to_end
from tests.support.proxy import Proxy

#: What programs ask for, and the error that they get.
CALLS = {
    "fibonacci.delay(3)": "ServerError",
    "group(fibonacci.s(1), fibonacci.s(2)).delay()": "ServerError",
    "(fibonacci.si(1) | fibonacci.si(2)).delay()": "ServerError",
    "chord([fibonacci.s(1)], fibonacci.si(2)).delay()": "ServerError",
    "app.AsyncResult('x').get(timeout=2)": "ServerError",
    "app.AsyncResult('x').state": "ServerError",
    "app.AsyncResult('x').forget()": "ServerError",
    "app.control.inspect(timeout=1).active()": "ServerError",
    "submit('fibonacci', [1])": "ServerError",
    "enqueue_many(fibonacci, [(1,), (2,)])": "OperationalError",
}
PROGRAM = """
from celery import chord, group
from gristmill import submit
from gristmill.broker.enqueue import enqueue_many
from gristmill.tasks.application import app
from gristmill.tasks.fibonacci import fibonacci
{call}
"""


def test_each_call_raises_one_error_without_a_chain(tmp_path):
    # The discard port: nothing listens.
    environ = {**os.environ, "GRISTMILL_REDIS_URL": "redis://127.0.0.1:9/0", "GRISTMILL_HOME": str(tmp_path)}

    def run(call):
        return run_to_end([sys.executable, "-c", PROGRAM.format(call=call)], None, tmp_path, environ, 60)

    with ThreadPoolExecutor(len(CALLS)) as pool:
        ended = dict(zip(CALLS, pool.map(run, CALLS), strict=True))
    for call, (code, _, err) in ended.items():
        text = err.decode()
        assert code == 1, call
        assert text.count("Traceback") == 1, f"{call}: {text}"
        (line,) = [line for line in text.splitlines() if "Error: " in line and not line.startswith(" ")]
        assert CALLS[call] in line.partition(":")[0], line
        assert "restarted" not in text, call


@pytest.mark.parametrize(
    ("call", "reply", "output"),
    [("print(app.AsyncResult('cut').result)", b"a value", "a value\n"), ("app.AsyncResult('cut').forget()", b":1", "")],
    ids=["read", "forget"],
)
def test_a_result_is_read_and_deleted_though_connections_break(server, client, tmp_path, call, reply, output):
    client.set("celery-task-meta-cut", json.dumps({"status": "SUCCESS", "result": "a value", "task_id": "cut"}))
    with Proxy(server.port) as proxy:
        proxy.cut_next(reply, times=2)
        url = server.url.replace(f":{server.port}", f":{proxy.port}")
        environ = {**os.environ, "GRISTMILL_REDIS_URL": url, "GRISTMILL_HOME": str(tmp_path)}
        program = [sys.executable, "-c", PROGRAM.format(call=call)]
        ended = subprocess.run(program, env=environ, capture_output=True, text=True, timeout=60, check=False)
        assert proxy.cuts == 2
    assert (ended.returncode, ended.stdout) == (0, output), ended.stderr
    assert client.exists("celery-task-meta-cut") == ("forget" not in call)
    client.delete("celery-task-meta-cut")
