"""A client that makes the calls of many steps in one round trip: else most of the time would go by in waiting.

A step runs several times. Each time the client answers the calls whose answers it has, and ends the step at the first
other one. When the answer of that call is there too, the step runs again from its beginning.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.client import Pipeline

Command = tuple[tuple[Any, ...], dict[str, Any]]


class Unanswered(BaseException):
    """Raised by the first call that has no answer yet; nothing of the product's catches it."""


class RecordingClient(Redis):
    """A client that notes each command, and answers it with what `replay` gave."""

    commands: list[Command]
    _earlier: Sequence[Command] = ()
    _answers: Sequence[Any] = ()
    _assumed: Any = None

    def replay(self, commands: Sequence[Command], answers: Sequence[Any]) -> None:
        """Begin anew, with the answers that these commands had."""
        self.commands, self._earlier, self._answers = [], commands, answers

    @property
    def exact(self) -> bool:
        """Whether the commands that were answered are those that were noted, no more and no less."""
        return self.commands == self._earlier

    @contextmanager
    def assuming(self, answer: Any) -> Iterator[None]:
        """Go on at once, as if each call were answered by this: nobody looks at the answers, unless they are errors."""
        before, self._assumed = self._assumed, answer
        try:
            yield
        finally:
            self._assumed = before

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Note a command, and answer it."""
        place = len(self.commands)
        self.commands.append((args, options))
        # A script that is not loaded is called twice, and once when it is loaded: then the rest is asked anew.
        if self._earlier[: place + 1] == self.commands:
            answer = self._answers[place]
            if isinstance(answer, Exception):
                raise answer
            return answer
        if self._assumed is None or args[0] == "SCRIPT LOAD":
            raise Unanswered
        return self._assumed

    def answers(self, commands: Sequence[Command]) -> list[Any]:
        """Note commands, and answer them together."""
        place = len(self.commands)
        self.commands += commands
        if self._earlier[: len(self.commands)] != self.commands:
            raise Unanswered
        answers = list(self._answers[place : len(self.commands)])
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        """A pipeline whose commands are noted too."""
        return _RecordingPipeline(self)

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """The answers of commands, errors included, in one round trip."""
        with super().pipeline(transaction=False) as pipe:
            for args, options in commands:
                pipe.execute_command(*args, **options)  # type: ignore[no-untyped-call]
            return pipe.execute(raise_on_error=False)


class _RecordingPipeline(Pipeline):
    def __init__(self, client: RecordingClient) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, False, None)
        self._client = client

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        commands, self.command_stack = self.command_stack, []
        return self._client.answers(commands)
