"""Commands without a server, without workers, with a broken home, against time and Ctrl-C."""

import signal

import pytest

from tests.conftest import until


class TestNoServer:
    @pytest.mark.parametrize("command", [("submit", "fibonacci", "30"), ("watch", "first"), ("workers",)])
    def test_a_command_that_needs_one_says_what_starts_one(self, place, command):
        place.run(*command).refused("no server is running", "`gristmill up`", code=3)
        assert not place.home.path.exists()

    def test_doctor_says_so_too(self, place):
        done = place.run("doctor", "--json")
        assert (done.code, done.err) == (3, "")
        (server,) = [row for row in done.rows if row["check"] == "server"]
        assert "no server is running" in server["advice"]

    def test_a_server_that_cannot_be_reached(self, place):
        done = place.run("submit", "fibonacci", "30", GRISTMILL_REDIS_URL="redis://:secret@127.0.0.1:1/0")
        assert "secret" not in done.refused("127.0.0.1:1", "GRISTMILL_REDIS_URL", code=3)

    def test_batches_starts_just_the_server(self, place):
        done = place.run("batches", "--json").good()
        assert (done.out, done.err) == ("", "")
        assert not (place.home.path / "server.json").exists()

    @pytest.mark.parametrize("text", ["{", "", '{"version": 2}', '{"url": "http://x", "pid": 1}'])
    def test_a_broken_server_file_of_nobody_is_no_server(self, place, text):
        place.home.replace("server.json", text)
        place.run("submit", "fibonacci", "30").refused("no server is running", code=3)


class TestNoWorker:
    def test_what_waits_is_said_at_once_and_bounded_by_a_timeout(self, place):
        with place.server_only():
            done = place.run("submit", "fibonacci", "20", "--name", "waits").good()
            assert "no worker listens to queue cpu" in done.err
            assert "`python -m gristmill.worker cpu`" in done.err
            assert done.out == "waits\n"

            done = place.run("watch", "waits", "--max-wait", "0.5")
            assert (done.code, done.out) == (124, ""), done
            assert "batch 'waits' has not ended after 0.5 s; it goes on" in done.err.splitlines()[-1]
            done = place.run("results", "waits", "--follow", "--max-wait", "0.5")
            assert (done.code, done.out) == (124, ""), done
            done = place.run("submit", "fibonacci", "21", "--name", "too", "--follow", "--max-wait", "0.5")
            assert (done.code, done.out) == (124, ""), done
            assert "it goes on" in done.err.splitlines()[-1]
            assert (place.info("waits").left, place.info("too").left) == (1, 1)

    def test_who_follows_is_warned(self, place):
        with place.server_only(), place.start("submit", "pause", "0", "--name", "waits", "--follow") as running:
            running.says("`python -m gristmill.worker io`")
            done = running.end(signal.SIGINT)
            assert (done.code, done.out) == (130, ""), done
            assert "gristmill watch waits" in done.err


@pytest.mark.slow
class TestStoppedWorkers:
    def test_items_wait_for_workers_and_none_is_lost_or_repeated(self, place):
        """Without an io worker nothing completes; a fleet that ends leaves the rest to the next one."""
        items = place.file("items", "0.05\n" * 200)
        with place.up("cpu", "--cpu-slots", "1"):
            done = place.run("submit", "pause", "--from", items, "--name", "first").good()
            assert "with io too" in done.err
            assert place.run("watch", "first", "--max-wait", "1").code == 124
            assert place.info("first").left == 200
        (row,) = place.run("batches", "--json").good().rows
        assert (row["name"], row["state"], row["left"], row["succeeded"]) == ("first", "running", 200, 0)
        with place.up("io", "--io-slots", "4"):
            until(lambda: place.info("first").done > 20, what="a beginning")
        # Results are read without a fleet too.
        before = [row["index"] for row in place.run("results", "first").rows]
        assert 20 < len(before) < 200
        with place.up("io", "--io-slots", "64"):
            info = place.ended("first")
            assert (info.submitted, info.succeeded, info.left, info.duplicates) == (200, 200, 0, 0)
            assert [result.index for result in place.results("first")] == list(range(200))


class TestCtrlC:
    def test_who_follows_may_leave_and_the_batch_goes_on(self, fleet, name):
        with fleet.start("submit", "pause", "0", "2", "--name", name, "--follow") as running:
            assert '"index":0' in running.line()
            done = running.end(signal.SIGINT, seconds=5)
        assert (done.code, done.out) == (130, ""), done
        assert f"batch {name} goes on; follow it with: gristmill watch {name}" in done.err
        assert "Traceback" not in done.err
        assert fleet.ended(name).succeeded == 2
        assert fleet.run("watch", name).good().out == ""


class TestSecondUp:
    def test_it_names_the_first(self, fleet):
        said = fleet.run("up").refused("`gristmill up`", str(fleet.home.path), "GRISTMILL_HOME")
        assert (
            {"cpu.log", "io.log", "flower.log"} >= {log.name for log in (fleet.home.path / "logs").iterdir()} != set()
        )
        assert f"(pid {fleet.owner.pid})" in said
        assert len([row for row in fleet.run("workers", "--json").good().rows if row["slots"]]) == 2

    def test_a_broken_server_file_of_a_running_fleet(self, place):
        with place.server_only():
            path = place.home.path / "server.json"
            before = path.read_bytes()
            for text in ("{", '{"version": 2}', "\x00" * 100):
                path.write_text(text)
                place.run("submit", "fibonacci", "30").refused(str(path), "is broken", code=3)
            path.write_bytes(before)
            place.run("submit", "fibonacci", "30", "--quiet").good()

    def test_a_home_that_cannot_be_used(self, place):
        place.home.path.write_text("a file")
        place.run("up").refused("home directory", str(place.home.path), "GRISTMILL_HOME", code=3)
