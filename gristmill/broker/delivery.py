"""What a channel delivers."""

from typing import Any

from kombu.transport import virtual


class Message(virtual.Message):
    """A message that was delivered. `returns` says how often it came back from workers that died."""

    def __init__(self, payload: dict[str, Any], channel: Any = None, **options: Any) -> None:
        super().__init__(payload, channel, **options)
        self.returns: int = payload.get("returns", 0)
