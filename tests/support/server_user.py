"""Somebody who uses a server over one protocol, below a prefix."""

import json
import uuid

from kombu import Connection
from redis import Redis

from gristmill.batches.ledger import Ledger
from gristmill.broker.address import from_redis
from gristmill.config.settings import load


class User:
    """Somebody who uses a server over one protocol, below a prefix."""

    def __init__(self, url, protocol):
        self.prefix = f"p{uuid.uuid4().hex[:8]}:"
        self.client = Redis.from_url(url, decode_responses=True, protocol=protocol)
        self.connection = Connection(
            from_redis(url), transport_options={"global_keyprefix": self.prefix, "protocol": protocol}
        )
        self.channel = self.connection.default_channel
        self.ledger = Ledger(self.client, load({"GRISTMILL_PREFIX": self.prefix}))

    def put(self, body, **properties):
        message = self.channel.prepare_message(json.dumps(body), content_type="application/json", **properties)
        self.channel.basic_publish(message, "", "q")

    def get(self):
        return self.channel.basic_get("q")

    def call(self, name, **arguments):
        return self.channel.scripts.call(name, **arguments)

    def size(self):
        return self.channel._size("q")

    def standing(self):
        return sum(self.client.xlen(f"{self.prefix}gm1:q:q:{level}") for level in range(10))
