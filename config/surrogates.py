"""Bytes that are no UTF-8, such as those of a file's name: Python keeps each as a lone surrogate in text."""

import re

_BYTES = re.compile("[\udc80-\udcff]")


def escape_surrogates(text: str) -> str:
    r"""A JSON text that UTF-8 can carry: a byte that is no UTF-8 becomes an escape such as `\udcff`.

    `json.loads` makes the same text of it again, and `os.fsencode` the bytes.

    Raises:
        UnicodeEncodeError: the text has another half of a surrogate pair.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = _BYTES.sub(lambda byte: f"\\u{ord(byte[0]):04x}", text)
            text.encode()
    return text
