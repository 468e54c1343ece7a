"""Workers that others watch: they subscribe, enlist and hold messages, and do nothing else."""

from contextlib import ExitStack

from redis import Redis


class Others:
    """Workers that only subscribe and hold messages, over a connection each."""

    def __init__(self, channel, url):
        self.scripts, self.url = channel.scripts, url
        self.prefix = channel.scripts.prefix
        self.connections = {}
        self.stack = ExitStack()

    def subscribe(self, consumer):
        client = self.stack.enter_context(Redis.from_url(self.url))
        subscription = client.pubsub()
        subscription.subscribe(f"{self.prefix}gm1:alive:{consumer}")
        assert subscription.get_message(timeout=5)
        self.connections[consumer] = subscription

    def enlist(self, *consumers, worker=""):
        for consumer in consumers:
            self.subscribe(consumer)
            self.scripts.call("enlist", consumer=consumer, worker=worker, problem="", anew=True, queues=["q"])

    def take(self, consumer, credit=1):
        self.scripts.call("take", consumer=consumer, credit=credit, create=True, queues=["q"], tags=[])

    def end(self, consumer):
        self.connections.pop(consumer).close()

    def left(self, bench):
        """The workers that still take part in the watch."""
        return set(bench.client.hkeys(f"{self.prefix}gm1:consumers"))
