"""Bad input: an exit code, one line that helps, and nothing sent."""

import errno
import os

import pytest

from tests.support.command import GRISTMILL

MEBIBYTE = 1 << 20


class TestItems:
    def test_a_letter_for_a_number_in_a_file(self, unchanged):
        items = unchanged.file("letter.txt", "1\n2\nO\n4\n")
        said = unchanged.run("submit", "fibonacci", "--from", items).refused("'O'", "an integer from 0 to 5,000,000")
        assert f"{items}:3: " in said

    def test_numbers_out_of_range(self, unchanged):
        unchanged.run("submit", "fibonacci", "--", "1", "-1").refused("argument 2: ", "n: '-1'", "from 0 to")
        unchanged.run("submit", "fibonacci", "1", "51").refused("argument 2: ", "n: 51", "from 0 to 50")

    @pytest.mark.parametrize("content", ["", "\n  \n\r\n"])
    def test_an_empty_file(self, unchanged, content):
        empty = unchanged.file("empty.txt", content)
        unchanged.run("submit", "fibonacci", "--from", empty).refused(f"{empty}: no items")

    def test_an_empty_standard_input(self, unchanged):
        unchanged.run("submit", "fibonacci", "--from", "-", stdin="").refused("standard input: no items")

    def test_a_missing_file_and_a_directory(self, unchanged):
        unchanged.run("submit", "fibonacci", "--from", "no.txt").refused("no.txt: no such file")
        unchanged.run("submit", "fibonacci", "--from", ".").refused(".: is a directory")

    def test_bytes_that_are_not_utf8(self, unchanged):
        latin = unchanged.file("latin.txt", b"a.iso\ncaf\xe9.iso\n")
        unchanged.run("submit", "digest", "--from", latin).refused(f"{latin}:2: not UTF-8", "0xe9", "--encoding")

    def test_crlf_and_a_byte_order_mark_are_accepted(self, fleet, name):
        items = fleet.file("windows.txt", b"\xef\xbb\xbf7\r\n8\r\n\r\n")
        fleet.run("submit", "fibonacci", "--from", items, "--name", name, "--follow", "--quiet").good()
        assert [result.value for result in fleet.results(name)] == [13, 21]

    def test_a_missing_column(self, unchanged):
        table = unchanged.file("table.csv", "right\n2\n")
        unchanged.run("submit", "pair", "--from", table, "--input-format", "csv").refused(
            f"{table}: missing column 'left'", "right"
        )

    def test_a_column_too_many(self, unchanged):
        table = unchanged.file("more.csv", "left,middle\n2,3\n")
        unchanged.run("submit", "pair", "--from", table, "--input-format", "csv").refused("unknown column 'middle'")

    def test_a_table_with_a_bad_cell(self, unchanged):
        table = unchanged.file("cell.csv", "left,right\n2,3\n4,five\n")
        done = unchanged.run("submit", "pair", "--from", table, "--input-format", "csv")
        done.refused(f"{table}:3: ", "right: 'five'")

    def test_a_line_that_is_not_json(self, unchanged):
        lines = unchanged.file("bad.jsonl", '{"left": 1}\n{left: 2}\n')
        unchanged.run("submit", "pair", "--from", lines, "--input-format", "jsonl").refused(
            f"{lines}:2: not one JSON value"
        )

    def test_a_line_of_10_mb(self, unchanged):
        items = unchanged.file("long.txt", b"1\n" + b"7" * (10 * MEBIBYTE) + b"\n3\n")
        unchanged.run("submit", "fibonacci", "--from", items).refused(f"{items}:2: longer than 1 MiB")

    def test_other_items_are_submitted_with_skip_bad(self, fleet, name):
        items = fleet.file("some-bad.txt", "5\nx\n6\n-1\n")
        done = fleet.run("submit", "fibonacci", "--from", items, "--name", name, "--skip-bad", "--follow").good()
        assert f"rejected: {items}:2: invalid value for n: 'x' " in done.err
        assert f"rejected: {items}:4: invalid value for n: '-1' " in done.err
        info = fleet.info(name)
        assert (info.submitted, info.succeeded, info.rejected) == (2, 2, 2)
        assert [result.value for result in fleet.results(name)] == [5, 8]

    def test_only_bad_items_with_skip_bad(self, unchanged):
        items = unchanged.file("all-bad.txt", "x\ny\n")
        done = unchanged.run("submit", "fibonacci", "--from", items, "--skip-bad")
        assert done.code == 2, done
        assert f"{items}:1: invalid value for n: 'x' " in done.err, "it says why there are none"
        assert "Traceback" not in done.err


