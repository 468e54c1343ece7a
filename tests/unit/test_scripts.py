"""How scripts are put together from their parts."""

import re
from collections import Counter
from pathlib import Path

import pytest

from gristmill.server import scripts
from gristmill.server.scripts import source

ROOMS = Path(scripts.__file__).parent.parent
SCRIPTS = sorted(
    f"{path.parent.parent.relative_to(ROOMS)}/{path.stem}"
    for path in ROOMS.rglob("lua/*.lua")
    if path.read_text().startswith("--@ ") and not path.read_text().startswith("--@ uses")
)
#: Local variables that a function of Lua 5.1 may have.
LOCALS_MOST = 200


def locals_of_the_script(text):
    """The local variables that a script has outside of its blocks and functions."""
    outside = re.sub(r"^do\n.*?^end\n", "", text, flags=re.MULTILINE | re.DOTALL)
    names = re.findall(r"^local (?:function )?(\w+(?:, \w+)*)", outside, re.MULTILINE)
    return [name for line in names for name in line.split(", ")]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_has_room_for_more_local_variables(name):
    # What grows shows here before a server refuses it.
    assert len(locals_of_the_script(source(name).text)) <= LOCALS_MOST - 25


def block(part, *others):
    uses = Counter(word for text in (part, *others) for word in set(re.findall(r"\w+", text)))
    return scripts._block(part, uses)


def test_what_only_its_part_uses_is_local_to_the_part():
    assert block("local MOST, LEAST = 2, 1\nlocal function most() return MOST end\n") == (
        "do\nlocal MOST, LEAST = 2, 1\nlocal function most() return MOST end\nend\n"
    )
    assert block("local MOST = 2\nlocal function most() return MOST end\n", "most()") == (
        "local most\ndo\nlocal MOST = 2\nfunction most() return MOST end\nend\n"
    )
    assert block("local one, two\nlocal three = 3\n", "two, three") == ("local one, two, three\ndo\n\nthree = 3\nend\n")
