"""What a channel delivers."""

from typing import Any

from kombu.transport import virtual


class Message(virtual.Message):
    """A message that was delivered. `returns` says how often it came back from workers that died."""

    def __init__(self, payload: dict[str, Any], channel: Any = None, **options: Any) -> None:
        super().__init__(payload, channel, **options)
        self.returns: int = payload.get("returns", 0)

    def serializable(self) -> dict[str, Any]:
        """kombu's, which says how the body is encoded now: a body that came as text is bytes by now."""
        whole: dict[str, Any] = super().serializable()
        whole["body"], encoding = self.channel.encode_body(self.body, self.properties.get("body_encoding"))
        whole["properties"] = {**self.properties, "body_encoding": encoding}
        return whole
