"""The runner: runs the items of a chunk one by one, each isolated from the others, and records them."""

import json
import logging
import os
import time
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from billiard.common import terminate_handler_fired
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from batches.chunk import Chunk, Item, Outcome, Work
from batches.ledger import Ledger
from config.errors import InputError
from config.settings import Settings
from tasks import catalog
from tasks.kinds import GristmillTask
from worker.backoff import backoff

#: A chunk that takes this many times `chunk_seconds` gives its rest to other slots.
OVERTIME = 4
#: Outcomes that take more bytes than this are recorded before the chunk goes on.
OUTCOMES_BYTES = 4 << 20
#: The longest value, as JSON in UTF-8, in bytes.
VALUE_BYTES = 1 << 20
MESSAGE_CHARACTERS, TRACEBACK_CHARACTERS = 2_000, 8_000
#: Seconds for which outcomes are kept in memory while the server cannot be reached.
PATIENCE_SECONDS = 60.0

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class ResultTooLarge(ValueError):
    """Raised when a task returns more than 1 MiB of JSON: let it write a file and return its path."""


class ResultNotJSON(TypeError):
    """Raised when a task returns what JSON cannot carry."""


class Runner:
    """Runs chunks in the slot it is called in; one a process, shared by its threads."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self.ledger = ledger
        self.settings = settings

    def run(self, chunk: Chunk, worker: str) -> None:
        """Run what is left of `chunk` and record it. `worker` is the node's name, for the outcomes.

        Raises:
            RedisError: the server could not be reached; what was run is run again elsewhere.
        """
        work = _patiently(lambda: self.ledger.take(chunk))
        if work is None:
            log.info("nothing left to run")
            return
        try:
            task = catalog.find(work.task)
        except InputError as error:
            log.warning("handed back: %s", error)
            time.sleep(1)
            self.ledger.record(chunk, [], 0, worker, rest=chunk.count)
            return
        self._run_items(chunk, work, task, worker)

    def _run_items(self, chunk: Chunk, work: Work, task: GristmillTask, worker: str) -> None:
        begun = time.perf_counter()
        outcomes: list[Outcome] = []
        rest = size = 0
        for item in work.items:
            if size > OUTCOMES_BYTES:
                self._record(chunk, outcomes, begun, worker, -1)
                outcomes, size, begun = [], 0, time.perf_counter()
            outcomes.append(run_item(item, work, task, worker))
            size += len(outcomes[-1].text)
            rest = chunk.first + chunk.count - item.index - 1
            if time.perf_counter() - begun > OVERTIME * self.settings.chunk_seconds:
                break
        else:
            rest = 0
        self._record(chunk, outcomes, begun, worker, rest)

    def _record(self, chunk: Chunk, outcomes: list[Outcome], begun: float, worker: str, rest: int) -> None:
        seconds = time.perf_counter() - begun
        duplicates = _patiently(lambda: self.ledger.record(chunk, outcomes, seconds, worker, rest))
        log.info("%d recorded, %d duplicates, %d handed on", len(outcomes), duplicates, rest)


def run_item(item: Item, work: Work, task: GristmillTask, worker: str) -> Outcome:
    """Run one item and say how it ended; whatever it raises is its outcome, not the caller's."""
    begun = time.perf_counter()
    state, result = "s", None
    try:
        arguments = task.schema.arguments(json.loads(item.value), work.fixed, work.parameter)
        result = value_json(task.run(**arguments))
    except BaseException as error:
        # CancelledError and its like too: only the end of this process is not the item's outcome.
        if isinstance(error, SystemExit) and terminate_handler_fired():
            raise
        retry = item.attempt <= work.retries and isinstance(error, task.retry_on)
        state = str(round(1000 * backoff(item.attempt, work.retry_seconds))) if retry else "f"
        result = json.dumps(explain(error))
    seconds = round(time.perf_counter() - begun, 6)
    tail = json.dumps([item.attempt, seconds, worker, os.getpid()])[1:]
    word = "succeeded" if state == "s" else "failed"
    return Outcome(item.index, state, item.attempt, f'["{word}",{result},{tail}', seconds)


def value_json(value: Any) -> str:
    """A task's value as JSON.

    Raises:
        ResultNotJSON: JSON cannot carry it.
        ResultTooLarge: it is over 1 MiB.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        size = len(text) if text.isascii() else len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise ResultNotJSON(f"JSON cannot carry the value, of type {type(value).__name__}: {error}") from None
    if size > VALUE_BYTES:
        raise ResultTooLarge(f"the value is {size:,} bytes of JSON, over 1 MiB: write a file and return its path")
    return text


def explain(error: BaseException) -> dict[str, str]:
    """An exception as a result shows it: its type, its message, and the traceback from the task's frame on."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename != __file__]
    text = "".join(traceback.format_list(ours)) + "".join(traceback.format_exception_only(error))
    return {
        "type": type(error).__name__,
        "message": _clean(_text(error))[:MESSAGE_CHARACTERS],
        "traceback": _clean(text)[-TRACEBACK_CHARACTERS:],
    }


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as problem:
        return f"(its text cannot be had: {type(problem).__name__})"


def _clean(text: str) -> str:
    return text.encode(errors="replace").decode()


def _patiently(call: Callable[[], Answer]) -> Answer:
    """Call the server until it answers: outcomes in memory are worth waiting for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return call()
        except (RedisConnectionError, RedisTimeoutError, BusyLoadingError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
