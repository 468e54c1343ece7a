"""Programs beside GNU parallel: the examples of docs/programs.md, and names of files that a shell would misread."""

import os
import re
import shutil
import subprocess

import pytest

from tests.support.command import PATIENCE, Place
from tests.support.examples import DOCS, region
from tests.support.forked import GRISTMILL

PAGE = DOCS / "programs.md"
FILES = region(PAGE, "files").removeprefix("```sh\n").removesuffix("```")


def examples() -> list[tuple[str, str]]:
    """The commands of each line of the table: GNU parallel's, and ours."""
    rows = [re.split(r"(?<!\\)\|", row)[1:3] for row in region(PAGE, "examples").splitlines()[2:]]
    return [tuple(cell.strip().strip("`").replace("\\|", "|") for cell in row) for row in rows]


#: Bytes that names of files may have, and a shell or a program could take for something else.
ODD_NAMES = [
    *(b"a b", b" a", b"a\nb", b"\n", b"it's", b'"q"', b"$(touch pwned)", b"`touch pwned`", b"$HOME", b";touch pwned"),
    *(b"-n", b"--help", b"--", b"|touch pwned", b"a\\b", b"\\", b"*", b"?", b"[a]", b"~", b"#", b"!!", b"&", b"{}"),
    *(b"{1}", b"{.}", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfeUTF", "é€😀".encode(), b"%s%n"),
    *(b"\x1b[31m", b"\t", b"\r", b":::", b"=", b"null", b"0", b"\x01"),
]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A worker with two slots, to which every command here goes."""
    place = Place(tmp_path_factory.mktemp("parallel"))
    with place.up("cpu", "--cpu-slots", "2"):
        yield place
    place.deserted()


@pytest.fixture
def outputs(fleet, tmp_path):
    """Runs a line of shell in a new directory with the files of the page, and returns its stdout."""

    def run(line: str, name: str) -> bytes:
        directory = tmp_path / name
        directory.mkdir()
        path = f"{os.path.dirname(GRISTMILL)}:{os.environ['PATH']}"  # noqa: PTH120
        environ = {**fleet.environ, "PATH": path, "PARALLEL_HOME": str(tmp_path)}
        (tmp_path / "will-cite").touch()
        subprocess.run(["sh", "-c", FILES], cwd=directory, check=True)
        done = subprocess.run(
            ["sh", "-c", line], cwd=directory, env=environ, capture_output=True, timeout=PATIENCE, check=False
        )
        assert b"Traceback" not in done.stderr, done.stderr
        return done.stdout

    return run


@pytest.mark.slow
@pytest.mark.parametrize(("theirs", "ours"), examples(), ids=[ours for _, ours in examples()])
def test_an_example_prints_what_gnu_parallel_prints(outputs, theirs, ours):
    if not shutil.which("parallel"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("GNU parallel is not installed: bin/test-needs")
    expected, actual = outputs(theirs, "theirs"), outputs(ours, "ours")
    if " -k" not in theirs:
        expected, actual = (b"".join(sorted(output.splitlines(True))) for output in (expected, actual))
    assert actual == expected
    assert expected


def test_the_page_has_25_examples():
    assert len({*examples()}) >= 25


@pytest.mark.parametrize("shell", [False, True])
def test_odd_names_reach_the_program_as_they_are(fleet, tmp_path, shell):
    folder = tmp_path / "names"
    folder.mkdir()
    for name in ODD_NAMES:
        (folder / os.fsdecode(name)).write_bytes(name)
    names = b"".join(name + b"\0" for name in ODD_NAMES)
    words = ["--shell", "--", "cat", "./{}"] if shell else ["--", "cat", "./{}"]
    command = [GRISTMILL, "run", "-k", "-0", "--from", "-", "--workdir", str(folder), *words]
    done = subprocess.run(command, input=names, capture_output=True, env=fleet.environ, cwd=tmp_path, check=False)
    assert (done.stdout, done.returncode) == (b"".join(ODD_NAMES), 0), done.stderr
    assert {os.fsencode(path.name) for path in folder.iterdir()} == {*ODD_NAMES}
    assert [*tmp_path.iterdir()] == [folder]


def test_each_slot_has_a_number(fleet):
    done = fleet.run("run", "--", "echo", "{%} {#}", ":::", *"abcdef").good()
    slots, items = zip(*(line.split() for line in done.out.splitlines()), strict=True)
    # Workers of other tests on this host may have the first numbers.
    assert len({*slots}) <= 2
    assert min(map(int, slots)) >= 1
    assert sorted(items) == [*"123456"]


def test_the_columns_of_results_are_the_items_of_another_batch(fleet, name):
    words = ["--set", "method=doubling", ":::", "n=5,6,7"]
    fleet.run("run", "--name", name, "fibonacci", *words).good()
    table = fleet.run("results", name, "--state", "succeeded", "--format", "csv").good().out
    done = fleet.run(
        "run", "--from", "-", "--input-format", "csv", "--columns", "value", "-k", "--", "echo", stdin=table
    )
    assert done.good().out.split() == ["5", "8", "13"]


@pytest.mark.slow
@pytest.mark.parametrize("shell", [False, True])
def test_4000_files(fleet, tmp_path, shell):
    for number in range(4000):
        (tmp_path / f"{number:04} 'it'\n$(touch pwned)").write_text(f"{number}\n")
    words = ["--shell", "--", "cat"] if shell else ["--", "cat"]
    line = f"find . -type f -print0 | sort -z | {GRISTMILL} run -k -0 {' '.join(words)}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, env=fleet.environ, cwd=tmp_path, check=False)
    assert done.stdout.split() == [b"%d" % number for number in range(4000)], done.stderr
    assert not (tmp_path / "pwned").exists()
