"""docs/operating.md: what it says of backups, logs and health checks holds for a real fleet."""

import json
import shutil
import sys

from tests.support.command import Place


def test_a_copy_of_the_servers_directory_is_a_backup(tmp_path):
    place, restored = Place(tmp_path / "place"), Place(tmp_path / "restored")
    before = place.run("run", "fibonacci", "10", "11", "--name", "audit").good().rows
    shutil.copytree(place.home.path / "server", restored.home.path / "server")
    after = restored.run("results", "audit").good().rows
    assert sorted(row["value"] for row in after) == sorted(row["value"] for row in before) == [55, 89]
    assert "nothing new" in restored.run("run", "fibonacci", "10", "11", "--name", "audit").good().err


def test_the_health_check_fails_without_a_worker_and_passes_with_one(tmp_path):
    place = Place(tmp_path / "place")
    check = [sys.executable, "-m", "gristmill.worker.health"]
    with place.up("cpu"):
        assert place.process(check).code == 0
        assert place.process([*check, "io"]).code == 1
    assert place.process(check).code == 1


def test_log_lines_are_json_objects_when_a_setting_says_so(tmp_path):
    place = Place(tmp_path / "place", GRISTMILL_LOG_FORMAT="json", GRISTMILL_LOG_LEVEL="info")
    with place.up("cpu") as up:
        place.run("run", "fibonacci", "10", "--quiet").good()
    lines = [json.loads(line) for line in up.err.splitlines() if line.startswith("{")]
    assert lines
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
