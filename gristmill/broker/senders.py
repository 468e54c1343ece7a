"""Senders: by their tokens the server knows a put that is repeated because its answer was lost."""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import uuid4

#: The name in a message's properties under which a token waits for the next try. It never travels.
_TOKEN = "gm_token"  # noqa: S105 - not a secret


class Token(NamedTuple):
    """What a put carries: its sender, and its number among the sender's puts.

    A sender makes one put at a time. So the server remembers one number of each sender, however many messages that
    sends, and takes a put with the same number or a lower one for a repetition.
    """

    sender: str
    number: int


#: The token of a put that nobody repeats.
NEVER_REPEATED = Token("", 0)

#: The last token of each sender that makes no put at this moment.
_idle: deque[Token] = deque()
# Else a child would send as its parent does, and the server would take the child's messages for repetitions.
os.register_at_fork(after_in_child=_idle.clear)


@contextmanager
def token_of(properties: dict[str, Any]) -> Iterator[Token]:
    """The token of one put, the same one for each try.

    `properties` are the same dict for each try: kombu makes a message anew, and keeps the dict of its properties.
    """
    token = properties.pop(_TOKEN, None) or _next_token()
    try:
        yield token
    except BaseException:
        properties[_TOKEN] = token
        raise
    _idle.append(token)


def _next_token() -> Token:
    try:
        sender, number = _idle.pop()
    except IndexError:
        sender, number = uuid4().hex, 0
    return Token(sender, number + 1)
