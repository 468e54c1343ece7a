"""The wait of a failed item before its next attempt."""

import random

LONGEST_SECONDS = 600.0


def backoff(attempt: int, first_seconds: float, luck: float | None = None) -> float:
    """Seconds to wait after failed attempt `attempt` (from 1): doubled for each attempt, capped, then jittered.

    `luck` from 0 to 1 picks a wait between half of that and all of it (default: random), so that items that failed
    together do not come back together ("equal jitter", AWS Architecture Blog, 2015).
    """
    full = min(LONGEST_SECONDS, first_seconds * 2.0 ** min(attempt - 1, 30))
    share = random.random() if luck is None else luck  # noqa: S311  (not for secrets)
    return full / 2 + full / 2 * share
