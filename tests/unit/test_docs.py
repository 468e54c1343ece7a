"""The documentation says what is there: settings, commands, options, exit codes, keys, tasks; its links lead."""

import re
import subprocess
from pathlib import Path

import click
import pytest
from pydantic import ValidationError

from gristmill import errors
from gristmill.batches.info import BatchInfo, State
from gristmill.cli import COMMANDS, INTERRUPTED, TIMED_OUT, cli
from gristmill.cli.console import Quiet
from gristmill.config.environment import COMPOSE
from gristmill.config.settings import Settings, expectation, variable
from gristmill.tasks import catalog
from gristmill.tasks.task import GristmillTask
from tests.support.commands import command_named, commands
from tests.support.examples import DESIGN, DOCS, PAGES, PROJECT, blocks, calls, region, section, shell_lines, title

#: The tables of docs/settings.md: each heading with its first setting.
GROUPS = {
    "home": "The home, the server and tasks",
    "cpu_slots": "Workers",
    "dashboard_host": "Dashboard and logs",
    "server_memory": "The private server",
    "fetch_host_slots": "`fetch`",
    "notify_secret": "Notices",
}
#: The last word of a setting's name -> its unit.
UNITS = {"seconds": "s", "limit": "s", "bytes": "bytes", "memory": "bytes", "rate": "1/s"}
#: The project's files, and those of a reader's own that the pages show.
FILES = [f"/{path}" for path in subprocess.check_output(["git", "ls-files"], cwd=PROJECT, text=True).split()]
EXAMPLE_FILES = {"photos.py", "pool.py", "ways.py", "shop/jobs.py", "flowerconfig.py", "links.py", "nightly.py"}


@pytest.fixture(autouse=True)
def _loud(monkeypatch):
    monkeypatch.setattr(Quiet, "on", False)


def table(header: str, rows: list[list[str]]) -> str:
    """A table as Markdown."""
    columns = header.split(", ")
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def default_of(name: str) -> str:
    value = Settings.model_fields[name].get_default()
    if value in (None, "", (), {}):
        return "unset"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    unit = UNITS.get(name.rpartition("_")[2], "")
    return f"`{text}` {unit}".strip()


def settings_tables() -> str:
    """What docs/settings.md has between its markers."""
    parts: list[str] = []
    rows: list[list[str]] = []
    for name, field in Settings.model_fields.items():
        if name in GROUPS:
            rows = []
            parts.append((GROUPS[name], rows))
        takes = expectation(name).replace("'", "`")
        rows.append([f"`{variable(name)}`", default_of(name), takes, field.description])
    header = "setting, default, allowed, meaning"
    return "\n\n".join(f"## {heading}\n\n{table(header, rows)}" for heading, rows in parts)


def options_table(name: str) -> str:
    """What docs/commands.md has between the markers of a command: its usage and its options."""
    command = command_named(name)
    context = click.Context(command, info_name=f"gristmill {name}")
    records = [p.get_help_record(context) for p in command.params if isinstance(p, click.Option)]
    rows = [[f"`{option}`", re.sub(r"\s+", " ", text).replace("[", "(").replace("]", ")")] for option, text in records]
    usage = context.get_usage().removeprefix("Usage: ")
    return f"```text\n{usage}\n```\n\n{table('option, effect', rows)}"


def shipped() -> dict[str, GristmillTask]:
    sources = catalog.catalog().sources
    return {name: task for name, task in catalog.load().items() if sources[name] == "shipped"}


def tasks_table() -> str:
    """What docs/tasks.md has between its markers: the shipped tasks and what they take."""
    rows = []
    for name, task in shipped().items():
        takes = [
            f"`{p.name}`: {p.allowed}" + ("" if p.required else f" (default `{p.default}`)")
            for p in task.schema.parameters.values()
        ]
        rows.append([f"`{name}`", f"`{task.kind}`", "; ".join(takes), task.summary])
    return table("task, kind, parameters, purpose", rows)


def test_every_setting_is_there_with_its_default_and_what_it_takes():
    # To update: paste what is expected between the markers.
    assert region(DOCS / "settings.md", "settings") == settings_tables()


