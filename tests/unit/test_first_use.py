"""What slots may be the first of their process to do, several at once."""

import ast
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import gristmill
from gristmill.config.settings import settings
from gristmill.server.per_process import PerProcess
from gristmill.tasks.fetch import http

PACKAGE = Path(gristmill.__file__).parent
ROOMS = ("config", "server", "broker", "batches", "fleet", "tasks", "local", "producer", "aio", "worker")
SLOTS = 4


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def _imports_own_parts(package: str) -> bool:
    """Whether to import a package is to import parts of it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations or not (spec.origin or "").endswith(".py"):
        return False
    nodes = ast.parse(Path(str(spec.origin)).read_bytes()).body
    return any(
        getattr(node, "level", 0) or any(name.startswith(f"{package}.") for name in _names(node)) for node in nodes
    )


def _late_parts() -> Iterator[tuple[str, str]]:
    """The parts of other packages that functions import, each with the file."""
    for room in ROOMS:
        for path in (PACKAGE / room).resolve().rglob("*.py"):
            functions = (node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.FunctionDef))
            for name in {name for function in functions for node in ast.walk(function) for name in _names(node)}:
                words = name.split(".")
                above = (".".join(words[:end]) for end in range(1, len(words)))
                if words[0] != "gristmill" and any(map(_imports_own_parts, above)):
                    yield name, str(path)


def test_functions_import_no_part_of_a_package_that_imports_its_parts() -> None:
    """Threads that begin with different parts of such a package wait for each other's import: Python breaks one off."""
    assert _imports_own_parts("urllib3")
    assert [*_late_parts()] == []


#: A thread that uses a name of the public API, and one that begins with another when the first one has found, and has
#: not run yet, the package that both names are in.
FIRST_NAMES = """
import sys, threading, time
from importlib.machinery import PathFinder
import gristmill

def use(name):
    try:
        getattr(gristmill, name)
    except BaseException as error:
        print(repr(error))

def waits(thread):
    places = set()
    for _ in range(20):
        frame = sys._current_frames().get(thread.ident)
        places.add(frame and (frame.f_code.co_name, frame.f_lasti))
        time.sleep(0.001)
    return len(places) == 1

class Second:
    def find_spec(self, name, path=None, target=None):
        if name == "gristmill.tasks":
            spec = PathFinder.find_spec(name, path)
            spec.loader.create_module = begin_second
            return spec

def begin_second(spec):
    second.start()
    while not waits(second):
        pass

first, second = (threading.Thread(target=use, args=[name]) for name in ("item", "cpu"))
sys.meta_path.insert(0, Second())
first.start()
first.join()
second.join()
"""


def test_threads_may_be_the_first_to_use_names_of_the_api_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_NAMES], capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(("made", "use"), [((ssl, "create_default_context"), http._tls)])
def test_slots_share_what_their_process_makes_once(
    monkeypatch: pytest.MonkeyPatch, made: tuple[Any, str], use: Callable[[], object]
) -> None:
    monkeypatch.setattr(http, "_contexts", PerProcess())
    monkeypatch.setenv("GRISTMILL_REDIS_URL", "redis://127.0.0.1:1")
    settings.cache_clear()
    make, together = getattr(*made), threading.Barrier(SLOTS)

    def make_slowly(*arguments: Any, **named: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            # Only slots that make one each meet here.
            together.wait(0.2)
        return make(*arguments, **named)

    monkeypatch.setattr(*made, make_slowly)
    try:
        with ThreadPoolExecutor(SLOTS) as slots:
            objects = [future.result() for future in [slots.submit(use) for _ in range(SLOTS)]]
    finally:
        settings.cache_clear()
    assert len({id(each) for each in objects}) == 1


#: A child that is forked while another thread imports a public name for the first time.
FORKED = """
import os, signal, threading
import gristmill
assert gristmill.State
importing = gristmill._importing
held, over = threading.Event(), threading.Event()

def hold():
    with importing:
        held.set()
        over.wait()

threading.Thread(target=hold).start()
held.wait()
assert gristmill.State
child = os.fork()
if not child:
    signal.alarm(10)
    gristmill.State, gristmill.BatchInfo
    os._exit(0)
over.set()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_of_a_process_in_the_middle_of_an_import_has_every_name():
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "0\n"
