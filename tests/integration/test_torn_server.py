"""A server whose file ends in the middle of a script's writes: the script is whole or not at all, now and later."""

import os
import signal

import pytest
from redis import Redis

from benchmarks.chaos.power.commands import transactions
from benchmarks.chaos.power.servers import KINDS, Missing, server_of
from gristmill.errors import ServerError
from gristmill.server.aof import appended
from tests.conftest import until

SCRIPT = "for i = 1, 4 do redis.call('SET', 'part' .. i, ARGV[1]) end"


@pytest.fixture(params=[kind for kind in KINDS if kind != "valkey"])
def kind(request):
    return request.param


def server(kind, directory, *, ours=True):
    try:
        return server_of(kind, directory, "always", ours=ours)
    except Missing as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))


def tear(private, at):
    """End the server in a moment, and its file at this byte of the last script."""
    os.kill(private.pid, signal.SIGKILL)
    until(lambda: not private.alive)
    path = appended(private.directory)[-1]
    last = list(transactions(path.read_bytes()))[-1]
    os.truncate(path, at(last))


def parts(private):
    with Redis.from_url(private.url, decode_responses=True) as client:
        return client.mget(f"part{number}" for number in range(1, 5))


def write(private, text):
    with Redis.from_url(private.url) as client:
        client.eval(SCRIPT, 0, text)


#: Behind MULTI, within a command, behind two commands, before the end of EXEC.
PLACES = [
    lambda step: step.ends[0],
    lambda step: step.ends[1] + 9,
    lambda step: step.ends[2],
    lambda step: step.end - 1,
]


@pytest.mark.parametrize("place", PLACES)
def test_a_script_is_whole_or_not_at_all(tmp_path, kind, place):
    with server(kind, tmp_path) as private:
        write(private, "one")
        write(private, "two")
        tear(private, place)
        private.restart()
        assert parts(private) == ["one"] * 4
        with Redis.from_url(private.url) as client:
            client.set("answered", "yes")
        os.kill(private.pid, signal.SIGKILL)
        until(lambda: not private.alive)
        private.restart()
        assert parts(private) == ["one"] * 4
        with Redis.from_url(private.url, decode_responses=True) as client:
            assert client.get("answered") == "yes"


def test_what_comes_after_a_torn_file_goes_with_it(tmp_path, kind):
    """As when the power goes while the server rewrites its AOF, and flushes the file before in the background."""
    with server(kind, tmp_path) as private:
        write(private, "one")
        write(private, "two")
        torn = appended(private.directory)[-1]
        data = torn.read_bytes()
        *_, first, _ = transactions(data)
        tear(private, PLACES[1])
        later = torn.with_name(torn.name.replace(".1.incr", ".2.incr"))
        whole = data[first.start : first.end].replace(b"one", b"new")
        later.write_bytes(whole)
        manifest = torn.with_name("appendonly.aof.manifest")
        manifest.write_text(f"{manifest.read_text()}file {later.name} seq 2 type i\n")
        for _ in range(2):
            private.restart()
            assert parts(private) == ["one"] * 4
            os.kill(private.pid, signal.SIGKILL)
            until(lambda: not private.alive)
        (aside,) = later.parent.glob(f"{later.name}.*")
        assert aside.read_bytes() == whole


def test_what_servers_make_of_it_by_themselves(tmp_path, kind):
    """Why the start mends the file: Redis 7.0 and Valkey 8.1 lose what they answered next."""
    with server(kind, tmp_path, ours=False) as private:
        write(private, "one")
        write(private, "two")
        tear(private, PLACES[1])
        private.restart()
        with Redis.from_url(private.url, decode_responses=True) as client:
            client.set("answered", "yes")
            os.kill(private.pid, signal.SIGKILL)
            until(lambda: not private.alive)
            private.restart()
            assert client.get("answered") == ("yes" if kind == "embedded" else None)


def test_a_file_that_cannot_be_mended(tmp_path, kind):
    with server(kind, tmp_path) as private:
        write(private, "one")
        tear(private, PLACES[1])
        (private.directory / "appendonlydir" / "appendonly.aof.manifest").write_text("")
        with pytest.raises(ServerError):
            private.restart()
