"""What a command loads before it can begin: those that only read do not wait for Celery."""

import subprocess
import sys

import pytest

READING = ("watch", "results", "logs", "batches", "workers", "cancel", "pause", "resume", "retry", "delete", "dead")


@pytest.mark.parametrize("modules", [("gristmill.cli",), tuple(f"gristmill.cli.{name}" for name in READING)])
def test_celery_is_not_loaded(modules):
    code = f"import sys, {', '.join(modules)}; print(*sorted({{'celery', 'flower'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
