"""Who acts, and by which means: the scripts that change something log it, see audit.lua."""

from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Literal

from gristmill.server.identity import user_at_host
from gristmill.server.let import let

#: Characters of a name that are kept.
_NAME_MOST = 200

_actor: ContextVar[str] = ContextVar("actor")


def _text(by: str, via: str) -> str:
    return f"{via} {by[:_NAME_MOST]}"


def acting(by: str, via: Literal["command", "dashboard"]) -> AbstractContextManager[None]:
    """What is done in this context is done by `by`; elsewhere, it is this process's user by Python."""
    return let(_actor, _text(by, via))


def actor() -> str:
    """Who acts now, as scripts take it."""
    return _actor.get(None) or _text(user_at_host(), "Python")
