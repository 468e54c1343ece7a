"""Values of options that cannot work: each is refused, with the name of its option, before anything is sent."""

import pytest

from tests.conftest import until

#: The words of an option, and what the error has beside the value: the name of the option, as a rule.
REFUSED = [
    (("--workdir", "nowhere"), "--workdir"),
    (("--workdir", "file"), "--workdir"),
    (("--workdir", ":cat:"), "--workdir"),
    (("--output-dir", "file/out"), "--output-dir"),
    (("--output-dir", "file"), "--output-dir"),
    # As root too, whom the permissions let do this.
    (("--output-dir", "/proc/out"), "--output-dir"),
    (("--output-dir", f"new/{'x' * 256}"), "--output-dir"),
    (("--joblog", "nowhere/log"), "--joblog"),
    (("--joblog", "."), "--joblog"),
    (("--joblog", "/dev/full"), "--joblog"),
    (("--joblog", f"nowhere/{'deep/' * 20}log"), "--joblog"),
    (("--env", "A B=1"), "--env"),
    (("--env", "=1"), "--env"),
    (("--env", "NOBODY_HAS_SET_THIS"), "--env"),
    (("--ok-codes", "x"), "--ok-codes"),
    (("--ok-codes", "256"), "--ok-codes"),
    (("--memory", "0"), "--memory"),
    (("--memory", "much"), "--memory"),
    (("--slots", "0"), "--slots"),
    (("--time-limit", "-1"), "--time-limit"),
    (("--retries", "-1"), "--retries"),
    (("--retries", "often"), "--retries"),
    (("-j", "0"), "--max-running"),
    (("-j", "many"), "--max-running"),
    (("--rate", "0/s"), "--rate"),
    (("--rate", "fast"), "--rate"),
    (("--limit-by", "nobody"), "limit_by"),
    (("--halt", "fail=0"), "--halt"),
    (("--halt", "soon"), "--halt"),
    (("--ttl", "0"), "--ttl"),
    (("--priority", "10"), "--priority"),
    (("--keep-logs", "some"), "--keep-logs"),
    (("--label", "maps"), "--label"),
    (("--queue", "a b"), "--queue"),
    (("--max-wait", "soon"), "--max-wait"),
    (("--name", "a/b"), "name"),
    (("--after", "nobody-knows-it"), "after"),
    (("--notify", "http://localhost/"), "GRISTMILL_NOTIFY_NETWORKS"),
    (("--notify", "http://hooks.localhost/"), "GRISTMILL_NOTIFY_NETWORKS"),
    (("--notify", "ftp://hooks.example/"), "notify"),
    (("--format", "xml"), "--format"),
    (("-n", "0"), "-n"),
    (("--separator", ""), "--separator"),
    (("--columns", "a,a"), "--columns"),
    (("--results", "file"), "--results"),
]
#: Options about files, beside inputs that are in none, and what the error has.
OF_FILES = [
    (("--encoding", "latin1"), "--encoding"),
    (("--input-format", "csv"), "--input-format"),
    (("--columns", "a,b"), "--columns"),
    (("-0",), "-0"),
]


def test_a_value_that_cannot_work_is_refused(unchanged):
    """For the option only: without it, the command runs."""
    assert unchanged.run("run", "--dry-run", "--", "true", ":::", "x").good()
    (unchanged.cwd / "file").write_text("")
    cases = [(("run", *option, "--", "true", ":::", "x"), word) for option, word in REFUSED]
    for said, (option, word) in zip(unchanged.refused(cases), REFUSED, strict=True):
        shown = option[1].rstrip("/").removesuffix(".example") if word != "--results" else ""
        assert shown.removeprefix("http://") in said


@pytest.mark.parametrize("path", ["out", "new/out", "new/../out", "new/../../out"])
def test_the_trial_of_a_directory_leaves_nothing(unchanged, tmp_path, path):
    here = tmp_path / "here"
    here.mkdir()
    unchanged.run("run", "--dry-run", "--output-dir", path, "--", "true", ":::", "x", cwd=here).good()
    assert list(tmp_path.rglob("*")) == [here]


def test_an_option_about_files_is_refused_beside_arguments(unchanged):
    cases = [(("run", *option, "--", "true", ":::", "x"), word) for option, word in OF_FILES]
    assert all("--from" in said for said in unchanged.refused(cases))


def test_files_that_cannot_be_read_are_named(unchanged):
    (unchanged.cwd / "file").write_text("x\n")
    unchanged.run("run", "--from", "nowhere.txt", "--", "true").refused("nowhere.txt")
    unchanged.run("run", "--from", "file", "--encoding", "klingon", "--", "true").refused("klingon")


@pytest.mark.parametrize("option", ["--in", "--after", "--from-batch"])
def test_a_directory_of_a_batch_that_starts_later_may_come_later(fleet, name, option):
    fleet.run("run", "fibonacci", "1", "--name", f"{name}-first").good()
    sources = [] if option == "--from-batch" else [":::", "x"]
    value = "1h" if option == "--in" else f"{name}-first"
    fleet.run("submit", "--name", name, option, value, "--workdir", "nowhere", "--", "true", *sources).good()
    fleet.run("submit", "--name", f"{name}-now", "--workdir", "nowhere", "--", "true", ":::", "x").refused("--workdir")


def test_each_item_that_its_time_limit_ends_is_named(fleet, name):
    done = fleet.run("run", "--name", name, "--time-limit", "1", "--shell", "--", "sleep 30", ":::", "1", "2")
    assert [index for index in range(2) if f"item {index} failed" in done.err] == [0, 1]


@pytest.mark.parametrize(("option", "value"), [("--slots", "100"), ("--memory", "40T")])
def test_what_the_worker_of_this_command_will_never_have_is_refused(place, option, value):
    done = place.run("run", option, value, "--max-wait", "10s", "--", "true", ":::", "x", GRISTMILL_CPU_SLOTS="2")
    said = done.refused(value)
    assert "2 slots" in said


def test_an_error_that_all_items_share_is_one_line_and_a_count(fleet, name):
    """What only the host of the worker knows is told once: here, that there is no such program."""
    done = fleet.run("run", "--name", name, "--", "./no-such-program", ":::", *map(str, range(50)))
    assert done.code == 1
    first, rest = (line for line in done.err.splitlines() if "no-such-program" in line)
    assert "item " in first
    assert "49 more" in rest
    until(lambda: fleet.info(name).failed == 50)
