"""The services `programs` and `program-producer` of docker-compose.yml on an engine, as docs/scaling.md has them."""

import gzip

import pytest

from tests.support.engine import Compose

pytestmark = pytest.mark.slow


@pytest.fixture
def project(image, tmp_path):
    """A compose project with a worker of programs, whose data has two logs."""
    project = Compose(tmp_path / "project")
    for name in ("a.log", "b.log"):
        (project.data / name).write_text(f"{name}\n")
    try:
        project("--profile", "programs", "up", "-d", "--no-build", "programs")
        yield project
    finally:
        project("--profile", "programs", "down", "--volumes", "--timeout", "1", check=False)


def test_programs_run_in_containers_of_their_own(project):
    producer = ("run", "--rm", "-T", "program-producer")
    project(*producer, "run", "--name", "zip", "--", "gzip", "-9", ":::", "a.log", "b.log")
    names = {path.name: gzip.decompress(path.read_bytes()) for path in project.data.glob("*.gz")}
    assert names == {"a.log.gz": b"a.log\n", "b.log.gz": b"b.log\n"}
    # The programs have none of the settings, and so no password.
    done = project(*producer, "run", "--", "sh", "-c", "env | grep -c GRISTMILL_ || true", ":::", "x")
    assert done.stdout == "0\n"
    # What the other services store is below another prefix.
    assert "zip" in project(*producer, "batches", "--json").stdout
    assert "zip" not in project("run", "--rm", "-T", "producer", "batches", "--json").stdout
