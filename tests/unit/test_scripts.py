"""How scripts are put together from their parts."""

import re
from collections import Counter
from pathlib import Path

import pytest

from gristmill.server import scripts
from gristmill.server.scripts import source

ROOMS = Path(scripts.__file__).parent.parent
#: Scripts and parts.
FILES = sorted(f"{path.parent.parent.relative_to(ROOMS)}/{path.stem}" for path in ROOMS.rglob("lua/*.lua"))
SCRIPTS = [name for name in FILES if scripts._HEAD.search(scripts._read(name))]
#: Small parts that others build upon.
BASES = {"server/keys", "server/clock"}
#: What a part does when a script begins, such as to refuse what another version has written.
CHECK = re.compile(r"^if ", re.MULTILINE)
#: Local variables that a function of Lua 5.1 may have.
LOCALS_MOST = 200


WORD = re.compile(
    r"\blocal (?:function (?P<function>\w+)|(?P<names>\w+(?:, \w+)*))|\b(?P<word>do|if|function|repeat|end|until)\b"
)


def locals_at_once(text):
    """How many local variables a script has at once, outside of its functions."""
    most, inside, blocks = 0, 0, [0]
    for found in WORD.finditer(re.sub(r"--[^\n]*|'(?:\\.|[^'\\])*'", "", text)):
        name, names, word = found.groups()
        if not inside:
            blocks[-1] += 1 if name else len((names or "").split())
            most = max(most, sum(blocks))
        if names:
            continue
        if word in {"end", "until"}:
            if inside:
                inside -= 1
            else:
                blocks.pop()
        elif inside or name or word == "function":
            inside += 1
        else:
            blocks.append(0)
    assert (inside, blocks) == (0, blocks[:1])
    return most


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_has_room_for_more_local_variables(name):
    # What grows shows here before a server refuses it.
    assert locals_at_once(source(name).text) <= LOCALS_MOST - 25


def code(name):
    """The text of a script or a part, without its comments and texts."""
    return re.sub(r"--[^\n]*|'(?:\\.|[^'\\])*'", "", scripts._read(name))


def code_words(name):
    """The words of a script or a part, without the fields of tables."""
    return set(re.findall(r"(?<![.\w])\w+", re.sub(r"[{,]\s*\w+ =(?!=)", "", code(name))))


def declared(name):
    return {word for line in scripts._LOCAL.finditer(scripts._read(name)) for word in line["names"].split(", ")}


def own_words(name):
    """The words that a script or a part gives a meaning itself, in any of its functions and blocks."""
    head, text = scripts._HEAD.search(scripts._read(name)), code(name)
    lists = re.findall(r"\b(?:local function|local|for) (\w+(?:, \w+)*)", text)
    lists += re.findall(r"\bfunction\b[^(\n]*\(([^)]*)\)", text)
    return set(re.findall(r"\w+", " ".join([*lists, head["parameters"] if head else ""])))


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_has_no_part_that_it_does_not_need(name):
    # Each call of the script makes the functions of all its parts.
    parts, open_ones = scripts._parts(name), [name]
    needed = BASES | {part for part in parts if CHECK.search(scripts._read(part))}
    while open_ones:
        words = code_words(open_ones.pop())
        found = {part for part in parts if part not in needed and declared(part) & words}
        needed |= found
        open_ones += found
    assert set(parts) <= needed


DECLARED = {name: declared(name) for name in FILES if name not in SCRIPTS}


@pytest.mark.parametrize("name", FILES)
def test_a_script_and_a_part_have_each_part_that_they_need(name):
    # The server finds out only when a call comes to a word without a meaning.
    others = set().union(*(DECLARED[part] for part in scripts._parts(name)))
    assert code_words(name) & set().union(*DECLARED.values()) <= own_words(name) | others


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


def test_locals_of_functions_and_of_blocks_that_have_ended_do_not_count():
    part = "do\nlocal c\nlocal function f(x)\nlocal y = 1\nif x then return end\nend\nend\n"
    assert locals_at_once(f"local a, b\n{part}local g = 1 -- local z\n") == 4
