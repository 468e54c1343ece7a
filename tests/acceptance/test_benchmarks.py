"""The benchmarks run: ours, with real workers, at tiny sizes. Peers need the package index, so they are not tested."""

import json

import pytest

from benchmarks import growth
from benchmarks.peers import __main__ as peers

pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.mark.parametrize("row", ["batches", "plain messages, threads"])
def test_our_rows_have_every_figure(row, tmp_path, capsys):
    file = tmp_path / "found.json"
    arguments = ["--peer", row, "--workload", "noop", "--workload", "wait", "--quick", "--rounds", "1"]
    assert peers.main([*arguments, "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    assert found["failures"] == {}
    ((name, rounds),) = found["rounds"].items()
    (noops,), (waits,) = rounds["noop"], rounds["wait"]
    singles = {"p50", "p99"} if "plain" in row else set()
    assert set(noops) == {"enqueue", "finish", "through", "cpu", "idle", "slot", "memory"} | singles
    assert all(noops[figure] > 0 for figure in set(noops) - {"idle"})
    # 64 slots can do 640 waits of 100 ms a second, and no more.
    assert 0 < waits["through"] <= 640
    out = capsys.readouterr().out
    assert f"| {name} | " in out
    assert "not measured" in out


def test_growth_loses_nothing_while_a_worker_dies(tmp_path, capsys):
    file = tmp_path / "growth.json"
    arguments = ["--sizes", "300", "3000", "--workers", "1", "--items", "500", "--kills", "1", "--json", str(file)]
    assert growth.main(arguments) == 0
    found = json.loads(file.read_text())
    assert [(each["items"], each["workers"], each["kills"], each["lost"]) for each in found] == [
        (300, 2, 0, 0),
        (3000, 2, 0, 0),
        (3000, 2, 1, 0),
        (500, 1, 0, 0),
    ]
    assert all(each["producer"] > 20 and each["follower"] > 20 for each in found)
    assert "| lost of 3,000 items with 1 workers killed | 0 | 0 | yes |" in capsys.readouterr().out
