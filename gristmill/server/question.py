"""Questions that do not depend on one another: the server answers all of them in one round trip."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Generic, TypeVar, cast

from redis import Redis

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Question(Generic[Answer]):
    """Something to ask: `ask` puts commands into a pipeline, and `parse` makes one value of what the server says."""

    ask: Callable[[Any], object]
    parse: Callable[[list[Any]], Answer]

    def answer(self, client: Redis) -> Answer:
        """Ask the server of `client`.

        Raises:
            RedisError: the server cannot be reached, or refuses.
        """
        return cast(Answer, together(client, self)[0])


def together(client: Redis, *questions: Question[Any]) -> list[Any]:
    """The answers to several questions, in their order. Raises as `Question.answer`."""
    with client.pipeline(transaction=False) as pipe:
        places = [0]
        for question in questions:
            question.ask(pipe)
            places.append(len(pipe))
        replies = pipe.execute() if len(pipe) else []
    return [one.parse(replies[start:end]) for one, (start, end) in zip(questions, pairwise(places), strict=True)]
