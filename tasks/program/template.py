"""The template of a command: which words a program gets for an item's input. Pure: it reads and runs nothing."""

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gristmill.errors import InputError, invalid_value

#: What an item gives a program: one text, several of them, or columns by name.
Input = str | Sequence[Any] | Mapping[str, Any]

_REPLACEMENT = re.compile(r"\{(#|%|-?[1-9][0-9]*|[^{}]*?)(\.|//|/\.|/|)\}")
_POSITION = re.compile(r"-?[1-9][0-9]*")
_PERL = re.compile(r"\{=.*=\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Replacement:
    """A replacement string: `{}` has no name, `{1/.}` the name `1` and the form `/.`; `text` is how it was written."""

    name: str
    form: str
    text: str


_Word = tuple[str | _Replacement, ...]
_APPENDED: _Word = (_Replacement("", "", "{}"),)


@dataclass(frozen=True, slots=True)
class Template:
    """The words of a command with the replacement strings of GNU parallel, in its meaning.

    `{}` is the input, `{.}` without its extension, `{/}` its last part, `{//}` its directory, `{/.}` its last part
    without extension; `{1}`, `{2/}` or `{-1.}` are a source or a column by number, `{name}` is a column; `{#}` is the
    number of the item and `{%}` that of its slot, both from 1. Without any of them, `{}` is appended.
    """

    words: tuple[_Word, ...]
    shell: bool
    #: Whether there is a replacement string, whatever the names of the columns are; and those that may be such names.
    is_whole: bool
    names: frozenset[str]

    @staticmethod
    def parse(words: Sequence[str], *, shell: bool = False) -> "Template":
        """The template of some words; with `shell` they are one line for `sh -c`.

        Raises:
            InputError: there is no word, or one has NUL, or an expression in Perl.
        """
        return _parsed(tuple(words), shell)

    def fill(self, input: Input, *, index: int, slot: int) -> list[str]:  # noqa: A002 (the contract's word)
        """The words to run for an input; `index` is the item's and `slot` the slot's on its host, both from 0.

        Bytes outside UTF-8 are lone surrogates, as `os.fsencode` takes them.
        """
        item = _Item(input, index, slot)
        words = self.words
        if not (self.is_whole or (self.names and item.has_any(self.names))):
            words = (*words, _APPENDED)
        if not self.shell:
            return [word for parts in words for word in item.words(parts)]
        line = " ".join(item.text(parts, shlex.quote) for parts in words)
        # A shell would take a first dash or plus for an option of its own.
        return ["sh", "-c", f" {line}" if line[:1] in ("-", "+") else line]


@lru_cache(64)
def _parsed(words: tuple[str, ...], shell: bool) -> Template:
    if not words or not words[0]:
        raise InputError("no program: give it after --, as in `gristmill run -- gzip ::: a b`")
    for word in words:
        if "\0" in word:
            raise InputError(invalid_value("word", word, "text without NUL: no program can be given one"))
    # An expression is one word, or goes from the word `{=` to the word `=}`.
    line = " ".join(words) if {"{=", "=}"} <= {*words} else ""
    for text in (*words, line):
        if expression := _PERL.search(text):
            raise InputError(
                invalid_value("word", expression[0], "a replacement string without Perl: --shell can compute words")
            )
    parts = tuple(_parts(word) for word in words)
    names = {part.name for word in parts for part in word if isinstance(part, _Replacement)}
    columns = frozenset(name for name in names if name not in ("", "#", "%") and not _POSITION.fullmatch(name))
    return Template(parts, shell, bool(names - columns), columns)


def _parts(word: str) -> _Word:
    parts: list[str | _Replacement] = []
    end = 0
    for match in _REPLACEMENT.finditer(word):
        if match.start() > end:
            parts.append(word[end : match.start()])
        parts.append(_Replacement(match[1], match[2], match[0]))
        end = match.end()
    if end < len(word) or not parts:
        parts.append(word[end:])
    return tuple(parts)


class _Item:
    """One item's values for replacement strings."""

    def __init__(self, values: Input, index: int, slot: int) -> None:
        self._names: Mapping[str, Any] = values if isinstance(values, Mapping) else {}
        if isinstance(values, str):
            self._all = [values]
        else:
            self._all = [text_of(value) for value in (values.values() if isinstance(values, Mapping) else values)]
        self._numbers = {"#": str(index + 1), "%": str(slot + 1)}

    def has_any(self, names: frozenset[str]) -> bool:
        """Whether one of the names is a column of the input."""
        return not names.isdisjoint(self._names)

    def words(self, parts: _Word) -> list[str]:
        """The words that one of the template becomes: `{}` alone a word for each value, `{3}` none if there are two."""
        if len(parts) == 1 and isinstance(parts[0], _Replacement):
            values = self._values(parts[0])
            return [parts[0].text] if values is None else values
        return [self.text(parts, str)]

    def text(self, parts: _Word, quote: Callable[[str], str]) -> str:
        """One word's text; each value passes through `quote`, and the text around it does not."""
        texts = []
        for part in parts:
            values = None if isinstance(part, str) else self._values(part)
            if values is None:
                texts.append(part if isinstance(part, str) else part.text)
            else:
                texts.append(" ".join(map(quote, values)))
        return "".join(texts)

    def _values(self, part: _Replacement) -> list[str] | None:
        """What stands in the place of a replacement string; None if it is none: no column has its name."""
        if part.name in self._numbers:
            return [self._numbers[part.name]]
        form = _FORMS[part.form]
        if not part.name:
            return [form(value) for value in self._all]
        if _POSITION.fullmatch(part.name):
            place = int(part.name)
            at = place - 1 if place > 0 else len(self._all) + place
            return [form(self._all[at])] if 0 <= at < len(self._all) else []
        if part.name in self._names:
            return [form(text_of(self._names[part.name]))]
        return None


def text_of(value: Any) -> str:
    """A value as a program gets it: text as it is, null as nothing, anything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _stem(path: str) -> str:
    return re.sub(r"\.[^/.]*\Z", "", path)


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _directory(path: str) -> str:
    """As dirname(1): `a/b/` is in `a`, `b` in `.`."""
    head, slash, base = path.rpartition("/")
    if not base and slash:
        head, slash, _ = (head.rstrip("/") or slash).rpartition("/")
    return head.rstrip("/") or slash or "."


_FORMS: dict[str, Callable[[str], str]] = {
    "": str,
    ".": _stem,
    "/": _base,
    "//": _directory,
    "/.": lambda path: _stem(_base(path)),
}
