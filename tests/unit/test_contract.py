"""The rules of the contract (docs/design.md): over `--help` of all commands and over the signatures of the API."""

import inspect
import re
import subprocess
import sys

import click
import pytest

import gristmill
from gristmill.cli import COMMANDS, SECTIONS, cli, other_tools
from gristmill.cli.command import Command
from gristmill.cli.options import form_of
from gristmill.cli.submission.task_names import find_task
from gristmill.config.quantities import parse_duration
from gristmill.config.settings import Settings, settings
from gristmill.errors import InputError
from gristmill.producer.batch_options import BatchOptions
from tests.support.commands import command_named, commands
from tests.support.examples import PROJECT

CONTRACT = (
    (PROJECT / "docs" / "design.md").read_text().partition("## The contract of commands")[2].partition("\n## ")[0]
)
#: Options that read their value in one grammar, by metavar.
METAVARS = {
    "--max-wait": "DURATION",
    "--ttl": "DURATION",
    "--close-after": "DURATION",
    "--from": "FILE",
    "--output": "FILE",
    "--halt": "[soon,|now,]fail=N|P%",
}
METAVARS |= {"--time-limit": "DURATION", "--max-running": "N|N%|+N", "--rate": "N/s|N/m|N/h"}


def options_of(name):
    return [param for param in command_named(name).params if isinstance(param, click.Option)]


def help_of(name, columns=80):
    command = command_named(name) if name else cli
    context = click.Context(command, info_name=f"gristmill {name}".strip(), terminal_width=columns)
    return command.get_help(context)


def parsed(*words):
    """What the command makes of its words."""
    command = command_named(words[0])
    return command.make_context(words[0], list(words[1:])).params


def refusal(*words):
    """The usage error of these words."""
    with pytest.raises(click.UsageError) as error:
        parsed(*words)
    return error.value.format_message()


EVERY = ["", *COMMANDS, *(name for name in commands() if " " in name)]


class TestHelp:
    @pytest.mark.parametrize("name", EVERY)
    def test_no_line_is_longer_than_80_columns_or_cut(self, name):
        text = help_of(name)
        assert [line for line in text.splitlines() if len(line) > 80] == []
        assert [line for line in text.splitlines() if line.endswith("...") and not line.startswith("Usage:")] == []

    def test_the_group_lists_every_command_once_in_a_section(self):
        text = help_of("")
        listed = re.findall(r"^  (\w+)  +(.*)$", text.partition("Start:")[2], re.MULTILINE)
        assert [name for name, _ in listed] == list(COMMANDS)
        assert [title for title in SECTIONS if f"\n{title}:\n" in text] == list(SECTIONS)
        assert dict(listed) == {name: line for section in SECTIONS.values() for name, line in section.items()}

    @pytest.mark.parametrize("name", commands())
    def test_every_option_has_help_that_is_a_sentence(self, name):
        for option in options_of(name):
            assert option.help, option.opts
            assert option.help[0].isupper(), option.help
            assert option.help.rstrip()[-1] == ".", option.help


