"""`python -m benchmarks.chaos.publisher`: puts tasks as its standard input asks; and who asks."""

import subprocess
import sys
from collections.abc import Mapping

#: Messages in one pipeline.
BATCH = 500


class Publisher:
    """A producer in a process of its own, which has one transport."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.chaos.publisher"],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def put(self, task: str, first: int, count: int, *arguments: float) -> None:
        """Put `count` tasks, numbered from `first` on, and wait until the server has them.

        Raises:
            RuntimeError: the producer has failed; it has said why.
        """
        assert self._process.stdin
        assert self._process.stdout
        print(task, first, count, *arguments, file=self._process.stdin, flush=True)
        if self._process.stdout.readline() != "put\n":
            raise RuntimeError("the producer has failed")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def main() -> None:
    """Serve until standard input closes."""
    from benchmarks import plain

    for line in sys.stdin:
        name, first, count, *arguments = line.split()
        task = getattr(plain, name)
        with plain.app.producer_pool.acquire(block=True) as producer, producer.batch(BATCH):
            for number in range(int(first), int(first) + int(count)):
                options = {"task_id": str(number), "producer": producer}
                task.apply_async(tuple(map(float, arguments)), **options)
        print("put", flush=True)


if __name__ == "__main__":
    main()
