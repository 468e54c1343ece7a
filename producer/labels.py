"""Labels of a batch: words by which lists are filtered."""

import re
from collections.abc import Mapping

from gristmill.errors import InputError, invalid_value

#: Labels that a batch has at most.
LABELS_MOST = 32
#: The form of a label, for errors.
LABEL = "KEY=VALUE such as team=maps: letters, digits, '.', '_', '-' and '/', up to 64 of them each"

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}", re.ASCII)


def checked_labels(labels: object) -> dict[str, str]:
    """The labels, sorted by key.

    Raises:
        InputError: one is not valid, or there are too many.
    """
    if not isinstance(labels, Mapping) or len(labels) > LABELS_MOST:
        raise InputError(invalid_value("labels", labels, f"a dict of up to {LABELS_MOST} labels"))
    for key, value in labels.items():
        if not all(isinstance(word, str) and _WORD.fullmatch(word) for word in (key, value)):
            raise InputError(invalid_value("label", f"{key}={value}", LABEL))
    return dict(sorted(labels.items()))


def parse_label(text: str) -> tuple[str, str]:
    """The key and the value of a label such as `team=maps`.

    Raises:
        InputError: it has another form.
    """
    key, _, value = text.partition("=")
    if not (_WORD.fullmatch(key) and _WORD.fullmatch(value)):
        raise InputError(invalid_value("label", text, LABEL))
    return key, value
