"""The words of `run` and `submit`: sources, their combinations, columns; what would be submitted (`--dry-run`)."""

import json
import os
import signal
from dataclasses import dataclass
from datetime import date

import click
import pytest

from gristmill.batches.result import Result
from gristmill.cli import write_any_bytes
from gristmill.cli.submission import argv
from gristmill.cli.submission.dry_run import print_dry_run
from gristmill.cli.submission.submitting import make_submission
from gristmill.config.settings import settings
from gristmill.errors import InputError
from gristmill.producer.submission import NoItems
from gristmill.tasks.digest import digest
from gristmill.tasks.kinds import cpu, io
from tests.support.commands import command_named


@cpu
def inputs_sim(lr: float, seed: int, note: str = "x", k: int | None = None) -> float:
    return lr * seed


@io
def inputs_show(path: str) -> str:
    return path


@io
def inputs_many(paths: list[str], since: date = date(2020, 1, 1)) -> int:
    return len(paths)


@dataclass
class Shell:
    """Runs `run --dry-run` in a folder."""

    capsysbinary: pytest.CaptureFixture[bytes]

    def lines(self, *words: str) -> list[str]:
        write_any_bytes()
        context = command_named("run").make_context("run", ["--dry-run", *words])
        with context:
            print_dry_run(make_submission(context.params))
        return [os.fsdecode(line) for line in self.capsysbinary.readouterr().out.splitlines()]


@pytest.fixture
def shell(tmp_path, monkeypatch, capsysbinary):
    monkeypatch.chdir(tmp_path)
    return Shell(capsysbinary)


def first_word(words):
    return next((word for word in words if not word.startswith("-")), None)


@pytest.mark.parametrize(
    ("line", "options", "program", "sources"),
    [
        ("sim a b", "sim a b", None, []),
        ("--quiet -- gzip -9 {}", "--quiet program", "gzip -9 {}", []),
        ("-- gzip -- {} ::: a -- b", "program", "gzip -- {}", [(":::", "a -- b")]),
        ("sim --quiet ::: a ::: b :::+ c", "sim --quiet", None, [(":::", "a"), (":::", "b"), (":::+", "c")]),
        ("sim -- -3 :::: f ::::+ g h", "sim -- -3", None, [("::::", "f"), ("::::+", "g h")]),
        ("-- :::", "program", "", [(":::", "")]),
    ],
)
def test_words_are_split_before_click_sees_them(line, options, program, sources):
    words = argv.split(line.split(), first_word)
    assert words.options == options.split()
    assert words.program == (None if program is None else tuple(program.split()))
    assert [(mark, " ".join(values)) for mark, values in words.sources] == sources


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        ("-- echo ::: a b", ["echo a", "echo b"]),
        ("-- echo ::: a b ::: 1 2", ["echo a 1", "echo a 2", "echo b 1", "echo b 2"]),
        ("-- echo {2} {1} ::: a b c :::+ 1 2", ["echo 1 a", "echo 2 b"]),
        ("-- echo ::: a b :::+ 1 2 ::: x", ["echo a 1 x", "echo b 2 x"]),
        ("-- echo ::: p ::: a b c :::+ 1 2", ["echo p a 1", "echo p b 2"]),
        ("-n 2 -- echo {1}-{2} ::: a b c", ["echo a-b", "echo c-"]),
        ("-n 2 -- echo {1} {2} {3} {4} ::: a b c ::: 1 2", ["echo a 1 a 2", "echo b 1 b 2", "echo c 1 c 2"]),
        ("--separator , -- echo {3} ::: a,b ::: c,d", ["echo c"]),
        ("-- echo ::: 1..3 k=1,2", ["echo 1..3", "echo k=1,2"]),
        ("--from f --from g -- echo", ["echo 'a 1'", "echo 'b 2'", "echo x", "echo y"]),
        ("-- echo :::: f g", ["echo 'a 1' x", "echo 'a 1' y", "echo 'b 2' x", "echo 'b 2' y"]),
        ("-- echo ::: p q ::::+ g", ["echo p x", "echo q y"]),
        ("-- echo {1/}{2.} ::: d/p :::: g", ["echo px", "echo py"]),
        ("--from t.csv -- echo {size} {name/.} {other}", ["echo 1 a '{other}'", "echo 2 b '{other}'"]),
        ("--from t.csv --columns size -- echo", ["echo 1", "echo 2"]),
        ("--from l --separator ; -- echo {2}{1}", ["echo ba", "echo dc"]),
        ("--from l --separator ; --columns v,w -- echo {w}{v}", ["echo ba", "echo dc"]),
        ("--from j.jsonl -- echo {} {n}", ["echo 1 '{n}'", "echo a b '{n}'", "echo 7 '[null]' 7"]),
        ("--shell -- echo {} | wc ::: a;b", ["echo 'a;b' | wc"]),
    ],
)
def test_commands(shell, tmp_path, line, commands):
    files = {"f": "a 1\n\nb 2\n", "g": "x\r\ny\n", "l": "a;b\nc;d\n", "t.csv": "name,size\nx/a.png,1\nb.png,2\n"}
    files["j.jsonl"] = '1\n["a", "b"]\n{"n": 7, "none": [null]}\n'
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert shell.lines(*line.split(" ")) == commands