#: Values of settings whose expectation is written by hand: one that is taken, one that is not.
EXAMPLES_OF_SETTINGS = {
    "home": ("/srv/mill", None),
    "redis_url": ("rediss://host", "http://host"),
    "redis_password": ("p", None),
    "prefix": ("p" * 64, "p" * 65),
    "stock_queues": ("mail, reports", None),
    "task_modules": ("one, two.three", None),
    "data_root": ("/data", None),
    "dashboard_password": ("p" * 8, "p" * 7),
    "dashboard_operators": ("ann:pass word, bo@mill.example", "ann:short"),
    "dashboard_viewers": ("cy:pass word", "cy:pass word,cy"),
    "dashboard_url_prefix": ("/tools/flower/", "a b"),
    "metrics_token": ("t" * 8, "t" * 7),
    "start_method": ("fork, gpu=spawn,mail.1=forkserver", "gpu=fork,gpu=spawn"),
    "redact": ("pass=\\S+", "("),
    "notify_networks": ("10.0.0.0/8, fd00::/8", "10.0.0.0/8 fd00::/8"),
    "notify_secret": ("whsec_" + 32 * "A", 38 * "A"),
    "metrics_labels": ("team, env", None),
    "fetch_networks": ("10.0.0.0/8, fd00::/8", "10.0.0.0/8 fd00::/8"),
}


def test_examples_are_there_for_every_expectation_that_is_written_by_hand():
    properties = Settings.model_json_schema()["properties"]
    assert {name for name, schema in properties.items() if "expectation" in str(schema)} == {*EXAMPLES_OF_SETTINGS}


@pytest.mark.parametrize("name", EXAMPLES_OF_SETTINGS)
def test_what_settings_are_said_to_take_is_what_they_take(name):
    good, bad = EXAMPLES_OF_SETTINGS[name]
    Settings.model_validate({name: good})
    if bad:
        with pytest.raises(ValidationError):
            Settings.model_validate({name: bad})


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_settings_that_are_mentioned_exist(page):
    known = {variable(name) for name in Settings.model_fields} | COMPOSE
    named = set(re.findall(r"GRISTMILL_[A-Z_]*[A-Z]", page.read_text()))
    assert {name.removesuffix("_FILE") for name in named} <= known


@pytest.mark.parametrize("name", commands())
def test_every_command_and_option_is_there(name):
    # To update: paste what is expected between the markers.
    assert region(DOCS / "commands.md", f"options {name}") == options_table(name)
    lines = shell_lines(section(DOCS / "commands.md", name.split()[0]))
    assert any(f"gristmill {name}" in line for line in lines), f"no example of {name}"


def test_commands_stand_in_the_order_of_help():
    headings = re.findall(r"^## (.*)$", (DOCS / "commands.md").read_text(), re.MULTILINE)
    assert headings == ["Exit codes", *COMMANDS]


def example_lines() -> dict[str, str]:
    """Every line that calls us, in the documentation and in what `--help` prints, with where it stands."""
    found = {f"{title(page)}: {line}": line for page in PAGES for line in shell_lines(page.read_text())}
    for name in ("", *COMMANDS, *commands()):
        spoken = (command_named(name) if name else cli).help
        # In `gristmill --help`, each example has its explanation beside it.
        lines = [re.split(r" {3,}", line.strip())[0] for line in spoken.partition("Examples:")[2].splitlines()]
        for line in [*lines, *shell_lines(spoken)]:
            if "gristmill" in line:
                found[f"gristmill {name} --help: {line}"] = line
    return found


EXAMPLES = example_lines()


