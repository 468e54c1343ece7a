"""Installed from sdist and wheel into environments without the clone: what is there, what works, what stays."""

import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.command import READY, Place
from tests.support.environment import UV, Environment, run, source
from tests.support.examples import PROJECT

#: A project of a user's own, whose packages have the names of our folders.
OTHERS = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "others"
version = "1"
[tool.setuptools]
packages = ["config", "tasks"]
"""


class Archives:
    """The sdist, the wheel that is built from it, and the wheel that is built from the sources."""

    def __init__(self, path: Path) -> None:
        for name in ("source", "unpacked"):
            (path / name).mkdir()
        self.source = source(path / "source")
        # With the setuptools that is here: an environment for each build would take most of the time.
        build = (UV, "build", "--quiet", "--no-build-isolation", "--python", sys.executable, "--out-dir")
        run(*build, path / "dist", "--sdist", self.source)
        (self.sdist,) = (path / "dist").glob("*.tar.gz")
        with tarfile.open(self.sdist) as archive:
            self.links = [member.name for member in archive.getmembers() if member.issym() or member.islnk()]
            archive.extractall(path / "unpacked", filter="data")
        run(*build, path / "dist", "--wheel", *(path / "unpacked").iterdir())
        run(*build, path / "direct", "--wheel", self.source)
        (self.wheel,), (self.direct,) = (path / "dist").glob("*.whl"), (path / "direct").glob("*.whl")


def contents(wheel):
    """The files of a wheel with their bytes; RECORD, which repeats these, apart."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    return Archives(tmp_path_factory.mktemp("archives"))


@pytest.fixture(scope="module", params=["highest", "lowest-direct"])
def environment(archives, request, tmp_path_factory):
    """A bare environment with the wheel, and with the newest or the oldest releases that its metadata allows."""
    path = tmp_path_factory.mktemp(request.param)
    environment = Environment(path / "venv")
    pins = path / "pins.txt"
    compile_pins = ("compile", archives.source / "pyproject.toml", "--resolution", request.param, "--output-file", pins)
    environment.uv(*compile_pins)
    environment.uv("install", "--requirements", pins)
    environment.uv("install", "--no-deps", archives.wheel)
    return environment


@pytest.fixture
def shop(tmp_path):
    """A place whose directory has the modules that many projects have."""
    place = Place(tmp_path)
    (place.cwd / "tasks.py").write_text("raise SystemExit('a module of the user')")
    (place.cwd / "config").mkdir()
    (place.cwd / "config" / "__init__.py").write_text("raise SystemExit('a package of the user')")
    yield place
    place.deserted()


def test_a_wheel_holds_the_package_and_nothing_else(archives):
    files = contents(archives.wheel)
    assert {name.partition("/")[0] for name in files} == {"gristmill", "gristmill-0.1.0.dist-info"}
    # Through the links: in a wheel the linked folders stand in the package.
    rooms = {"gristmill": PROJECT / "gristmill"}
    rooms |= {f"gristmill/{room}": PROJECT / room for room in ("config", "producer", "tasks")}
    sources = {
        f"{prefix}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for prefix, folder in rooms.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    package = {name: data for name, data in files.items() if "dist-info" not in name}
    assert package.keys() == sources.keys()
    assert [name for name in sources if package[name] != sources[name]] == []
    for name in ("py.typed", "server/guard.sh", "config/redis.acl", "dashboard/templates/batches.html"):
        assert f"gristmill/{name}" in files
    assert any(name.endswith(".lua") for name in files)


def test_the_sdist_builds_the_same_wheel(archives):
    assert archives.links == []
    assert contents(archives.wheel) == contents(archives.direct)


def test_metadata_is_complete(archives):
    metadata = message_from_bytes(contents(archives.wheel)["gristmill-0.1.0.dist-info/METADATA"])
    assert metadata.get_all("Provides-Extra") == ["plot"]
    assert (metadata["License-Expression"], metadata["License-File"]) == ("MIT", "LICENSE")
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload(decode=True).decode().strip() == (PROJECT / "README.md").read_text().strip()
    for name in ("Summary", "Author", "Keywords", "Classifier"):
        assert metadata[name], name


@pytest.mark.slow
def test_the_wheel_does_the_main_job(environment, shop):
    """The dependencies agree; run, help, doctor, up and the pages work beside a user's `tasks.py` and `config/`."""

    def gristmill(*arguments):
        return shop.process([environment.program("gristmill"), *arguments])

    environment.uv("check")
    assert "run" in gristmill("--help").good().out
    assert "gristmill" in gristmill("completion", "bash").good().out
    done = gristmill("run", "fibonacci", "10", "20", "--name", "first").good()
    assert sorted(row["value"] for row in done.rows) == [55, 6765]
    assert gristmill("run", "pause", "0.01").code == 0
    slots = {"GRISTMILL_CPU_SLOTS": "1", "GRISTMILL_IO_SLOTS": "2"}
    with shop.started([environment.program("gristmill"), "up"], **slots) as running:
        running.says(READY)
        address = shop.server().dashboard
        for page in ("throughput", "batches", "batch/first", "throughput/data", "gristmill/gristmill.css", "metrics"):
            with urlopen(f"{address}/{page}", timeout=30) as answer:
                assert answer.status == 200, page
        doctor = gristmill("doctor", "--json").good()
        assert {row["advice"] for row in doctor.rows} == {"OK"}
        assert gristmill("submit", "fibonacci", "7", "--follow").good().rows[0]["value"] == 13


@pytest.mark.slow
def test_packages_named_config_and_tasks_stay(archives, tmp_path):
    """Beside two packages of the same names, pip installs the sources and the sdist, and removes them again."""
    project = tmp_path / "others"
    for name in ("config", "tasks"):
        (project / name).mkdir(parents=True)
        (project / name / "__init__.py").write_text("OWNER = 'others'\n")
    (project / "pyproject.toml").write_text(OTHERS)
    environment = Environment(tmp_path / "venv", pip=True)
    pip = environment.program("pip")
    run(pip, "install", "--quiet", project)
    before = environment.packages
    for origin in (archives.source, archives.sdist):
        run(pip, "install", "--quiet", "--no-deps", origin)
        assert environment.packages - before == {"gristmill", "gristmill-0.1.0.dist-info"}
        assert environment.python("import config, tasks; print(config.OWNER, tasks.OWNER)") == "others others"
        assert "gristmill" in environment.python("import gristmill.errors; print(gristmill.errors.__file__)")
        run(pip, "uninstall", "--quiet", "--yes", "gristmill")
        assert environment.packages == before
    assert environment.python("import config, tasks; print(config.OWNER, tasks.OWNER)") == "others others"


@pytest.mark.slow
def test_installed_as_a_tool(archives, shop):
    directories = {"UV_TOOL_DIR": str(shop.path / "tools"), "UV_TOOL_BIN_DIR": str(shop.path / "bin")}
    shop.process([UV, "tool", "install", "--quiet", "--python", sys.executable, archives.wheel], **directories).good()
    assert [path.name for path in (shop.path / "bin").iterdir()] == ["gristmill"]
    done = shop.process([str(shop.path / "bin" / "gristmill"), "run", "fibonacci", "10"]).good()
    assert [row["value"] for row in done.rows] == [55]
