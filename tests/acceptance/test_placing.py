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
def mill(tmp_path_factory):
    """A host with the server and a cpu worker."""
    place = Place(tmp_path_factory.mktemp("placing"))
    write(place.cwd, FILES)
    with place.up("cpu=1"):
        yield place
    place.deserted()


def other_host(place, *parts):
    """`gristmill up` as on another host, with a home of its own; an item that ends its process leaves a traceback."""
    home, url = place.path / "other", place.server().url
    return place.up(*parts, in_peace=False, GRISTMILL_HOME=str(home), GRISTMILL_REDIS_URL=url)


def row_of(place, check):
    (row,) = [row for row in place.run("doctor", "--json").rows if row["check"] == check]
    return row


def test_hosts_with_different_queues_each_get_theirs(mill):
    warned = mill.run("submit", "classify", "1", "2", "--name", "photos").good().err
    assert "no worker listens to queue gpu" in warned
    assert "`gristmill up cpu io flower gpu`" in warned
    mill.run("submit", "send", "1", "--name", "mails").good()
    mill.run("submit", "fibonacci", "10", "--queue", "gpu", "--name", "moved").good()
    assert "items left: 3" in row_of(mill, "queue gpu")["state"]
    assert row_of(mill, "queue gpu")["advice"].endswith("gristmill up gpu")
    assert row_of(mill, "queue mail")["advice"].endswith("gristmill up mail:io")

    with other_host(mill, "gpu=2", "mail=3"):
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
        slots_keep_their_numbers(mill)


def slots_keep_their_numbers(mill):
    """Items that run at once have different slots, a process keeps its own, and so does the one that replaces it."""
    rows = mill.run("run", "device", *["0.1"] * 12, "--json").good().rows
    slots = {tuple(row["value"]) for row in rows}
    assert sorted(slot for slot, _ in slots) == [0, 1]
    (row,) = mill.run("run", "crash", "2", "--json").good().rows
    assert row["value"][0] in (0, 1)
    rows = mill.run("run", "device", *["0.1"] * 12, "--json").good().rows
    assert sorted(slot for slot, _ in {tuple(row["value"]) for row in rows}) == [0, 1]
    assert {tuple(row["value"]) for row in rows} != slots, "a process was replaced"


def test_a_batch_for_a_queue_of_the_other_kind_is_refused(mill):
    mill.run("run", "fibonacci", "10", "--queue", "mail").refused("'mail'", "GRISTMILL_ANY_POOL")
    mill.run("run", "fibonacci", "10", "--queue", "io").refused("'io'", "@cpu")


def test_a_run_without_a_fleet_starts_a_worker_of_the_queue(place):
    write(place.cwd, FILES)
    rows = place.run("run", "send", "1", "2", "--json", GRISTMILL_IO_SLOTS="2").good().rows
    assert {row["worker"].partition("@")[0] for row in rows} == {"mail"}


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["gpu", "gpu=2"], "gpu=2"),
        (["cpu=2", "--cpu-slots", "3"], "cpu=2"),
        (["gpu=0"], "'0'"),
        (["mail:cpu"], "'cpu'"),
        (["io", "--cpu-slots", "2"], "--cpu-slots"),
        (["no way"], "'no way'"),
    ],
)
def test_up_names_what_is_wrong_with_its_parts(place, words, names):
    write(place.cwd, FILES)
    place.run("up", *words).refused(names)
