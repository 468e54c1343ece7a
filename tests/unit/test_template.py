"""The template of a command: what each replacement string stands for."""

import os
import subprocess

import pytest

from gristmill.errors import InputError
from gristmill.tasks.program.template import Template


def fill(words, values, *, shell=False, index=0, slot=0):
    return Template.parse(words, shell=shell).fill(values, index=index, slot=slot)


@pytest.mark.parametrize(
    ("text", "value", "word"),
    [
        ("{}", "a/b.c.d", "a/b.c.d"),
        ("{.}", "a/b.c.d", "a/b.c"),
        ("{/}", "a/b.c.d", "b.c.d"),
        ("{//}", "a/b.c.d", "a"),
        ("{/.}", "a/b.c.d", "b.c"),
        ("{.}", "a.b/c", "a.b/c"),
        ("{.}", ".profile", ""),
        ("{//}", "b", "."),
        ("{//}", "/b", "/"),
        ("{//}", "a/b/", "a"),
        ("{//}", "/", "/"),
        ("{//}", "", "."),
        ("{/}", "a/", ""),
        ("{1.}", "a.c", "a"),
        ("{-1/.}", "x/a.c", "a"),
        ("{.}", "a.", "a"),
        ("{/.}", "a.b/.x", ""),
        ("x{2}", "a", "x"),
        ("<{}>{/}", "x/y", "<x/y>y"),
    ],
)
def test_forms_of_one_input(text, value, word):
    assert fill(["cat", text], value) == ["cat", word]


def test_numbers_of_the_item_and_of_its_slot_begin_with_1():
    assert fill(["cat", "{#}-{%}", "{}"], "a", index=6, slot=2) == ["cat", "7-3", "a"]


@pytest.mark.parametrize("words", [["cat"], ["awk", "{print $1}"], ["cat", "{name}"]])
def test_the_input_is_appended_where_there_is_no_replacement_string(words):
    assert fill(words, "a b") == [*words, "a b"]
    assert fill(words, ["a", "b"]) == [*words, "a", "b"]


def test_a_number_is_a_replacement_string_too():
    assert fill(["cat", "{#}"], "a") == fill(["cat", "{%}"], "a") == ["cat", "1"]


def test_a_place_without_a_value_is_no_word():
    assert fill(["cat", "{2}", "{1}", "{-3}"], "a") == ["cat", "a"]
    assert fill(["cat", "{2}", "{1}"], "", shell=True)[2] == "cat  ''"


def test_several_values():
    assert fill(["cat", "{}", "x{}y", "{2}{1}", "{-1}"], ["a", "b c"]) == ["cat", "a", "b c", "xa b cy", "b ca", "b c"]


def test_columns_by_name_and_by_number():
    row = {"name": "x/a.png", "width": 640, "note": None}
    assert fill(["convert", "{name/.}", "{width}{note}", "{2}"], row) == ["convert", "a", "640", "640"]
    assert fill(["awk", "{print $1}", "{other}"], row) == ["awk", "{print $1}", "{other}", "x/a.png", "640", ""]


@pytest.mark.parametrize("words", [[], [""], ["a\0b"], ["cat", "{= s/a/b/ =}"], ["cat", "{=", "uc", "=}"]])
def test_words_that_are_refused(words):
    with pytest.raises(InputError):
        Template.parse(words)


ODD = [
    "a b",
    "a\nb",
    "it's",
    '"',
    "$(touch pwned)",
    "`touch pwned`",
    "-x",
    "--",
    "a;b",
    "*",
    "",
    "a\\b",
    "é\udcff",
    "~",
]


@pytest.mark.parametrize("value", ODD, ids=ascii)
def test_odd_inputs_reach_the_program_as_they_are(value, tmp_path):
    show = ["printf", "[%s]"]
    for words, shell in ((show, False), (show, True), ([*show, "{}", "<{}>"], False)):
        made = subprocess.run(fill(words, value, shell=shell), cwd=tmp_path, capture_output=True, check=True)
        texts = [value, f"<{value}>"] if len(words) > 2 else [value]
        assert made.stdout == b"".join(b"[" + os.fsencode(text) + b"]" for text in texts)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("value", ["-x", "+x", "--", "-c"])
def test_a_shell_takes_no_input_for_its_own_option(value, tmp_path):
    program = tmp_path / value
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o755)
    words = fill(["{}"], value, shell=True)
    made = subprocess.run(words, env={"PATH": f"{tmp_path}:/bin:/usr/bin"}, capture_output=True, check=True)
    assert made.stdout == b"ran\n"


def test_a_line_of_the_shell_is_left_as_it_is_but_for_the_input():
    line = "awk '{print $1}' {} | wc -l"
    assert fill([line], "a b", shell=True) == ["sh", "-c", "awk '{print $1}' 'a b' | wc -l"]
    assert fill(["cat", "{}", ">", "{.}.out"], "$x", shell=True)[2] == "cat '$x' > '$x'.out"
