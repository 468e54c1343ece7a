"""What the goals' rows say together, in sentences: the first thing that a reader of docs/benchmarks.md sees."""

from benchmarks.peers.comparison import Comparison
from benchmarks.peers.goals import GOALS, Goal

#: Sentences with the keys of goals; one whose goals were not all measured is left out.
SENTENCES = (
    (
        "A **batch of no-ops**, from `submit` to the last record, runs {batch} as fast as on the fastest peer that "
        "gets a message for each ({batch_peer}), and {by_hand} as fast as on the fastest peer whose user packs 800 "
        "into each message."
    ),
    (
        "A **batch of CPU-bound items** takes {cpu} the time of `multiprocessing.Pool`, which keeps nothing, and a "
        "**batch of waits** {waits} that of `ThreadPoolExecutor`."
    ),
    (
        "**Plain Celery messages** on our transport finish {stock} as fast as on Celery's, {keeps} as fast as on the "
        "fastest peer that keeps what a killed worker had ({keeps_peer}), and {fastest} as fast as on the fastest of "
        "all ({fastest_peer})."
    ),
    (
        "On servers that flush **once a second**, they finish {everysec} as fast as on the fastest peer "
        "({everysec_peer})."
    ),
    "A **list of calls** is put {enqueue} as fast as on the fastest peer ({enqueue_peer}).",
    (
        "At **light load**, a task begins after {p50} the time of the best peer's ({p50_peer}) in the median, and "
        "{p99} at the 99th percentile."
    ),
    (
        "ChasquiMQ, whose engine is written in Rust, needs **Redis 8.6**. On that server, plain messages finish "
        "{fastest_8} as fast as on it, a list of calls is put {enqueue_8} as fast, and a batch of no-ops runs "
        "{batch_8} as fast."
    ),
    "An **idle worker** takes {idle} of a core, and a **process slot** has {slot} of memory of its own.",
)


def text(comparison: Comparison) -> str:
    """The sentences, and which goals are not reached."""
    measured = {goal.key: value for goal in GOALS if (value := _value(goal, comparison)) is not None}
    peers = {f"{goal.key}_peer": rows[-1] for goal in GOALS if (rows := goal.values.rows(comparison))}
    lines = []
    for sentence in SENTENCES:
        try:
            lines.append(f"- {sentence.format_map(measured | peers)}")
        except KeyError:
            continue
    for reached, word in ((False, "Not reached"), (None, "Not decided by these rounds")):
        # Those on Redis 8.6 have a sentence of their own.
        goals = [goal for goal in GOALS if goal.key in measured and not goal.key.endswith("_8")]
        open_ = [goal for goal in goals if goal.reached(comparison) is reached]
        if open_:
            lines.append(f"- {word}, and what was asked for:")
            lines += [f"  - {goal.text}: {measured[goal.key]} ({goal.bound})" for goal in open_]
    return "\n".join(lines)


def _value(goal: Goal, comparison: Comparison) -> str | None:
    measured = goal.measured(comparison)
    return None if measured is None else f"{measured.estimate:.2f}{goal.unit}"