class TestStandardInput:
    def test_a_bad_line_in_the_middle_stops_and_the_corrected_repeat_goes_on(self, fleet, name):
        lines = [str(n % 12) for n in range(3000)]
        command = ("submit", "fibonacci", "--from", "-", "--name", name)
        done = fleet.run(*command, stdin="\n".join([*lines[:2000], "oops", *lines[2001:]]))
        bad = "gristmill: standard input:2001: invalid value for n: 'oops' (expected an integer from 0 to 5,000,000)"
        stored = f"2,000 items are stored, and the same command with --name {name} goes on"
        assert done.refused() == f"{bad}; {stored}"
        assert fleet.info(name).submitted == 2000
        assert str(fleet.info(name).state) == "submitting"
        fleet.run(*command, stdin="\n".join(lines)).good()
        info = fleet.ended(name)
        assert (info.submitted, info.succeeded, info.duplicates) == (3000, 3000, 0)
        results = fleet.results(name)
        assert [result.index for result in results] == list(range(3000))
        assert [str(result.input) for result in results] == lines


class TestWords:
    def test_an_unknown_task_and_the_nearest_name(self, unchanged):
        unchanged.run("submit", "fibonaci", "3").refused("no task is called 'fibonaci': did you mean 'fibonacci'?")

    def test_an_unknown_command_and_the_nearest_name(self, unchanged):
        unchanged.run("submitt", "fibonacci", "3").refused("no command 'submitt'", "did you mean 'submit'?")

    def test_an_unknown_option_and_the_nearest_name(self, unchanged):
        unchanged.run("submit", "fibonacci", "3", "--folow").refused("--folow", "--follow")

    def test_a_bad_value_of_an_option(self, unchanged):
        unchanged.run("submit", "fibonacci", "3", "--max-wait", "soon").refused("--max-wait", "soon")

    @pytest.mark.parametrize("bad", ["a/b", ""])
    def test_a_bad_name(self, unchanged, bad):
        unchanged.run("submit", "fibonacci", "3", f"--name={bad}").refused(f"name: {bad!r}")

    def test_an_unknown_argument_for_all_items(self, unchanged):
        unchanged.run("submit", "fibonacci", "3", "--set", "methd=naive").refused("'methd'", "method")
        unchanged.run("submit", "fibonacci", "3", "--set", "method=quick").refused("'quick'", "'naive', 'doubling'")
        unchanged.run("submit", "fibonacci", "3", "--set", "method").refused("'method'", "KEY=VALUE")

    def test_no_items_and_items_twice(self, unchanged):
        unchanged.run("submit", "fibonacci").refused("no items", "--from")
        unchanged.run("submit", "fibonacci", "3", "--from", "-").refused("one of these ways")

    def test_an_unknown_batch(self, unchanged):
        unchanged.run("results", "nobody").refused("no batch is called 'nobody'", "gristmill batches")
        unchanged.run("watch", "nobody").refused("no batch is called 'nobody'", "gristmill batches")


class TestSettings:
    def test_an_unknown_setting_is_a_warning_with_the_nearest_name(self, fleet):
        done = fleet.run("batches", "--json", GRISTMILL_IO_SLOT="3").good()
        assert done.complaint.startswith("gristmill: warning: GRISTMILL_IO_SLOT ")
        assert done.complaint.endswith(" GRISTMILL_IO_SLOTS?")

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("GRISTMILL_IO_SLOTS", "many"),
            ("GRISTMILL_REDIS_URL", "http://127.0.0.1"),
        ],
    )
    def test_a_bad_value_of_a_setting(self, place, setting, value):
        done = place.run("batches", **{setting: value})
        shown = "(hidden)" if setting == "GRISTMILL_REDIS_URL" else value
        done.refused(f"{setting}: ", shown, "expected")
        assert not place.home.path.exists()

    def test_a_module_that_cannot_be_imported(self, unchanged):
        unchanged.run("submit", "fibonacci", "3", GRISTMILL_TASK_MODULES="nowhere").refused(
            "GRISTMILL_TASK_MODULES", "'nowhere'"
        )