class TestWords:
    """R1, R4, R6, R8."""

    @pytest.mark.parametrize("name", commands())
    def test_every_option_stands_in_the_contract(self, name):
        words = set(re.findall(r"(?<![\w-])--?[a-zA-Z0][a-z-]*", CONTRACT))
        lacking = {opt for option in options_of(name) for opt in option.opts if opt not in words}
        assert lacking == set()

    @pytest.mark.parametrize("name", COMMANDS)
    def test_every_command_stands_in_the_contract(self, name):
        assert re.search(rf"`{name}\b|/ `{name}`|`[^`]*\b{name}\b[^`]*`", CONTRACT)

    def test_an_option_means_the_same_everywhere(self):
        meanings = {}
        for name in commands():
            for option in options_of(name):
                record = option.get_help_record(click.Context(command_named(name)))
                for opt in option.opts:
                    meanings.setdefault(opt, {})[name] = record
        # `--all` says what the command does to all, `--queue` and `--label` what it does with these; and there are
        # states of items, and of batches. `up` has a number of slots, and `autoscale` a range of it.
        different = {opt: places for opt, places in meanings.items() if len(set(places.values())) > 1}
        assert set(different) == {"--all", "--cpu-slots", "--io-slots", "--label", "--queue", "--seconds", "--state"}

    def test_metavars_say_the_grammar(self):
        for name in commands():
            for option in options_of(name):
                for opt in set(option.opts) & set(METAVARS):
                    assert option.metavar == METAVARS[opt], (name, opt)

    @pytest.mark.parametrize("word", other_tools.OPTIONS)
    def test_an_option_of_another_tool_names_ours(self, word):
        commands_without = [name for name in commands() if word not in {o for p in options_of(name) for o in p.opts}]
        assert commands_without, "ours has it"
        name = next(name for name in ("submit", "results", "workers") if name in commands_without)
        words = [name, "fibonacci"] if name == "submit" else [name]
        assert other_tools.OPTIONS[word] in refusal(*words, word)

    @pytest.mark.parametrize("word", other_tools.COMMANDS)
    def test_a_command_of_another_tool_names_ours(self, word):
        assert word not in COMMANDS
        with pytest.raises(click.UsageError) as error:
            cli.resolve_command(click.Context(cli), [word])
        assert other_tools.COMMANDS[word] in error.value.format_message()

    @pytest.mark.parametrize("hint", sorted({*other_tools.OPTIONS.values(), *other_tools.COMMANDS.values()}))
    def test_what_a_hint_names_is_there(self, hint):
        known = {o for name in commands() for p in options_of(name) for o in p.opts} | {"--version", "--help"}
        assert {word for word in re.findall(r"--?[a-z0][a-z-]*", hint) if not re.search(rf"\w{word}", hint)} <= known
        for name, part in re.findall(r"gristmill (\w+)(?: (delete|requeue))?", hint):
            assert f"{name} {part}".strip() in {*COMMANDS, *commands()}
        for setting in re.findall(r"GRISTMILL_([A-Z_]+[A-Z])", hint):
            assert setting.lower() in Settings.model_fields

    def test_timeout_is_refused_with_the_line_of_the_contract(self):
        for name in ("run", "watch"):
            assert "use --time-limit for each item or --max-wait for this command" in refusal(name, "--timeout", "3")
        assert "use --time-limit for each item or --max-wait for this command" in CONTRACT

    def test_input_and_output_share_no_name(self):
        reads, writes = {"--from", "--input-format", "--encoding", "-0"}, {"--format", "--json", "--output"}
        assert reads <= {o for p in options_of("run") for o in p.opts}
        assert not {o for p in options_of("results") for o in p.opts} & reads
        assert writes <= {o for p in options_of("results") for o in p.opts}

    def test_json_is_format_jsonl(self):
        assert {"--json", "--format"} <= {o for p in options_of("submit") for o in p.opts}
        assert form_of(None, True) == form_of("jsonl", False) == form_of("jsonl", True) == "jsonl"
        with pytest.raises(click.UsageError):
            form_of("csv", True)

    def test_a_commands_options_are_the_keywords_of_the_api(self):
        keywords = set(inspect.signature(gristmill.submit).parameters)
        assert {"name", "set", "priority", "halt", "ttl", "max_wait"} <= keywords
        options = {o.removeprefix("--").replace("-", "_") for p in options_of("submit") for o in p.opts}
        assert keywords - {"task", "items", "queue", "labels"} <= options

    @pytest.mark.parametrize("word", ["retry", "cancel", "close", "pause", "resume", "delete", "results"])
    def test_commands_are_the_methods_of_a_batch(self, word):
        assert word in COMMANDS
        assert callable(getattr(gristmill.Batch, word))

    @pytest.mark.parametrize("word", ["results", "retry", "cancel", "close", "pause", "resume", "delete"])
    def test_keywords_of_a_batchs_method_are_the_commands_options(self, word):
        keywords = set(inspect.signature(getattr(gristmill.Batch, word)).parameters) - {"self"}
        assert keywords <= {o.removeprefix("--").replace("-", "_") for p in options_of(word) for o in p.opts}


