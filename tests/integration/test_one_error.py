"""What a Python program sees while the server is away: one error in one line, whatever it asks for."""

import os
import subprocess
import sys

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
    programs = {
        call: subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(call=call)], env=environ, stderr=subprocess.PIPE, text=True
        )
        for call in CALLS
    }
    for call, program in programs.items():
        _, text = program.communicate(timeout=60)
        assert program.returncode == 1, call
        assert text.count("Traceback") == 1, f"{call}: {text}"
        (line,) = [line for line in text.splitlines() if "Error: " in line and not line.startswith(" ")]
        assert CALLS[call] in line.partition(":")[0], line
        assert "restarted" not in text, call