class TestPaths:
    def test_a_path_out_of_the_data_root(self, unchanged):
        root = str(unchanged.root)
        said = unchanged.run("submit", "digest", "a", "../b", GRISTMILL_DATA_ROOT=root).refused(
            "argument 2: ", "path: '../b'"
        )
        assert repr(root) in said

    def test_paths_out_of_the_data_root_are_rejected(self, fleet, name):
        root, paths = str(fleet.root), ["a/../../b", "/etc/passwd", f"{fleet.root}-not/a"]
        command = ("submit", "digest", "a", *paths, "--skip-bad", "--name", name)
        done = fleet.run(*command, "--quiet", GRISTMILL_DATA_ROOT=root).good()
        for said, path in zip(done.err.splitlines(), paths, strict=True):
            assert f"rejected: argument {paths.index(path) + 2}: invalid value for path: {path!r} " in said
        info = fleet.ended(name)
        assert (info.submitted, info.rejected) == (1, 3)

    def test_the_worker_refuses_a_path_that_only_it_can_judge(self, fleet, name):
        done = fleet.run("submit", "digest", "/etc/passwd", "--name", name, "--follow")
        assert done.code == 1, done
        (row,) = done.rows
        assert row["state"] == "failed"
        assert f"path: '/etc/passwd' (expected a path under the data root, {str(fleet.root)!r})" in done.out

    def test_a_symlink_out_of_the_data_root_fails_its_item_only(self, fleet, name):
        (fleet.root / "out").symlink_to("/etc/passwd")
        (fleet.root / "inside").write_bytes(b"mill")
        done = fleet.run("submit", "digest", "out", "inside", "missing", "--name", name, "--follow")
        assert done.code == 1, done
        out, inside, missing = fleet.results(name)
        assert (out.state, out.error["type"]) == ("failed", "DataRootError")
        assert "path: 'out'" in out.error["message"]
        assert "symlink" in out.error["message"]
        assert (inside.state, inside.value["bytes"]) == ("succeeded", 4)
        assert (missing.state, missing.error["type"]) == ("failed", "FileNotFoundError")


class TestUrls:
    def test_a_scheme_and_an_address(self, unchanged):
        unchanged.run("submit", "fetch", "ftp://example.com/").refused("url: 'ftp://example.com/'", "http://host/path")
        unchanged.run("submit", "fetch", "http://127.0.0.1/").refused("127.0.0.1 is a loopback address")

    def test_schemes_and_addresses_that_are_not_allowed_are_rejected(self, fleet, site, name):
        words = {
            "file:///etc/passwd": "http://host/path",
            "example.com": "http://host/path",
            "http://127.0.0.1/": "loopback",
            "http://0x7f.1/": "loopback",
            "http://[::1]/": "loopback",
            "http://10.1.2.3/": "private",
            "http://192.168.0.1/": "private",
            "http://169.254.169.254/": "link-local",
            "http://[fe80::1]/": "link-local",
        }
        command = ("submit", "fetch", *words, site.url("/"), "--skip-bad", "--name", name, "--quiet")
        done = fleet.run(*command).good()
        for line, (url, word) in zip(done.err.splitlines(), words.items(), strict=True):
            assert f"invalid value for url: '{url}' " in line
            assert word in line
            assert ("GRISTMILL_FETCH_NETWORKS" in line) == ("http://host" not in line)
        info = fleet.ended(name)
        assert (info.succeeded, info.rejected) == (1, 9)

    def test_a_name_with_a_password(self, unchanged):
        said = unchanged.run("submit", "fetch", "http://me:secret@example.com/").refused("without name and password")
        assert "secret" not in said

    def test_names_and_redirects_are_judged_by_the_worker(self, fleet, site, name):
        """The fleet may fetch the site's address, not `localhost`'s: by its name or after a redirect either."""
        items = [
            site.url("/page"),
            site.url("/", host="localhost"),
            site.url(f"/to?there={site.url('/page')}"),
            site.url(f"/to?there={site.url('/', host='localhost')}"),
            site.url("/to?there=http://169.254.169.254/latest/"),
            site.url("/to?there=http://10.0.0.1/"),
            site.url("/to?there=file:///etc/passwd"),
        ]
        done = fleet.run("submit", "fetch", "--from", "-", "--name", name, "--follow", stdin="\n".join(items))
        assert done.code == 1, done
        page, local, redirected, *others = fleet.results(name)
        assert (page.value["status"], page.value["bytes"]) == (200, 4)
        assert redirected.value["url"] == items[0]
        assert local.error["type"] == "FetchRefusedError"
        assert "127.0.0.1 is a loopback address" in local.error["message"]
        assert [other.error["type"] for other in others] == ["FetchRefusedError"] * 4
        words = ["loopback", "link-local", "private", "invalid value"]
        assert [word for word, other in zip(words, others, strict=True) if word in other.error["message"]] == words