@pytest.mark.parametrize(
    ("line", "items"),
    [
        ("inputs_sim ::: lr=0.1,0.5 ::: seed=1..2", ['{"lr": 0.1, "seed": 1}', '{"lr": 0.1, "seed": 2}'] * 1),
        ("inputs_sim ::: 0.5 1 :::+ 1..3", ['{"lr": 0.5, "seed": 1}', '{"lr": 1.0, "seed": 2}']),
        ("inputs_sim ::: seed=3 ::: note=a,b ::: 2", ['{"seed": 3, "note": "a", "lr": 2.0}']),
        ("inputs_sim --set lr=2 ::: 1..3", ["1", "2", "3"]),
        ("inputs_sim --set lr=2 --set k:=null --set seed:=4", ["{}"]),
        ("inputs_show ::: 1..3 b=c", ['"1..3"', '"b=c"']),
        ("inputs_show ::: path=a,b", ['"a"', '"b"']),
        ("inputs_many -n 2 ::: a b c", ['["a", "b"]', '["c"]']),
        ("inputs_sim --from t.csv", ['{"lr": 1.0, "seed": 2}', '{"lr": 3.0, "seed": 4, "k": 5}']),
        ("inputs_sim --from t.tsv --columns seed,lr", ['{"seed": 2, "lr": 1.0}']),
        ("inputs_sim --from e.csv", ['{"lr": 1.0, "seed": 2}']),
        ("inputs_sim --from e2.csv --separator ;", ['{"lr": 1.0, "seed": 2}']),
        ("inputs_sim --from l --separator :", ['{"lr": 1.0, "seed": 2}']),
        ("inputs_sim --from l --separator : --columns seed,lr", ['{"seed": 1, "lr": 2.0}']),
    ],
)
def test_items_of_tasks(shell, tmp_path, line, items):
    for name, text in {
        "t.csv": "lr,seed,k,note\n1,2,,\n3,4,5,\n",
        "t.tsv": "\ufefflr\tnothing\tseed\n1\t\t2\n",
        "e.csv": "sep=;\r\nlr;seed\r\n1;2\r\n",
        "e2.csv": "\ufeffsep=;\nlr;seed\n1;2\n",
        "l": "1:2\n",
    }.items():
        (tmp_path / name).write_text(text)
    lines = shell.lines(*line.split(" "))
    assert lines[: len(items)] == items


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("inputs_sim ::: lr=1 seed=2", "a source gives one parameter"),
        ("inputs_sim ::: 1 ::: 2 ::: 3", "more sources than open parameters"),
        ("inputs_sim ::: lr=1 ::: lr=2", "two sources give"),
        ("inputs_sim ::: 1 ::: 5..2", "5..2"),
        ("inputs_sim --from s.csv", "did you mean --separator ';'"),
        ("inputs_sim --from c.csv", "--columns lr,seed reads"),
        ("inputs_sim --from c.csv --columns lr,sed", "'sed'"),
        ("inputs_sim --from c.csv --from s.csv", "other columns"),
        ("inputs_show a ::: b", "one of these ways"),
        ("inputs_show --shell a", "--shell"),
        ("inputs_show --set path:=x", "--set"),
        ("inputs_show -0 ::: a", "-0"),
        ("inputs_show ::::", "::::"),
        ("inputs_show --from - --from -", "once"),
        ("-- ::: a", "no program"),
        ("--from z.jsonl -- echo", "z.jsonl:1: has a NUL"),
        ("-n 2 --from c.csv -- echo", "-n"),
        ("-n 0 -- echo", "-n"),
    ],
)
def test_what_is_refused(shell, tmp_path, line, error):
    (tmp_path / "s.csv").write_text("lr;seed\n1;2\n")
    (tmp_path / "c.csv").write_text("lr,seed,other\n1,2,3\n")
    (tmp_path / "z.jsonl").write_text('"a\\u0000b"\n')
    with pytest.raises((InputError, click.UsageError)) as refusal:
        shell.lines(*line.split(" "))
    message = getattr(refusal.value, "format_message", refusal.value.__str__)()
    assert error in message


