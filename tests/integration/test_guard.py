"""The guard of a private server: its status is the command's, and no process of its own outlives it."""

import os
import subprocess

import psutil
import pytest

from gristmill.server.private import GUARD

#: A command that takes a while to end after TERM, so that the guard's watcher is in a pause when it does.
SLOW_TO_END = "trap 'sleep 0.35; exit 7' TERM; echo ready >&2; while :; do sleep 0.05; done"


def left_of(group: int) -> list[psutil.Process]:
    left = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
        except (psutil.Error, ProcessLookupError):
            continue
    return left


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("ending", ["by itself", "its owner's"])
def test_nothing_outlives_the_guard(shell, ending):
    # `nohup` has HUP ignored, and users run `gristmill up` with it.
    code = SLOW_TO_END if ending == "its owner's" else "echo ready >&2; exit 7"
    command = ["nohup", shell, str(GUARD), "sh", "-c", code]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as guard:
        assert guard.stderr.readline() == b"ready\n"
        if ending == "its owner's":
            guard.stdin.close()
        assert guard.wait(timeout=30) == 7
        assert left_of(guard.pid) == []