class TestTasksThatGoWrong:
    @pytest.mark.parametrize("task", ["odd", "oddly"])
    def test_each_fails_alone(self, fleet, name, task):
        items = ["fine", "key", "nan", "raise", "exit", "fine too"]
        done = fleet.run("submit", task, *items, "--name", name, "--follow")
        assert done.code == 1, done
        assert "Traceback" not in done.err
        fine, a_key, nan, raised, left, too = fleet.results(name)
        assert (fine.value, too.value) == ("fine", "fine too")
        assert [result.error["type"] for result in (a_key, nan)] == ["ResultNotJSON"] * 2
        assert "tuple" in a_key.error["message"]
        assert (raised.error["type"], left.error["type"]) == ("LookupError", "SystemExit")
        assert "nothing under [b]this[/b] key" in raised.error["message"]
        assert "oddities.py" in raised.error["traceback"]
        assert "runner.py" not in raised.error["traceback"]
        info = fleet.info(name)
        assert (info.succeeded, info.failed, info.left, info.duplicates) == (2, 4, 0, 0)

    @pytest.mark.parametrize("task", ["odd", "oddly"])
    def test_what_each_writes_is_told_apart(self, fleet, name, task):
        fleet.run("submit", task, "say", "say no", "say never", "--name", name, "--follow")
        wrote = ["1 | say no", "1 | \x1b[2Jand more", "2 | say never", "2 | \x1b[2Jand more"]
        assert fleet.run("logs", name).good().out.splitlines() == wrote
        assert fleet.run("logs", name, "--item", "2").good().out == "say never\n\x1b[2Jand more\n"
        assert fleet.run("logs", name, "--item", "0").good().out == ""
        worker = fleet.results(name)[2].worker
        assert fleet.run("logs", name, "--worker", worker).good().out.splitlines() == wrote
        assert fleet.run("logs", name, "--worker", f"{worker}.elsewhere").good().out == ""
        everything = f"{name}-all"
        fleet.run("submit", task, "say", "say no", "--name", everything, "--keep-logs", "all")
        follow = fleet.run("logs", everything, "--follow", "--max-wait", "60s").good().out.splitlines()
        assert sorted(follow) == ["0 | \x1b[2Jand more", "0 | say", "1 | \x1b[2Jand more", "1 | say no"]
        assert fleet.run("logs", everything, "--failed").good().out.splitlines() == wrote[:2]
        fleet.run("logs", name, "--item", "-1").refused("invalid value for --item: '-1'")
        fleet.run("logs", name, "--max-wait", "1s").refused("--follow")

    def test_a_value_over_1_mib(self, fleet, name):
        # Quotes around it count: they are in the JSON.
        sizes = [MEBIBYTE - 2, MEBIBYTE - 1, 5 * MEBIBYTE]
        items = "".join(f'{{"what": "large", "size": {size}}}\n' for size in sizes)
        done = fleet.run(
            "submit", "oddly", "--from", "-", "--input-format", "jsonl", "--name", name, "--follow", stdin=items
        )
        assert done.code == 1, done
        fits, larger, largest = fleet.results(name)
        assert len(fits.value) == MEBIBYTE - 2
        assert [result.error["type"] for result in (larger, largest)] == ["ResultTooLarge"] * 2
        assert "write a file and return its path" in largest.error["message"]


