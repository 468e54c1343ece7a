"""Tasks for the tests of what items start."""

import multiprocessing
import os
import random
import signal
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor

from gristmill.tasks.kinds import cpu, io


def _run_too_long():
    subprocess.Popen(["sleep", "601"])
    time.sleep(600)


def _die_with_a_daemon():
    if os.fork() == 0:
        os.setsid()
        subprocess.Popen(["sleep", "602"], env={})
        time.sleep(600)
    os.kill(os.getpid(), signal.SIGKILL)


def _pool():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, [-1, -2])


def _executor():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(abs, -3).result()


WAYS = {
    "pid": os.getpid,
    "memory": lambda: len(bytearray(2 << 30)),
    "time": _run_too_long,
    "death": _die_with_a_daemon,
    "executor": _executor,
    "pool": _pool,
    "random": lambda: random.getrandbits(64),
}


@cpu(time_limit=3)
def start(way: str):
    """Do what the item says."""
    return WAYS[way]()


@io
def start_in_thread(way: str):
    """Do it in a thread of a worker."""
    return WAYS[way]()


@cpu(time_limit=60)
def process(number: int) -> tuple[int, int]:
    """The process of the item, and a random number."""
    time.sleep(0.05)
    return os.getpid(), random.getrandbits(64)


@cpu(time_limit=600)
def hold(seconds: str) -> None:
    """Run a program for long."""
    subprocess.run(["sleep", seconds], check=True)