@pytest.mark.parametrize(
    "line", ["-- echo :::", "inputs_show :::", "inputs_show --from /dev/null", "-- echo ::: a :::: f"]
)
def test_no_items_are_an_error_of_their_own(shell, tmp_path, monkeypatch, line):
    (tmp_path / "f").touch()
    # The command's handler of SIGTERM would stay in this process, and in those that later tests fork.
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(NoItems):
        shell.lines(*line.split(" "))
    for words in (("--allow-empty", *line.split(" ")), ("--allow-empty", "inputs_show")):
        context = command_named("run").make_context("run", ["--dry-run", *words])
        with context:
            assert context.command.invoke(context) == 0


def test_one_line_as_a_program_is_refused_without_a_shell(shell):
    with pytest.raises(InputError, match="--shell"):
        shell.lines("--", "echo {} | wc", ":::", "a")


def test_bytes_that_are_no_utf8(shell, tmp_path):
    name = os.fsdecode(b"\xef\xbb\xbfa\xff\xfe")
    (tmp_path / "list").write_bytes(os.fsencode(f"{name}\0b\0"))
    (tmp_path / "lines").write_bytes(b"a\xff\nb\n")
    assert shell.lines("--", "cat", ":::", name) == [f"cat '{name}'"]
    assert shell.lines("inputs_show", name) == ['"\ufeffa\\udcff\\udcfe"']
    assert shell.lines("inputs_show", "-0", "--from", "list") == ['"\ufeffa\\udcff\\udcfe"', '"b"']
    assert shell.lines("--from", "lines", "--", f"x{name}") == [f"'x{name}' 'a\udcff'", f"'x{name}' b"]
    with pytest.raises(InputError, match="not UTF-8"):
        shell.lines("inputs_show", "--from", "lines")
    with pytest.raises(InputError, match="not UTF-8"):
        shell.lines("--encoding", "utf-8", "--from", "lines", "--", "cat")


def test_a_task_and_its_result_carry_the_bytes_of_a_name(tmp_path, monkeypatch):
    monkeypatch.setenv("GRISTMILL_DATA_ROOT", str(tmp_path))
    settings.cache_clear()
    name = os.fsdecode(b"\xffa")
    (tmp_path / name).write_bytes(b"content")
    stored = digest.schema.item(name, {}, "path")
    value = digest.run(**digest.schema.arguments(json.loads(stored), {}, "path"))
    text = digest.return_type.text(value)
    line = Result(0, json.loads(stored), "succeeded", json.loads(text), None, 1, 0.1, "w", 7).to_json()
    assert "\\udcffa" in stored
    assert "\\udcffa" in text
    assert line.encode().count(b"\\udcffa") == 2
    assert os.fsencode(json.loads(line)["value"]["path"]) == b"\xffa"
    settings.cache_clear()
