"""`python -m benchmarks.peers.guarantees`: what each peer keeps when its workers are killed, tried and not quoted.

Two sets of workers run tasks of half a second that are put at a steady rate. Every four seconds one set is killed with
-9, the sets by turns, and started again. Each task marks its begin and its end in a file. A task that has not ended
60 seconds after the last kill is not back: it may be lost, or come later than that.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import page
from benchmarks.options import at_least
from benchmarks.peers.apps.work import MARK, MARKED_SECONDS
from benchmarks.peers.catalog import PEERS
from benchmarks.peers.peer import Peer
from benchmarks.peers.rounds import Round, round_of
from benchmarks.peers.run import why
from benchmarks.peers.workers import Workers
from gristmill.errors import ServerError

KILLS = 20
#: Seconds from one kill to the next: workers start, and run some tasks. The first kill comes as long after tasks end.
EVERY = 4.0
#: Seconds after the last kill within which a task has to end.
WITHIN = 60.0
#: Tasks a second, at most, and the share of its slots that a peer has to use.
RATE, SHARE = 30.0, 0.5


@dataclass(frozen=True, slots=True)
class Marks:
    """What the tasks have marked: when each began and by which process, how often it ended, and in which processes."""

    begins_of: dict[int, list[tuple[float, int]]]
    ended: Counter[int]
    ends: set[tuple[int, int]]

    @classmethod
    def read(cls, path: Path) -> "Marks":
        """Of a file, which need not be there yet."""
        marks = cls({}, Counter(), set())
        for number, pid, has_ended, at in MARK.iter_unpack(path.read_bytes()) if path.exists() else ():
            if has_ended:
                marks.ended[number] += 1
                marks.ends.add((number, pid))
            else:
                marks.begins_of.setdefault(number, []).append((at, pid))
        return marks


@dataclass(slots=True)
class Deaths:
    """What came out for one peer; `back` has the seconds from a kill until what it interrupted began again."""

    kills: int = 0
    put: int = 0
    ended: int = 0
    twice: int = 0
    interrupted: int = 0
    back: list[float] = field(default_factory=list)

    def row(self) -> list[str]:
        """The cells of its line."""
        ordered = sorted(self.back)
        back = (
            f"{ordered[len(ordered) // 2]:.1f} s, at most {ordered[-1]:.1f} s"
            if ordered
            else f"not within {WITHIN:g} s"
        )
        never = self.interrupted - len(self.back)
        return [
            str(self.kills),
            f"{self.put:,}",
            f"{self.put - self.ended:,}",
            f"{self.twice:,}",
            f"{self.interrupted}",
            back + (f" ({never} not within {WITHIN:g} s)" if never and ordered else ""),
        ]


def workload(peer: Peer) -> str:
    """Which command of its workers suits tasks that wait."""
    return "wait" if "wait" in peer.workers else "noop"


def rate(peer: Peer, name: str) -> float:
    """Tasks a second: a share of what two sets of workers can run at once."""
    slots = 2 * peer.slots if name == "wait" else 4
    return min(RATE, SHARE * slots / MARKED_SECONDS)


def try_out(peer: Peer, kills: int) -> Deaths:
    """Kill the workers of a peer so often, and count.

    Raises:
        SubprocessError: the peer's environment cannot be made.
        RuntimeError: there is no server that the peer runs on, tasks cannot be put, or workers end none.
    """
    name = workload(peer)
    seconds = (kills + 2) * EVERY
    result = Deaths(kills, put=int(rate(peer, name) * seconds))
    with round_of(peer, name) as this, this.workers() as one, this.workers() as other:
        with this.putter("marked", str(rate(peer, name)), str(seconds)) as putter:
            _wait_until_up(this)
            deaths = [_kill((one, other)[number % 2]) for number in range(kills)]
            if putter.wait():
                raise RuntimeError(f"putting ended with code {putter.returncode}")
        ended_at = time.monotonic()
        while len(Marks.read(this.marks).ended) < result.put and time.monotonic() - ended_at < WITHIN:
            time.sleep(0.2)
        count(Marks.read(this.marks), deaths, result)
    return result


def _wait_until_up(this: Round) -> None:
    """Wait until workers end tasks.

    Raises:
        RuntimeError: they do not.
    """
    since = time.monotonic()
    while not Marks.read(this.marks).ended:
        if time.monotonic() - since > WITHIN:
            raise RuntimeError(f"no task ended within {WITHIN:g} s: {this.last_words()}")
        time.sleep(0.1)


def _kill(workers: Workers) -> tuple[float, set[int]]:
    """Kill and start them again, a while after the kill before: when, and which processes died."""
    time.sleep(EVERY)
    pids = {process.pid for process in workers.processes()}
    workers.kill()
    killed_at = time.time()
    workers.start()
    return killed_at, pids


def count(marks: Marks, deaths: Sequence[tuple[float, set[int]]], result: Deaths) -> None:
    """Count into `result` what marks and deaths (when, and of which processes) say."""
    result.ended, result.twice = len(marks.ended), sum(times > 1 for times in marks.ended.values())
    for number, begins in marks.begins_of.items():
        for place, (at, pid) in enumerate(sorted(begins)):
            killed_at = next((when for when, pids in deaths if pid in pids and at <= when), None)
            if killed_at is None or (number, pid) in marks.ends:
                continue
            result.interrupted += 1
            if place + 1 < len(begins):
                result.back.append(sorted(begins)[place + 1][0] - killed_at)


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.guarantees", description=__doc__)
    parser.add_argument("--kills", type=at_least(1), default=KILLS, help=f"of each peer (default: {KILLS})")
    parser.add_argument("--peer", action="append", help="peers whose name has this text (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep counts in FILE, and go on with those in there")
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    return parser


def choose(names: Sequence[str] | None) -> list[Peer]:
    """The peers whose names have one of these texts, without those that get lots: these keep what the others do."""
    peers = [peer for peer in PEERS if peer.lot == 1]
    return [peer for peer in peers if not names or any(text.lower() in peer.name.lower() for text in names)]


def table(results: dict[str, Deaths], failures: Iterable[str]) -> str:
    """The table, and what could not be tried."""
    head = ["", "kills", "put", f"not ended {WITHIN:g} s after the last kill", "ended twice", "cut off", "began again"]
    text = page.table(head, [[name, *result.row()] for name, result in results.items()])
    return text + "".join(f"\n- {failure}" for failure in failures)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all, and print the table."""
    options = parser().parse_args(arguments)
    content = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    results, failures = {name: Deaths(**fields) for name, fields in content.items()}, []
    for peer in choose(options.peer):
        if peer.name in results:
            continue
        try:
            results[peer.name] = try_out(peer, options.kills)
        except (ServerError, RuntimeError, subprocess.SubprocessError) as error:
            failures.append(f"{peer.name}: {why(error)}")
            continue
        print(f"{peer.name}: {', '.join(results[peer.name].row())}", file=sys.stderr, flush=True)
        if options.json:
            options.json.write_text(json.dumps({name: asdict(each) for name, each in results.items()}, indent=1))
    kills = f" --kills {options.kills}" if options.kills != KILLS else ""
    text = f"`python -m benchmarks.peers.guarantees{kills}`: {page.machine()}\n\n{table(results, failures)}"
    print(text)
    if options.write:
        page.write("guarantees", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
