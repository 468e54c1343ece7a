"""Who acts, and by what: scripts that somebody calls write it down, see audit.lua."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, NamedTuple

from gristmill.server.identity import user_at_host

Via = Literal["command", "dashboard", "Python"]


class Actor(NamedTuple):
    """`by` is who acts, `via` what they use."""

    by: str
    via: Via

    def as_argument(self) -> str:
        """What scripts take."""
        return f"{self.via} {self.by[:200]}"


_ACTOR: ContextVar[Actor] = ContextVar("actor")


@contextmanager
def acting(by: str, via: Via) -> Iterator[None]:
    """What is done in this context is done by `by`; elsewhere, it is this process's user by Python."""
    token = _ACTOR.set(Actor(by, via))
    try:
        yield
    finally:
        _ACTOR.reset(token)


def actor() -> str:
    """Who acts now, as scripts take it."""
    return (_ACTOR.get(None) or Actor(user_at_host(), "Python")).as_argument()