class TestNames:
    def test_the_same_again_is_nothing_new(self, fleet, name):
        command = ("submit", "fibonacci", "20", "21", "--name", name)
        fleet.run(*command, "--follow").good()
        again = fleet.run(*command, "--follow").good()
        assert "nothing new" in again.err
        assert sorted(row["value"] for row in again.rows) == [6765, 10946]
        info = fleet.info(name)
        assert (info.submitted, info.succeeded, info.duplicates) == (2, 2, 0)

    def test_the_same_again_has_the_batchs_code(self, fleet, name):
        command = ("submit", "odd", "raise", "--name", name, "--follow")
        assert fleet.run(*command).code == 1
        again = fleet.run(*command)
        assert (again.code, fleet.info(name).failed) == (1, 1)
        assert "nothing new" in again.err

    def test_other_input_under_a_name(self, fleet, name):
        fleet.run("submit", "fibonacci", "20", "21", "22", "--name", name, "--follow").good()
        said = fleet.run("submit", "fibonacci", "20", "19", "22", "--name", name).refused(
            f"batch '{name}' was submitted from other input by ", " at 2", "item 1 was 21, now it is 19"
        )
        assert "@" in said
        assert [result.value for result in fleet.results(name)] == [6765, 10946, 17711]

    def test_less_or_more_input_under_a_name(self, fleet, name):
        fleet.run("submit", "fibonacci", "20", "21", "--name", name, "--follow").good()
        fleet.run("submit", "fibonacci", "20", "--name", name).refused("other input", "only 1")
        fleet.run("submit", "fibonacci", "20", "21", "22", "--name", name).refused("other input", "more")
        assert fleet.info(name).submitted == 2

    def test_another_task_under_a_name(self, fleet, name):
        fleet.run("submit", "fibonacci", "20", "--name", name, "--follow").good()
        fleet.run("submit", "pause", "20", "--name", name).refused(name, "task fibonacci, not pause")
        fleet.run("submit", "fibonacci", "20", "--name", name, "--set", "method=doubling").refused("--set", "doubling")


class TestPipes:
    def test_a_closed_stdout_ends_a_command_in_silence(self, fleet, name):
        items = fleet.file("many.txt", "3\n" * 5_000)
        shell = 'set -o pipefail; "$0" submit fibonacci --from "$1" --name "$2" --follow --quiet | head -1'
        done = fleet.process(["bash", "-c", shell, GRISTMILL, items, name])
        assert (done.code, done.err, len(done.rows)) == (0, "", 1)
        assert fleet.ended(name).succeeded == 5_000

    def test_a_stdout_that_was_never_open(self, fleet, name):
        done = fleet.process(["bash", "-c", '"$0" run fibonacci 1 2 --name "$1" --quiet >&-', GRISTMILL, name])
        assert (done.code, done.err) == (0, "")

    def test_results_into_a_closed_pipe(self, fleet, name):
        fleet.run("submit", "fibonacci", *["9"] * 2000, "--name", name, "--follow").good()
        shell = 'set -o pipefail; "$0" results "$1" | head -1'
        done = fleet.process(["bash", "-c", shell, GRISTMILL, name])
        assert (done.code, done.err, len(done.rows)) == (0, "", 1)

    @pytest.mark.parametrize("words", ["results", "run -- echo :::", "batches", "--help", "run --json -- echo :::"])
    def test_a_full_disk_is_one_line(self, fleet, name, words):
        """Also where the command has printed little, which Python writes at its end."""
        fleet.run("run", "fibonacci", "9", "--name", name).good()
        last = "" if words in ("batches", "--help") else name
        done = fleet.process(["bash", "-c", f'"$0" {words} {last} > /dev/full', GRISTMILL])
        line = done.err.splitlines()[-1]
        assert (done.code, line) == (1, f"gristmill: cannot write: {os.strerror(errno.ENOSPC)}")
        assert "Traceback" not in done.err
        assert "Exception ignored" not in done.err

    def test_a_closed_stdin(self, unchanged):
        done = unchanged.process(["bash", "-c", '"$0" submit fibonacci --from - <&-', GRISTMILL])
        done.refused("standard input")
