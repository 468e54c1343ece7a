"""`announce`: the textbook's two threads, one saying numbers, one saying letters."""

import threading
import time
from string import ascii_lowercase
from typing import Annotated, Any, Literal

from pydantic import Field

from tasks.kinds import io


@io
def announce(
    label: Literal["numbers", "letters"],
    count: Annotated[int, Field(ge=1, le=26)] = 5,
    seconds: Annotated[float, Field(ge=0, le=60)] = 0.1,
) -> dict[str, Any]:
    """Say numbers or letters with a pause in between: two such items take turns in one thread worker.

    `seconds` is the pause. Returns the thread's name and what it `said`, each with its time in seconds since
    1970 (`at`).
    """
    words = [str(number) for number in range(1, count + 1)] if label == "numbers" else ascii_lowercase[:count]
    said: list[dict[str, Any]] = []
    for word in words:
        if said:
            time.sleep(seconds)
        said.append({"what": word, "at": time.time()})
    return {"thread": threading.current_thread().name, "said": said}
