"""The id of a worker: its node name and a random part, so that two workers of one name count as two."""

import secrets

# Pool processes fork from their worker and so have the same part; a worker that starts again has another.
_RANDOM = secrets.token_hex(4)


def worker_id(node_name: str) -> str:
    """The id of the worker that runs in this process, or in this process's parent."""
    return f"{node_name}/{_RANDOM}"


def node_name(worker: str) -> str:
    """The node name in a worker's id, as Celery's remote control takes it."""
    return worker.rpartition("/")[0] or worker
