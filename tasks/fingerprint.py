"""The fingerprint of a task: a hash of the code that it runs, to tell whether two hosts have the same."""

import ast
import hashlib
import importlib.machinery
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import Any

#: Names of directories with installed distributions, wherever they are.
_SITE = {"site-packages", "dist-packages"}
#: Characters of a hash that are kept.
_DIGITS = 12
#: The directory of the package gristmill.
_PACKAGE = Path(__file__).parents[1]


def fingerprint(modules: dict[str, str]) -> str:
    """12 hex digits for the code that `modules` has hashes of."""
    return _hash("\n".join(f"{name} {digest}" for name, digest in sorted(modules.items())).encode())


def modules_of(function: Callable[..., Any]) -> dict[str, str]:
    """The hash of each module that a task's function depends on, by name.

    These are the function's module and those that it imports, directly or not, of the user's own. A module of an
    installed distribution stands for all of it: beside its hash there is the distribution's version. The standard
    library, other installed distributions and Gristmill are left out.
    """
    name = function.__module__
    module = sys.modules.get(name)
    path = _source(module)
    if path is None:
        return {name: _hash(_text(function))}
    if name.startswith("gristmill."):
        return {name: _hash(path.read_bytes()), "gristmill": version("gristmill")}
    if is_installed(path):
        return {name: _hash(path.read_bytes()), **_distribution(name)}
    if name == "__main__":
        name = path.stem
    return {name: _hash(path.read_bytes()), **_own_imports(path, getattr(module, "__package__", None) or "")}


def _text(function: Callable[..., Any]) -> bytes:
    code = getattr(function, "__code__", None)
    # Since Python 3.13, `<string>` has a source: that of `python -c`, whatever string the function was compiled from.
    if code is None or code.co_filename != "<string>":
        with suppress(OSError, TypeError):
            return inspect.getsource(function).encode()
    # Typed at a prompt: its compiled code is all that there is.
    return repr((code.co_code, code.co_names, code.co_consts)).encode() if code else function.__name__.encode()


def _own_imports(path: Path, package: str) -> dict[str, str]:
    """The hashes of the user's own modules that a file imports, and of those that these import."""
    hashes: dict[str, str] = {}
    waiting = [(path, package)]
    while waiting:
        for name, file, inner in _imports(*waiting.pop()):
            if name not in hashes:
                hashes[name] = _hash(file.read_bytes())
                waiting.append((file, inner))
    return hashes


@cache
def _imports(path: Path, package: str) -> list[tuple[str, Path, str]]:
    """The user's own modules that one file imports: their names, files and packages."""
    modules: dict[str, tuple[str, Path, str]] = {}
    for name in _names(path, package):
        for own in _own(name):
            modules.setdefault(own[0], own)
    return list(modules.values())


def _names(path: Path, package: str) -> Iterator[str]:
    """The full names that a file imports, anywhere in its code; a name may be that of an object in a module."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _own(name: str) -> Iterator[tuple[str, Path, str]]:
    """The user's own modules on the way to a name: `shop`, `shop.jobs`."""
    parts = name.split(".")
    if parts[0] in sys.stdlib_module_names or parts[0] == "gristmill":
        return
    paths: list[str] | None = None
    for end in range(1, len(parts) + 1):
        module = ".".join(parts[:end])
        spec = _spec(module, paths)
        if spec is None:
            return
        paths = spec.submodule_search_locations and list(spec.submodule_search_locations)
        if spec.origin and spec.origin.endswith(".py"):
            path = Path(spec.origin)
            if is_installed(path):
                return
            yield module, path, module if paths is not None else module.rpartition(".")[0]
        if paths is None:
            return


def _spec(module: str, paths: list[str] | None) -> importlib.machinery.ModuleSpec | None:
    """Where a module is, without importing it."""
    spec: importlib.machinery.ModuleSpec | None = getattr(sys.modules.get(module), "__spec__", None)
    if spec is not None:
        return spec
    for finder in sys.meta_path:
        with suppress(Exception):
            spec = finder.find_spec(module, paths)
            if spec is not None:
                return spec
    return None


def _source(module: ModuleType | None) -> Path | None:
    path = Path(getattr(module, "__file__", None) or "")
    return path.absolute() if path.suffix == ".py" and path.is_file() else None


@cache
def _library() -> tuple[Path, ...]:
    """The directories of the standard library and of installed distributions."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({Path(sysconfig.get_path(name)).resolve() for name in names})


@cache
def is_installed(path: Path) -> bool:
    """Whether a file belongs to the standard library or to an installed distribution."""
    resolved = path.resolve()
    return not _SITE.isdisjoint(resolved.parts) or any(resolved.is_relative_to(folder) for folder in _library())


def is_users_own(path: Path) -> bool:
    """Whether a file is the user's own: not Gristmill's, the standard library's or an installed distribution's."""
    return path.is_file() and not path.is_relative_to(_PACKAGE) and not is_installed(path)


@cache
def _distribution(module: str) -> dict[str, str]:
    """The version of the distribution that has an installed module, by the distribution's name."""
    names = packages_distributions().get(module.partition(".")[0], [])
    with suppress(PackageNotFoundError):
        return {name: version(name) for name in sorted(set(names))}
    return {}


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGITS]
