"""The id of a worker: its node name and a random part, so that two workers of one name count as two."""

import secrets

# Pool processes have the part of their worker; a worker that starts again has another.
_RANDOM = secrets.token_hex(4)


def worker_id(node_name: str) -> str:
    """The id of the worker that runs in this process, or has started it."""
    return f"{node_name}/{_RANDOM}"


def belong_to(worker: str) -> None:
    """Have this process, which a worker has started, give the worker's id as its own."""
    global _RANDOM  # noqa: PLW0603
    _RANDOM = worker.rpartition("/")[2]


def node_name(worker: str) -> str:
    """The node name in a worker's id, as Celery's remote control takes it."""
    return worker.rpartition("/")[0] or worker