@pytest.mark.parametrize("line", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_every_example_parses(line):
    group = click.Context(cli, info_name="gristmill")
    assert calls(line)
    for arguments in calls(line):
        if arguments == ["--version"]:
            continue
        command, rest, context = cli, arguments, group
        while isinstance(command, click.Group) and rest:
            name, command, rest = command.resolve_command(context, rest)
            context = click.Context(command, info_name=name, parent=context)
        if line == context.command_path:
            # In prose that is the command's name.
            continue
        command.make_context(context.info_name, rest, parent=context.parent)


def test_calls_are_found_in_lines_of_shell():
    line = (
        "A=1 gristmill run t --from <(find . -name '*.jpg' | sort) > out; x | B=2 gristmill watch b && echo gristmill"
    )
    assert calls(line) == [["run", "t", "--from", "/dev/fd/63"], ["watch", "b"]]
    assert calls("cat <(gristmill batches --json) # gristmill up") == [["batches", "--json"]]


def test_exit_codes_are_those_of_the_contract_and_of_the_code():
    rows = re.findall(r"^\| (\d+) \|", section(DOCS / "commands.md", "Exit codes"), re.MULTILINE)
    contract = re.search(r"^### Exit codes\n\n(.*?)\. A closed", DESIGN.read_text(), re.MULTILINE)[1]
    codes = re.findall(r"(?:^|; )(\d+) ", contract)
    raised = [error.exit_code for error in vars(errors).values() if isinstance(error, type)]
    assert rows == codes
    assert {*map(str, raised), "0", str(TIMED_OUT), str(INTERRUPTED)} == set(codes)


def glossary() -> dict[str, list[str]]:
    """Each word of the glossary -> its meaning and its example."""
    rows = re.findall(r"^\| (.+?) \| (.+) \| (.+) \|$", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    return {word.strip("`"): cells for word, *cells in rows if word not in ("word", "---")}


def test_the_glossary_has_every_state_and_counter():
    counters = BatchInfo.__dataclass_fields__.keys() - {
        "name",
        "task",
        "state",
        "submitted_by",
        "reason",
        "queue",
        "kind",
    }
    words = {*map(str, State), *counters - {"created", "finished"}}
    assert sorted(words - glossary().keys()) == []


def test_a_word_of_the_glossary_has_a_sentence_and_an_example():
    assert len(glossary()) > 40
    for word, (meaning, example) in glossary().items():
        assert meaning.endswith("."), word
        assert len(example) > 10, word


def test_the_index_leads_to_every_page():
    links = re.findall(r"\]\(([^)]+)\)", (DOCS / "README.md").read_text())
    assert sorted(page.name for page in DOCS.glob("*.md") if page.name not in {*links, "README.md"}) == []


def test_every_task_that_ships_is_there():
    # To update: paste what is expected between the markers.
    assert region(DOCS / "tasks.md", "tasks") == tasks_table()
    page = (DOCS / "tasks.md").read_text()
    assert [name for name in shipped() if f"\n### {name}\n" not in page] == []


def test_every_key_is_there():
    lua = "\n".join(path.read_text() for path in (PROJECT / "gristmill" / "batches" / "lua").glob("*.lua"))
    keys = set(re.findall(r"(?:^--  | {3,})(\S+) +(?:zset|hash|stream|string|set|bitmap)  ", lua, re.MULTILINE))
    keys |= set(re.findall(r"GM \.\. '(\w+)'", lua))
    assert len(keys) > 15
    listed = section(DOCS / "internals.md", "The keys")
    assert sorted(key for key in keys if f"`{key}`" not in listed) == []


def test_every_room_is_there():
    rooms = {path.parent.relative_to(PROJECT).as_posix() for path in PROJECT.glob("[a-z]*/**/__init__.py")}
    listed = section(DOCS / "internals.md", "The rooms")
    assert sorted(room for room in rooms if not room.startswith("tests") and f"| `{room}/` |" not in listed) == []


@pytest.mark.parametrize("page", [DESIGN, *PAGES], ids=title)
def test_files_that_are_named_exist(page):
    paths = re.findall(r"`((?:\w+/)*\w+\.(?:py|lua|sh|yml|acl))`", page.read_text())
    assert [
        path for path in paths if path not in EXAMPLE_FILES and not any(name.endswith(f"/{path}") for name in FILES)
    ] == []


def test_the_tests_that_security_names_exist():
    page = (DOCS / "security.md").read_text()
    names = re.findall(r"`(tests/\w+/\w+\.py)::(\w+)`", page)
    assert [name for path, name in names if f"def {name}(" not in (PROJECT / path).read_text()] == []


def anchors(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, PROJECT / "CHANGELOG.md"], ids=title)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = page.parent / path if path else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readmes_first_screen_is_short():
    first = (PROJECT / "README.md").read_text().partition("\n## ")[0]
    opening = first.split("\n\n")[1]
    assert len(re.findall(r"\.(?:\s|$)", opening)) == 2
    assert len(re.findall(r"^!\[", first, re.MULTILINE)) == 1
    assert len(region(PROJECT / "README.md", "demo").splitlines()) <= 10 + len(["```text", "```"])


@pytest.mark.parametrize(("page", "name"), [("README.md", "demo"), ("docs/threads-to-fleet.md", "compare")])
def test_a_page_has_a_place_for_what_is_measured(page, name):
    assert blocks(region(PROJECT / page, name) + "\n", "text")


def test_the_changelog_has_a_place_for_what_is_new():
    headings = re.findall(r"^## (.*)$", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
