"""`pause`: a task that only waits."""

import time
from typing import Annotated

from pydantic import Field

from gristmill.tasks.kinds import io


@io
def pause(seconds: Annotated[float, Field(ge=0, le=86_400)]) -> float:
    """Wait for some seconds, a day at most, and return them."""
    time.sleep(seconds)
    return seconds
