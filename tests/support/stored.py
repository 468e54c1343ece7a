"""The data of a version of the schema, as a server holds it: `python -m tests.support.stored` writes it into a file.

The file stays as it is for good: later versions take the data through an upgrade, or refuse it by name.
"""

import base64
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from redis import Redis

from gristmill.batches.chunk import Chunk
from gristmill.batches.control import Control
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer
from tests.support.ledger import WORKER, enlist, outcomes, submit

FOLDER = Path(__file__).parent.parent / "data"
#: The version of the names and forms of the keys: that of batches/lua/schema.lua.
SCHEMA = 2
#: Items of each batch.
COUNT = 20
#: The part of a batch that has its chunks in flight.
IN_FLIGHT = "in_flight"


def fill(client: Redis) -> None:
    """Store a batch in each state, with a plain message and a dead letter beside them."""
    ledger = Ledger(client, load({}))
    control = Control(client, ledger.settings)
    enlist(ledger)
    for name in ("ended", "failed", "cancelled", "live", "paused"):
        # Each a task of its own source: nothing is learnt, and the first chunks have one item.
        submit(ledger, name, COUNT, fingerprint=name)
        _run(ledger, name, "failed" if name == "failed" else "succeeded", all_of_it=name in ("ended", "failed"))
        {"cancelled": lambda: control.cancel("cancelled", "by me"), "paused": lambda: control.pause("paused")}.get(
            name, lambda: None
        )()
    message = {"body": "[[], {}, {}]", "content-type": "application/json", "content-encoding": "utf-8"}
    message |= {"headers": {"task": "no.such.task", "id": "plain"}, "properties": {"delivery_tag": "plain"}}
    client.xadd(ledger.settings.key("q:later:4"), {"m": json.dumps(message)})
    letter = {"queue": "later", "level": 4, "reason": "stored", "deaths": 3, "worker": WORKER, "at": 1}
    client.xadd(ledger.settings.key("dead"), {**letter, "message": json.dumps(message)})


def _run(ledger: Ledger, name: str, state: str, *, all_of_it: bool) -> None:
    """Run the batch, or three chunks of it, and begin one more."""
    epoch, recorded = int(ledger.state(name)["epoch"]), 0
    while members := ledger.client.zrange(ledger.key(name, IN_FLIGHT), 0, 0):
        first, count = map(int, members[0].split(":"))
        chunk = Chunk(name, epoch, first, count)
        work = ledger.take(chunk, WORKER)
        assert work is not None
        if not all_of_it and recorded == 3:
            break
        ledger.record(chunk, outcomes(work.items, state), 0.1 * count, WORKER)
        recorded += 1


def write() -> Path:
    """Fill a server, and write its keys."""
    path = FOLDER / f"schema-{SCHEMA}.json"
    with TemporaryDirectory() as name, PrivateServer(Home(Path(name)), load({})) as server:
        with Redis.from_url(server.url, decode_responses=True) as client:
            fill(client)
        with Redis.from_url(server.url) as client:
            dumps = {key.decode(): base64.b64encode(client.dump(key)).decode() for key in sorted(client.keys("*"))}
    path.write_text(json.dumps(dumps, indent=0) + "\n")
    return path


def restore(client: Redis, schema: int) -> dict[str, str]:
    """Put the data of a schema on a server; returns each key with its content, in the server's form."""
    dumps: dict[str, str] = json.loads((FOLDER / f"schema-{schema}.json").read_text())
    for key, dump in dumps.items():
        client.restore(key, 0, base64.b64decode(dump))
    return dumps


if __name__ == "__main__":
    sys.stdout.write(f"{write()}\n")
