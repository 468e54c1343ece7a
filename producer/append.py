"""Appends items to an open batch: any number of producers at once, each item once, however often one is killed."""

import hashlib
import json
import secrets
from collections.abc import Iterable
from typing import Any

from gristmill.batches.appends import NAMELESS, Append
from gristmill.batches.feed import AlreadyFeeding, DifferentInput, Feed
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import settings
from gristmill.errors import InputError, invalid_value, unknown_batch
from gristmill.producer.append_options import AppendOptions
from gristmill.producer.item_store import ItemStore
from gristmill.producer.submission import Submission
from gristmill.producer.values import source_of
from gristmill.server.connection import client, reaching


class AppendSubmission(Submission):
    """One append to an open batch, which it creates if there is none.

    An append without a token that was killed is continued by the next one with the same input, if that can be read
    twice: a list or a file. Input that is read once is new each time, unless a token says that it is the same.
    """

    may_be_empty = True

    def __init__(self, *arguments: Any, append: AppendOptions, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.append_options = append
        self._input_sha = hashlib.sha256()
        self._append: Append | None = None
        name, parameters = append.dedupe_by, self.task.schema.parameters
        open_names = [parameter for parameter in parameters if parameter not in self.items.fixed]
        if name is not None and name not in open_names:
            raise InputError(
                invalid_value("dedupe_by", name, f"a parameter that items give: {', '.join(open_names) or 'none'}")
            )

    @property
    def added(self) -> int:
        """The number of items that this append has added to the batch."""
        return self._append.progress.added if self._append else 0

    @property
    def present(self) -> int:
        """The number of its items that the batch had already, by `dedupe_by`."""
        return self._append.progress.present if self._append else 0

    def _count_items(self) -> int:
        """Count the items, and note what tells this input from others."""
        self._input_sha, count = hashlib.sha256(), 0
        for _, texts in self.items.lots():
            self._input_sha.update(("\n".join(texts) + "\n").encode())
            count += len(texts)
        return count

    def _begin(self, ledger: Ledger, token: str) -> tuple[ItemStore, Feed]:
        fields = {**self._fields(), **self.append_options.fields()}
        name = self.append_options.token
        append = self._append_of(ledger, name or self._nameless_token())
        try:
            feed = self._when_free(lambda: append.begin(self.name, token, fields))
        except AlreadyFeeding:
            if name:
                raise
            # The other producer lives, and adds the same items: these come beside its own.
            append = self._append_of(ledger, f"{NAMELESS}{token}")
            feed = append.begin(self.name, token, fields)
        self._append = append
        return append, feed

    def _append_of(self, ledger: Ledger, token: str) -> Append:
        return Append(ledger.client, ledger.settings, token, self._value_of)

    def _nameless_token(self) -> str:
        regular = self.items.source.regular
        return NAMELESS + (self._input_sha.hexdigest()[:32] if regular else secrets.token_hex(8))

    def _value_of(self, item: str, name: str) -> str:
        """The value that an item, as the server stores it, gives to a parameter, as JSON text."""
        value = json.loads(item)
        if isinstance(value, dict) or name != self.items.parameter:
            arguments = value if isinstance(value, dict) else {}
            value = arguments[name] if name in arguments else self._default(name)
        return json.dumps(value, sort_keys=True)

    def _default(self, name: str) -> Any:
        parameter = self.task.schema.parameters[name]
        return None if parameter.default is None else parameter.plain_value(parameter.default)

    def _refusal(self, ledger: Ledger, error: DifferentInput) -> DifferentInput:  # noqa: ARG002
        token = self.append_options.token
        return DifferentInput(f"the append {token!r} to batch {self.name!r} had other items: choose another --token")


def append_to(name: str, items: Iterable[Any], token: str | None) -> int:
    """Add `items` to the open batch `name`; return how many of them it did not have before.

    Raises:
        InputError: an item is not valid, or the batch does not take it.
        BatchCancelled: the batch was cancelled.
        ServerError: the server cannot be reached or refuses writes.
    """
    # Loaded when an append needs it: Celery comes with it.
    from gristmill.producer.task_lookup import find_task

    with reaching():
        state = Ledger(client(), settings()).state(name)
    if "task" not in state:
        raise unknown_batch(name)
    submission = AppendSubmission(
        find_task(state["task"]),
        source_of(items, has_one=False),
        name=name,
        fixed=json.loads(state["fixed"]),
        queue=state["queue"],
        append=AppendOptions.of(token=token),
    )
    submission.check()
    submission.send()
    return submission.added
