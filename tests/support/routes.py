"""Every address of the dashboard: made from the routes that its application has registered, ours and Flower's."""

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from pathlib import Path

from tests.support.forked import run_to_end

#: Prints the patterns of the application's routes.
_PRINT = """
import json
from gristmill.dashboard.application import Dashboard, install
install()
def patterns(router):
    for rule in router.rules:
        if hasattr(rule.target, "rules"):
            yield from patterns(rule.target)
        else:
            yield rule.matcher.regex.pattern
print(json.dumps(list(patterns(Dashboard().default_router))))
"""
_GROUP = re.compile(r"\(([^()]*)\)")


@cache
def routes() -> tuple[str, ...]:
    """The patterns of the routes."""
    command = [sys.executable, "-P", "-c", _PRINT]
    return tuple(json.loads(run_to_end(command, None, Path.cwd(), os.environ, 60)[1]))


def addresses(names: Sequence[str]) -> list[str]:
    """Addresses of each route, with every choice that its pattern spells out, and else with each of `names`."""
    return sorted({address for pattern in routes() for address in _of_route(pattern, names)})


def _of_route(pattern: str, names: Sequence[str]) -> Iterator[str]:
    text = pattern.rstrip("$").replace("/?", "/")
    if text == ".*":
        text = "/nowhere"
    parts = _GROUP.split(text)
    for words in product(*(_words(part, names) if place % 2 else [part] for place, part in enumerate(parts))):
        address = "".join(words).replace(r"\-", "-")
        assert re.fullmatch(pattern, address), f"{address} is no address of the route {pattern}"
        yield address


def _words(group: str, names: Sequence[str]) -> list[str]:
    if re.fullmatch(r"[\w|]+", group):
        return group.split("|")
    words = [name for name in names if re.fullmatch(group, name)] or (["0"] if "0-9" in group else [])
    assert words, f"no name fits {group} (expected one in {names})"
    return words
