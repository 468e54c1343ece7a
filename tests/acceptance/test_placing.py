"""Placing: hosts with different queues on one server each get theirs, and what waits for no one is named."""

import pytest

from tests.support.command import Place
from tests.support.projects import write

FILES = {
    "pyproject.toml": '[tool.gristmill]\ntasks = ["photos"]\n',
    "photos.py": """
import os
import time

from gristmill import cpu, io, item


@cpu(queue="gpu")
def classify(photo: int) -> str:
    '''Say what is on a photo: here, which home its worker has.'''
    return os.environ["GRISTMILL_HOME"]


@cpu(queue="gpu")
def device(wait: float) -> list[int]:
    '''Say which slot this is, and which process.'''
    time.sleep(wait)
    return [item.slot, os.getpid()]


@cpu(queue="gpu")
def span(wait: float) -> list[float]:
    '''Say from when to when an item ran.'''
    started_at = time.time()
    time.sleep(wait)
    return [started_at, time.time()]


@cpu(queue="gpu", memory="200M")
def allocate(megabytes: int) -> int:
    '''Allocate memory.'''
    return len(bytearray(megabytes << 20))


@cpu(queue="gpu")
def grow(megabytes: int) -> int:
    '''Allocate memory, and say how often this was tried.'''
    path = f"{os.environ['GRISTMILL_HOME']}/grown-{megabytes}"
    with open(path, "a") as file:
        file.write("x")
    bytearray(megabytes << 20)
    return os.path.getsize(path)


@cpu(queue="gpu")
def crash(until: int) -> list[int]:
    '''End the process in the first attempts.'''
    path = f"{os.environ['GRISTMILL_HOME']}/crashes"
    with open(path, "a") as file:
        file.write("x")
    if os.path.getsize(path) <= until:
        os._exit(7)
    return [item.slot]


@io(queue="mail")
def send(mail: int) -> str:
    '''Send a mail.'''
    return os.environ["GRISTMILL_HOME"]
""",
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A host with the server and a cpu worker, and batches for queues that nobody takes from."""
    place = Place(tmp_path_factory.mktemp("placing"))
    write(place.cwd, FILES)
    with place.up("cpu=1"):
        place.before = row_of(place, "queue gpu")
        place.warning = place.run("submit", "classify", "1", "2", "--name", "photos").good().err
        place.run("submit", "send", "1", "--name", "mails").good()
        place.run("submit", "fibonacci", "10", "--queue", "gpu", "--name", "moved").good()
        place.waiting = {queue: row_of(place, f"queue {queue}") for queue in ("gpu", "mail")}
        yield place
    place.deserted()


@pytest.fixture(scope="module")
def mill(alone):
    """The same, and another host with workers of these queues: `gristmill up` with a home of its own."""
    settings = {"GRISTMILL_HOME": str(alone.path / "other"), "GRISTMILL_REDIS_URL": alone.server().url}
    # Slots are numbered among those of all workers that have this directory: another run of these tests has its own.
    (alone.path / "tmp").mkdir()
    settings |= {"TMPDIR": str(alone.path / "tmp")}
    settings |= {"GRISTMILL_WORKER_MEMORY": "1G", "GRISTMILL_SLOT_MEMORY": "300M"}
    # An item that ends its process leaves a traceback.
    with alone.up("gpu=2", "mail=3", in_peace=False, **settings):
        yield alone


def row_of(place, check):
    (row,) = [row for row in place.run("doctor", "--json").rows if row["check"] == check]
    return row


def test_a_queue_that_nobody_takes_from_is_named(alone):
    assert alone.before["advice"] == "OK", "nothing waited"
    assert "no worker listens to queue gpu" in alone.warning
    assert "`gristmill up cpu io flower gpu`" in alone.warning
    assert "items left: 3" in alone.waiting["gpu"]["state"]
    assert alone.waiting["gpu"]["advice"].endswith("gristmill up gpu")
    assert alone.waiting["mail"]["advice"].endswith("gristmill up mail:io")


def test_hosts_with_different_queues_each_get_theirs(mill):
    workers = {row["queue"]: row for row in mill.run("workers", "--json").good().rows}
    assert {queue: (row["pool"], row["slots"]) for queue, row in workers.items()} == {
        "cpu": ("prefork", 1),
        "gpu": ("prefork", 2),
        "mail": ("threads", 3),
    }
    for name in ("photos", "mails", "moved"):
        assert mill.ended(name).exit_code == 0
    other = str(mill.path / "other")
    assert [result.value for result in mill.results("photos")] == [other] * 2
    assert [result.value for result in mill.results("mails")] == [other]
    (row,) = mill.run("run", "fibonacci", "10", "--json").good().rows
    assert row["worker"].startswith("cpu@")
    (row,) = mill.run("run", "classify", "3", "--json").good().rows
    assert (row["value"], row["worker"].partition("@")[0]) == (other, "gpu")
    assert row_of(mill, "queue gpu")["advice"] == "OK"


def slots_of(place):
    """The slots that some items ran in, each with the process."""
    rows = place.run("run", "device", *["0.1"] * 12, "--json").good().rows
    return {tuple(row["value"]) for row in rows}


def test_slots_keep_their_numbers(mill):
    """Items that run at once have different slots, a process keeps its own, and so does the one that replaces it."""
    slots = slots_of(mill)
    assert sorted(slot for slot, _ in slots) == [0, 1]
    (row,) = mill.run("run", "crash", "2", "--json").good().rows
    assert row["value"][0] in (0, 1), "it ran in quarantine at last"
    later = slots_of(mill)
    assert sorted(slot for slot, _ in later) == [0, 1]
    assert later != slots, "a process was replaced"


def test_a_batch_for_a_queue_of_the_other_kind_is_refused(mill):
    mill.run("run", "fibonacci", "10", "--queue", "mail").refused("'mail'", "GRISTMILL_ANY_POOL")
    mill.run("run", "fibonacci", "10", "--queue", "io").refused("'io'", "@cpu")


def test_a_run_without_a_fleet_starts_a_worker_of_the_queue(place):
    write(place.cwd, FILES)
    rows = place.run("run", "send", "1", "2", "--json", GRISTMILL_IO_SLOTS="2").good().rows
    assert {row["worker"].partition("@")[0] for row in rows} == {"mail"}


def most_at_once(place, *options):
    """How many of some items ran at the same time."""
    rows = place.run("run", "span", *["0.2"] * 6, "--json", *options).good().rows
    spans = [row["value"] for row in rows]
    assert len(spans) == 6
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)


def test_items_run_at_once_if_the_worker_has_what_they_take(mill):
    """The worker has two slots and 1G."""
    assert most_at_once(mill) == 2
    assert most_at_once(mill, "--slots", "2") == 1
    assert most_at_once(mill, "--memory", "600M") == 1
    assert most_at_once(mill, "--memory", "400M") == 2


def test_items_that_no_worker_can_run_wait_and_a_warning_says_so(mill):
    for option in (("--slots", "3"), ("--memory", "2G")):
        done = mill.run("submit", "span", "0", "--name", f"large{option[0]}", *option).good()
        assert "no worker on queue gpu has" in done.err
        assert mill.info(f"large{option[0]}").left == 1


def test_memory_is_a_limit_too(mill):
    done = mill.run("run", "allocate", "20", "900", "--json")
    states = {row["input"]: (row["state"], (row["error"] or {}).get("type")) for row in done.rows}
    assert states == {20: ("succeeded", None), 900: ("failed", "MemoryError")}


def test_what_ran_out_of_memory_runs_once_more_alone(mill):
    """A slot has 300M, the worker 1G."""
    done = mill.run("run", "grow", "20", "600", "2000", "--json")
    states = {row["input"]: (row["state"], row["value"], (row["error"] or {}).get("type")) for row in done.rows}
    assert states == {
        20: ("succeeded", 1, None),
        600: ("succeeded", 2, None),
        2000: ("failed", None, "MemoryError"),
    }
    assert (mill.path / "other" / "grown-2000").read_text() == "xx"


def test_up_names_what_is_wrong_with_its_parts(place):
    write(place.cwd, FILES)
    cases = (
        (["gpu", "gpu=2"], "gpu=2"),
        (["cpu=2", "--cpu-slots", "3"], "cpu=2"),
        (["gpu=0"], "'0'"),
        (["mail:cpu"], "'cpu'"),
        (["io", "--cpu-slots", "2"], "--cpu-slots"),
        (["no way"], "'no way'"),
    )
    place.refused([(["up", *words], said) for words, said in cases])
