"""With the server away, every public call of a Python program raises one ServerError with one line."""

import json
import os
import subprocess
import sys

import pytest

CALLS = {
    "submit": "submit('fibonacci', [1])",
    # As a thin sender: only workers could know the task.
    "submit_by_name": "submit('thumbnail', ['a.jpg'])",
    "submit_soon": "submit('fibonacci', [1], max_wait=0.5)",
    "submit_by_name_soon": "submit('thumbnail', ['a.jpg'], max_wait='0.5s')",
    "open_batch": "open_batch('numbers')",
    "batches": "batches()",
    "delay": "fibonacci.delay(1)",
    "apply_async": "fibonacci.apply_async((1,), ignore_result=True)",
    "chain": "(fibonacci.s(1) | fibonacci.si(2)).delay()",
}
PROGRAM = """
import json, sys, time, traceback
from gristmill import batches, open_batch, submit
from gristmill.errors import ServerError
from gristmill.tasks.fibonacci import fibonacci

outcomes = {}
for name, call in json.loads(sys.argv[1]).items():
    started_at = time.monotonic()
    try:
        eval(call)
    except ServerError as error:
        text = "".join(traceback.format_exception(error))
        outcomes[name] = [str(error), text, time.monotonic() - started_at]
print(json.dumps(outcomes))
"""


def outcomes(tmp_path, names, **environ):
    calls = json.dumps({name: CALLS[name] for name in names})
    environ = {**os.environ, "GRISTMILL_HOME": str(tmp_path / "home"), **environ}
    command = [sys.executable, "-c", PROGRAM, calls]
    done = subprocess.run(command, env=environ, check=True, timeout=120, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def check(outcomes, names, word, seconds):
    assert outcomes.keys() == set(names)
    for line, text, duration in outcomes.values():
        assert word in line
        assert duration < seconds
        assert "\n" not in line
        assert text.count("Traceback") == 1, text


def test_none_is_running(tmp_path):
    check(outcomes(tmp_path, CALLS), CALLS, "gristmill up", 5)


URL = {"GRISTMILL_REDIS_URL": "redis://:secret@127.0.0.1:1/0"}


def test_none_answers(tmp_path):
    names = ["submit_soon", "submit_by_name_soon"]
    check(outcomes(tmp_path, names, **URL), names, "127.0.0.1:1", 4)


@pytest.mark.slow
def test_none_answers_anybody(tmp_path):
    by_name = outcomes(tmp_path, CALLS, **URL)
    # A command's patience, and time to spare: Celery's own would be 19 s.
    check(by_name, CALLS, "127.0.0.1:1", 12)
    assert "secret" not in json.dumps([line for line, *_ in by_name.values()])
