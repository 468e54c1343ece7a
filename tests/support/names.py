"""The names that the code gives, and the bad ones among them: `python -m tests.support.names [ROOM]…` lists these."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


def _is_room(path: Path) -> bool:
    """Whether a path in the package holds code of its own: links lead to rooms that are listed by themselves."""
    return not path.is_symlink() and (path.is_dir() or path.suffix == ".py") and path.name != "__pycache__"


ROOMS = (
    *(f"gristmill/{path.name}" for path in sorted((ROOT / "gristmill").iterdir()) if _is_room(path)),
    *("config", "producer", "tasks", "benchmarks", "tests/support", "tests/model"),
)

# Words that the field does not use for the thing, and the word that it uses.
_OLD = {
    "alone": "quarantine",
    "attention": "worker_checks",
    "awaiting": "wait_for_server",
    "beat": "heartbeat",
    "brake": "backpressure",
    "cell": "quarantine",
    "convicted": "poison_message",
    "exchange": "http",
    "fed": "already_feeding",
    "isolated": "quarantine",
    "isolation": "quarantine",
    "pulse": "heartbeat",
    "reads": "reader",
    "terms": "options",
    "tether": "parent_death",
    "tick": "heartbeat",
    "who": "identity",
}
_OLD_PHRASES = {"batch_run": "submission", "letters": "dead_letters", "other_input": "different_input"}
# As the whole name of a value, or of a function, which says nothing of the value.
_PARTICIPLES = {
    *("asked", "begun", "caught", "chosen", "cut", "drawn", "found", "given", "gone", "got"),
    *("handed", "heard", "held", "kept", "known", "made", "meant", "named", "refused", "said"),
    *("seen", "sent", "shown", "spelled", "taken", "told", "tried", "wanted", "woken"),
}
_VERBS_TOO = {"cut"}
# AMQP has exchanges: kombu's channel is called with them. The axes of a chart have ticks.
_ALLOWED = (("gristmill/broker", "exchange"), ("gristmill/dashboard/static/chart.js", "tick"))


class Name(NamedTuple):
    """A name where it is given: `kind` is "file", "class", "function", "value" or "page" (of JavaScript or HTML)."""

    kind: str
    text: str
    path: str
    line: int


class Fault(NamedTuple):
    """A name that has to be another, and why."""

    name: Name
    reason: str

    def __str__(self) -> str:
        return f"{self.name.path}:{self.name.line}: {self.name.kind} {self.name.text}: {self.reason}"


def faults(room: str) -> list[Fault]:
    """The bad names in a folder or file below the root, such as "gristmill/worker"."""
    return [fault for name in names(room) for fault in judge(name)]


def names(room: str) -> Iterator[Name]:
    """Every name that a folder or a file below the root gives to something."""
    place = ROOT / room
    for path in sorted(place.rglob("*") if place.is_dir() else [place]):
        where = path.relative_to(ROOT).as_posix()
        if path.suffix in (".py", ".js", ".html"):
            yield Name("file", path.stem, where, 1)
        if path.suffix == ".py":
            yield from of_python(path.read_text("utf-8"), where)
        elif path.suffix in (".js", ".html"):
            yield from _of_page(path.read_text("utf-8"), where)


def of_python(source: str, path: str = "") -> Iterator[Name]:
    """The classes, functions and values that Python source names."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ClassDef(name=text):
                yield Name("class", text, path, node.lineno)
            case ast.FunctionDef(name=text) | ast.AsyncFunctionDef(name=text):
                yield Name("function", text, path, node.lineno)
            case ast.Name(id=text, ctx=ast.Store()) | ast.Attribute(attr=text, ctx=ast.Store()) | ast.arg(arg=text):
                yield Name("value", text, path, node.lineno)
            case ast.ExceptHandler(name=str(text)) | ast.MatchAs(name=str(text)) | ast.MatchStar(name=str(text)):
                yield Name("value", text, path, node.lineno)
            case ast.MatchMapping(rest=str(text)):
                yield Name("value", text, path, node.lineno)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                yield from (Name("value", alias.asname, path, node.lineno) for alias in aliases if alias.asname)
            case _:
                pass


# What `const`, `let` and `function` declare, the arguments of functions, and the ids, classes and data of HTML.
_OF_PAGE = re.compile(
    r"\b(?:const|let|function)\s+(\w+)|\bfunction\s*\w*\(([^()]*)\)|\(([\w\s,]*)\)\s*=>|"
    r"\b(?:id|class|name|data-[\w-]+)=\"([\w\s-]+)\"|\b(data-[\w-]+)="
)


def _of_page(source: str, path: str) -> Iterator[Name]:
    for number, line in enumerate(source.splitlines(), 1):
        for hit in _OF_PAGE.finditer(line):
            for text in filter(None, hit.groups()):
                yield from (Name("page", word, path, number) for word in re.split(r"[\s,]+", text) if word)


def judge(name: Name) -> Iterator[Fault]:
    """What is wrong with a name."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name.text)]
    whole = "_".join(words)
    for word in words:
        if word in _OLD and not any(name.path.startswith(room) and word == ours for room, ours in _ALLOWED):
            yield Fault(name, f"{word!r} is an old word (the field says {_OLD[word]!r})")
    for phrase, now in _OLD_PHRASES.items():
        if re.search(rf"(?<![a-z]){phrase}(?![a-z])", whole.replace("dead_letters", "")):
            yield Fault(name, f"{phrase!r} is an old word (the field says {now!r})")
    # Helpers of tests are sentences where they are called: `run(…).refused("no task")`.
    exempt = name.kind == "function" and (whole in _VERBS_TOO or name.path.startswith("tests/"))
    if whole in _PARTICIPLES and not exempt:
        yield Fault(name, "a past participle (say what the value is)")


def classes(rooms: tuple[str, ...]) -> dict[str, set[str]]:
    """The name of each class, with the files that define it: a file may have one form of it for type checkers."""
    places: dict[str, set[str]] = {}
    for name in (name for room in rooms for name in names(room) if name.kind == "class"):
        places.setdefault(name.text, set()).add(name.path)
    return places


if __name__ == "__main__":
    for room in sys.argv[1:] or ROOMS:
        bad = faults(room)
        sys.stdout.write(f"{room}: {len(bad)}\n" + "".join(f"  {fault}\n" for fault in bad))
