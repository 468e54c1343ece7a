"""Finds the task that a word names; this loads Celery, which a program does not need."""

from difflib import get_close_matches
from shutil import which

import click

from gristmill.errors import InputError, ServerError
from gristmill.producer import task_lookup
from gristmill.tasks import catalog
from gristmill.tasks.remote import SubmittableTask


def find_task(word: str) -> SubmittableTask:
    """The task called `word`, of this host or of the workers.

    Raises:
        InputError: there is none; the text offers the nearest, or says how to run the program of that name.
        ServerError: `submit` found neither the task here nor a server or worker to ask.
    """
    try:
        return task_lookup.find_task(word)
    except InputError:
        if which(word):
            raise InputError(no_task(word)) from None
        raise
    except ServerError:
        if which(word) or get_close_matches(word, catalog.load(), 1, 0.5):
            raise InputError(no_task(word)) from None
        if click.get_current_context().info_name != "run":
            raise
        # `run` starts workers of its own, which know what this process knows.
        return catalog.find(word)


def is_task(word: str) -> bool:
    """Whether this host or the workers have a task of that name."""
    try:
        task_lookup.find_task(word)
    except (InputError, ServerError):
        return False
    return True


def no_task(word: str) -> str:
    """The words of an error about a word that names no task."""
    near = get_close_matches(word, {*catalog.load(), *task_lookup.names_on_workers()}, 1, 0.5)
    is_program = which(word) or not near
    hint = "; to run a program put -- before it" if is_program else f": did you mean {near[0]!r}?"
    return f"no task is called {word!r}{hint}"
