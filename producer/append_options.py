"""How a submission adds to an open batch."""

from dataclasses import dataclass
from typing import Any, Self

from gristmill.config.names import checked_name
from gristmill.producer.batch_options import checked_duration


@dataclass(frozen=True, slots=True)
class AppendOptions:
    """`close_after`: seconds without a new item after which the server closes the batch; None for never.

    No two items of the batch have the same value of the parameter `dedupe_by`. `token` names this append, so that the
    same one again adds what is missing only.
    """

    close_after: float | None = None
    dedupe_by: str | None = None
    token: str | None = None

    @classmethod
    def of(cls, close_after: str | float | None = None, dedupe_by: str | None = None, token: str | None = None) -> Self:
        """The options, from what a person or a program gives.

        Raises:
            InputError: a value is not valid.
        """
        seconds = None if close_after is None else checked_duration(close_after, "close_after", 1)
        return cls(seconds, dedupe_by, None if token is None else checked_name(token, "token"))

    def fields(self) -> dict[str, Any]:
        """As the batch's state has them."""
        close_after = {} if self.close_after is None else {"close_after": round(1000 * self.close_after)}
        return {"open": 1, **close_after, **({} if self.dedupe_by is None else {"dedupe_by": self.dedupe_by})}