class TestPrograms:
    """R2."""

    def test_a_programs_option_says_how_a_program_begins(self):
        assert refusal("run", "ffmpeg", "-i", "x") == ("no task is called 'ffmpeg'; to run a program put -- before it")

    @pytest.mark.parametrize(("word", "what"), [("echo", "--"), ("fetsh", "'fetch'")], ids=["program", "typing error"])
    def test_a_word_like_that_of_a_task_may_be_a_program(self, word, what, tmp_path, monkeypatch):
        monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path))
        settings.cache_clear()
        try:
            with pytest.raises(InputError, match=re.escape(what)):
                find_task(word)
        finally:
            settings.cache_clear()

    def test_an_option_that_is_not_there_is_no_task(self):
        assert refusal("run", "--output", "f", "fibonacci", "3").startswith("no option --output")
        assert refusal("run", "fibonacci", "3", "--output", "f").startswith("no option --output")

    @pytest.mark.parametrize("words", [("--", "ffmpeg", "-i", "x"), ("--name", "n", "--", "ffmpeg"), ("--",)])
    @pytest.mark.parametrize("command", ["run", "submit"])
    def test_before_a_task_it_begins_a_program(self, command, words):
        params = parsed(command, *words)
        assert (params["task"], params["program"]) == ("program", words[words.index("--") + 1 :])

    @pytest.mark.parametrize(
        ("words", "items"),
        [(("fibonacci", "--", "-3", "4"), ("-3", "4")), (("--name", "n", "echo", "a", "--", "--"), ("a", "--"))],
    )
    def test_behind_a_task_it_ends_the_options(self, words, items):
        assert parsed("run", *words)["items"] == items

    def test_an_item_that_looks_like_an_option(self):
        assert "put -- after TASK" in refusal("run", "fibonacci", "-3")

    def test_a_task_with_a_typing_error(self):
        assert "did you mean 'fibonacci'?" in refusal("run", "fibonaci", "-x")

    def test_an_option_with_a_typing_error(self):
        assert "did you mean --in-order?" in refusal("run", "fibonacci", "--inorder")


class TestGrammars:
    """R3."""

    @pytest.mark.parametrize("text", ["90s", "30m", "12h", "7d", "45", "1.5h"])
    def test_durations_of_commands_and_of_the_api(self, text):
        assert parsed("watch", "--max-wait", text)["max_wait"] == parse_duration(text)
        assert parsed("run", "echo", "--ttl", text)["ttl"] == BatchOptions.of(ttl=text).ttl

    @pytest.mark.parametrize("text", ["soon", "-1", "1w", "nan", ""])
    @pytest.mark.parametrize(
        ("command", "option"),
        [("watch", "--max-wait"), ("results", "--max-wait"), ("run", "--ttl"), ("run", "--time-limit")],
    )
    def test_what_is_no_duration(self, command, option, text):
        words = [command, "echo"] if command == "run" else [command]
        assert repr(text) in refusal(*words, option, text)

    @pytest.mark.parametrize("text", ["10", "10%", "later,fail=1", "fail=0", "success=", ""])
    def test_what_halt_refuses(self, text):
        assert "fail=N" in refusal("run", "echo", "--halt", text)
        with pytest.raises(InputError):
            BatchOptions.of(halt=text)

    @pytest.mark.parametrize("text", ["fail=10", "fail=0.5%", "now,fail=1", "soon,success=5%"])
    def test_what_halt_takes(self, text):
        assert parsed("run", "echo", "--halt", text)["halt"] == text

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("-j", "0"),
            ("-j", "-1"),
            ("--max-running", "50%%"),
            ("--retries", "-1"),
            ("--retries", "many"),
            ("--rate", "10"),
            ("--rate", "soon"),
        ],
    )
    def test_what_limits_refuse(self, option, value):
        assert f"{value!r} (expected " in refusal("run", "echo", option, value)

    @pytest.mark.parametrize(("text", "states"), [("failed", {"failed"}), ("dead,cancelled", {"dead", "cancelled"})])
    def test_states(self, text, states):
        assert parsed("results", "--state", text)["states"] == states

    def test_what_is_no_state(self):
        assert "'failed,gone'" in refusal("results", "--state", "failed,gone")

    @pytest.mark.parametrize(("option", "value"), [("--cpu-slots", "0"), ("--io-slots", "x"), ("--port", "65536")])
    def test_numbers_of_up(self, option, value):
        assert f"'{value}' (expected an integer from " in refusal("up", option, value)


def test_run_and_submit_have_the_same_options_of_a_batch():
    """R5."""
    run, submit = ({o for p in options_of(name) for o in p.opts} for name in ("run", "submit"))
    assert run - submit == {"--consume"}
    appends = {"--append", "--close-after", "--dedupe-by", "--token"}
    times = {"--at", "--in", "--cron", "--every", "--tz", "--missed", "--overlap"}
    assert submit - run == {"--follow", *appends, *times}


def test_every_command_knows_other_tools_words():
    for name in commands():
        assert isinstance(command_named(name), Command), name


def test_help_loads_click_and_no_more():
    code = (
        "import sys; from gristmill.cli import cli; cli.main(['--help'], standalone_mode=False);"
        "names = {'celery', 'flower', 'redis', 'pydantic', 'rich', 'gristmill.cli.run'};"
        "print(*sorted(names & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "\n"
