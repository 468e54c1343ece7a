"""Power cuts at a small size: nothing that was answered is lost; with everysec the same rig finds that it is."""

import os
import shutil

import pytest
from redis import Redis

from benchmarks.chaos.power import cuts, tear
from benchmarks.chaos.power.disk import NoCompiler
from benchmarks.chaos.power.lives import LIFE_OF, NAME, WORKER, BatchLife
from benchmarks.chaos.power.load import QUEUE
from benchmarks.chaos.power.servers import Missing
from gristmill.config.settings import load
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer


@pytest.fixture(autouse=True, scope="module")
def compiler():
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("this test needs a C compiler")


@pytest.fixture
def client(tmp_path):
    """A connection to a server of the test's own."""
    with PrivateServer(Home(tmp_path), load({})) as server, Redis.from_url(server.url, decode_responses=True) as client:
        yield client


def count_of(run, *words, **options):
    try:
        return run(*words, **options)
    except Missing as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))


def cut(server, fsync, number):
    return count_of(cuts.run, server, fsync, number, 1)


def torn(*words, **options):
    return count_of(tear.run, *words, **options)


def test_cuts_lose_nothing_that_was_answered():
    count = cut("embedded", "always", 6)
    assert count.broken == []
    assert (count.cuts, count.lost, count.hanging, count.wrong_sums) == (6, 0, 0, 0)
    assert count.answers > 60
    assert count.submitted == count.states.total() > 0


def test_the_rig_bites():
    """What is not flushed is lost: `everysec` answers before it flushes."""
    assert cut("embedded", "everysec", 3).lost > 0


@pytest.mark.slow
@pytest.mark.parametrize("server", ["valkey-8", "redis"])
def test_cuts_of_older_servers(server):
    assert cut(server, "always", 12).broken == []


def test_without_a_compiler_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoCompiler):
        cuts.build(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("server", "halves"), [("embedded", False), ("redis", True)])
def test_half_scripts_on_servers_of_others_are_mended(server, halves):
    count = torn(server, ours=False, stride=400)
    assert count.broken == []
    assert (count.halves > 0) == halves
    assert (count.mended, count.hanging) == (count.halves, 0)


@pytest.mark.slow
@pytest.mark.parametrize("server", ["embedded", "redis"])
def test_a_batch_whose_file_was_torn_in_any_script_of_its_life_ends(server):
    counts = {script: torn(server, script, ours=False, stride=400, within=15) for script in LIFE_OF}
    assert {script: count.broken for script, count in counts.items()} == {script: [] for script in LIFE_OF}
    assert all(count.tears for count in counts.values())


@pytest.mark.parametrize("step", ["back", "postpone", "source", "finish"])
def test_half_of_a_script_leaves_nothing_that_nobody_has_or_can_read(step):
    """A message that was handed back was nobody's, and in no queue; no script could read a batch with a source."""
    count = torn("redis", step, ours=False, stride=None)
    assert (count.broken, count.hanging) == ([], 0)
    assert count.halves


def test_a_server_that_we_start_applies_no_half_script():
    count = torn("embedded", stride=600)
    assert count.broken == []
    assert count.tears >= 4


def test_a_life_ends_where_only_the_next_look_at_its_batch_ends_it(client):
    """The last chunk of a cancelled batch has left flight, and the file ends there: workers look a second later."""
    life = BatchLife(client)
    for step in life.steps[: life.steps.index("cancel") + 1]:
        getattr(life, step)()
    # Workers have just looked.
    life.ledger.heartbeat(WORKER, {"queue": QUEUE, "slots": 2}, [])
    assert client.zcard(life.ledger.key(NAME, "in_flight")) == 1
    for part in ("in_flight", "message_of", "started"):
        client.delete(life.ledger.key(NAME, part))
    assert life.ends()
    assert life.ledger.infos([NAME])[0].left == 0
