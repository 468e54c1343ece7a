"""`announce`: the two threads of the textbook, one says numbers and one says letters."""

import threading
import time
from collections.abc import Iterator
from string import ascii_lowercase
from typing import Annotated, Any, Literal

from pydantic import Field

from gristmill.tasks.kinds import io


@io
def announce(
    label: Literal["numbers", "letters"],
    count: Annotated[int, Field(ge=1, le=26)] = 5,
    seconds: Annotated[float, Field(ge=0, le=60)] = 0.1,
) -> dict[str, Any]:
    """Say numbers or letters with a pause in between: two such items take turns in one thread worker.

    `seconds` is the pause. Returns the `thread`'s name and the words that it `said`, each (`what`) with its time in
    seconds since 1970 (`at`).
    """
    words_at = [{"what": word, "at": time.time()} for word in words(label, count, seconds)]
    return {"thread": threading.current_thread().name, "said": words_at}


def words(label: str, count: int, seconds: float) -> Iterator[str]:
    """Yield the numbers or letters, each when it is time to say it."""
    for number in range(count):
        if number:
            time.sleep(seconds)
        yield str(number + 1) if label == "numbers" else ascii_lowercase[number]
