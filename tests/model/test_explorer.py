"""The explorer finds nothing wrong in the shipped scripts, and finds each guard that is taken out of them."""

import pytest

from tests.model.explorer import Explorer
from tests.model.product import scripts_edited
from tests.model.scenarios import SMALL
from tests.model.seeds import SEEDS
from tests.model.server import recording_client
from tests.model.walk import walks

# The second is for a machine that has other work to do.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

#: Random walks of one test.
WALKS = 200


@pytest.fixture(scope="module")
def model_client(tmp_path_factory):
    """A client of a server that belongs to the explorer."""
    with recording_client(tmp_path_factory.mktemp("model")) as client:
        yield client


@pytest.fixture
def explorer(model_client):
    """An explorer of the shipped scripts."""
    with scripts_edited(str):
        yield Explorer(model_client)


@pytest.mark.parametrize("scenario", SMALL, ids=lambda scenario: scenario.name)
def test_every_order_of_calls_keeps_the_books(explorer, scenario, capsys):
    report = explorer.explore(scenario)
    with capsys.disabled():
        print(f"\n{report}")
    assert report.complete
    assert not report.problem, str(report)


def test_random_walks_keep_the_books(explorer, capsys):
    reports = walks(explorer, range(WALKS))
    with capsys.disabled():
        print(f"\n{sum(report.transitions for report in reports):,} steps of {WALKS} walks")
    assert [str(report) for report in reports if report.problem] == []


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_a_guard_that_is_taken_out_is_missed(model_client, seed):
    with scripts_edited(seed.edit):
        broken = Explorer(model_client).explore(seed.scenario)
    # As far as the fault lies. To their end, such scenarios are among SMALL.
    with scripts_edited(str):
        sound = Explorer(model_client).explore(seed.scenario, most_states=broken.states)
    assert not sound.problem, str(sound)
    assert broken.problem, "the explorer misses the guard, or the scripts do not have it in the words of the seed"
    assert broken.path == seed.path
    assert broken.problem.startswith(seed.problem)
