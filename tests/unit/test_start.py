"""What a command loads before it can begin: those that only read do not wait for Celery or kombu."""

import subprocess
import sys

import pytest

READING = ("watch", "results", "logs", "batches", "workers", "cancel", "pause", "resume", "retry", "delete", "dead")


def loaded(code):
    """Which of the large libraries are loaded after some code."""
    names = "{'celery', 'flower', 'kombu', 'pydantic', 'redis', 'rich'}"
    code = f"import sys; {code}; print(*sorted({names} & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("modules", [("gristmill.cli",), tuple(f"gristmill.cli.{name}" for name in READING)])
def test_celery_is_not_loaded(modules):
    assert not {"celery", "flower"} & set(loaded(f"import {', '.join(modules)}"))


def test_a_list_of_batches_loads_no_transport():
    assert loaded("import gristmill.cli.batches") == ["pydantic", "redis", "rich"]
