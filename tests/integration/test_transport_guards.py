"""The guards of the transport, each on a real server and without a worker: what they prevent shows at once."""

import json
from contextlib import contextmanager, suppress

import pytest
from redis import Redis

from gristmill.broker import channel as channels
from gristmill.broker import leases, link
from gristmill.broker.leases import Lease
from tests.conftest import until
from tests.support.leases import end_leases

DEAD = "gone:1:00000000"


def put(channel, *bodies):
    for body in bodies:
        message = channel.prepare_message(json.dumps(body), content_type="application/json")
        channel.basic_publish(message, "", "q")


def consume(channel, callback=lambda body, message: None, prefetch=0):
    connection = channel.connection.client
    channel.basic_qos(0, prefetch, False)
    consumer = connection.Consumer(connection.SimpleQueue("q", channel=channel).queue, channel, callbacks=[callback])
    consumer.consume()
    return connection


def handed_back(bench):
    return bench.client.zcard(f"{bench.prefix}gm1:back:q")


def heard(bench, consumer):
    """When the server last heard of a consumer, in ms."""
    return bench.client.zscore(f"{bench.prefix}gm1:lease:q", consumer)


class TestScanning:
    @pytest.fixture
    def lease(self, bench, channel, quiet):
        """A lease of 0.3 s that has just begun, beside a dead consumer that holds a message."""
        put(channel, 1)
        quiet.scripts.call("take", consumer=DEAD, credit=1, create=False, queues=["q"], tags=[])
        bench.client.zadd(f"{bench.prefix}gm1:lease:q", {DEAD: 0})
        quiet.queues.add("q")
        quiet.seconds = 0.3
        quiet._renew()
        return quiet

    @pytest.fixture
    def newcomer(self, lease):
        """The lease of a process that has just started."""
        newcomer = Lease(lease.scripts.client, lease.scripts.prefix)
        newcomer.queues.add("q")
        newcomer.seconds = 0.3
        return newcomer

    def scanned(self, bench, lease):
        lease.scripts.call("renew", consumer=lease.consumer, queues=["q"])
        lease.scripts.call("unbroken", lease=round(1000 * lease.seconds))
        lease.scan()
        return handed_back(bench) == 1

    def test_begins_after_a_whole_lease_of_unbroken_connection(self, bench, lease):
        assert not self.scanned(bench, lease)
        until(lambda: self.scanned(bench, lease))

    def test_begins_at_once_where_others_have_renewed_leases_for_as_long(self, bench, lease, newcomer):
        """Else a fleet whose workers all live for less than a lease would never scan."""
        until(lambda: lease.scripts.call("unbroken", lease=300) > 300, what="a lease")
        newcomer._renew()
        assert self.scanned(bench, newcomer)

    @pytest.mark.parametrize(("field", "value"), [("run", "another"), ("renewed", 1)])
    def test_waits_after_a_gap_and_on_another_run_of_the_server(self, bench, lease, newcomer, field, value):
        until(lambda: lease.scripts.call("unbroken", lease=300) > 300, what="a lease")
        bench.client.hset(f"{bench.prefix}gm1:renewals", field, value)
        newcomer._renew()
        assert not self.scanned(bench, newcomer)

    @contextmanager
    def watched_for_long(self, lease):
        lease._unbroken_since -= 100
        yield
        lease._renew()

    def test_begins_anew_with_a_server_that_does_not_have_this_lease(self, bench, lease):
        with self.watched_for_long(lease):
            bench.client.zrem(f"{bench.prefix}gm1:lease:q", lease.consumer)
        assert not self.scanned(bench, lease)

    def test_waits_for_the_renewal_on_a_server_where_all_leases_are_old(self, bench, lease):
        with self.watched_for_long(lease):
            pass
        # Another server has taken over since: its clock is an hour ahead.
        bench.client.zadd(f"{bench.prefix}gm1:lease:q", dict.fromkeys((DEAD, lease.consumer), 1))
        lease.scan()
        assert handed_back(bench) == 0

    def test_begins_anew_after_this_process_was_stopped(self, bench, lease):
        with self.watched_for_long(lease):
            now = heard(bench, lease.consumer)
            bench.client.zadd(f"{bench.prefix}gm1:lease:q", {lease.consumer: now - 60_000})
        assert not self.scanned(bench, lease)

    def test_goes_on_while_nothing_of_that_happened(self, bench, lease):
        with self.watched_for_long(lease):
            pass
        assert self.scanned(bench, lease)

    def test_leaves_what_a_living_consumer_holds(self, bench, lease):
        lease.scripts.call("renew", consumer=DEAD, queues=["q"])
        with self.watched_for_long(lease):
            lease.seconds = 60
        assert not self.scanned(bench, lease)


class TestWatching:
    def test_a_message_that_the_pool_has_lost_goes_back_and_the_log_says_so(
        self, bench, channel, quiet, monkeypatch, caplog
    ):
        put(channel, 1, 2)
        tag, other = (channel.basic_get("q").delivery_tag for _ in range(2))
        quiet.queues.add("q")
        quiet.seconds = 0.2
        quiet._renew()
        quiet._unbroken_since -= 100

        def scanned():
            quiet.scan()
            return handed_back(bench)

        until(lambda: bench.client.xpending_range(f"{bench.prefix}gm1:q:q:0", "gm", "-", "+", 9, idle=100))
        assert not scanned()
        monkeypatch.setattr(leases, "lost", lambda: {tag})
        assert until(scanned) == 1
        assert quiet.holding == {other}
        assert "handed back 1 messages" in caplog.text

    def test_what_could_not_be_handed_back_goes_back_with_a_renewal(self, bench, channel, quiet, monkeypatch):
        put(channel, 1, 2)
        message, other = (channel.basic_get("q") for _ in range(2))

        def cut(*_, **__):
            raise ConnectionError

        with monkeypatch.context() as away:
            away.setattr(quiet.scripts, "call", cut)
            for each in (message, other):
                channel.qos.blamed.add(each.delivery_tag)
                each.reject(requeue=True)
        # The answer was lost, and this process has the other one again.
        quiet.holding.add(other.delivery_tag)
        assert handed_back(bench) == 0
        quiet._renew()
        assert handed_back(bench) == 1
        again = channel.basic_get("q")
        assert (again.payload, again.returns) == (1, 2)


class TestOwners:
    def take(self, lease, consumer, **options):
        """What `consumer` takes: a tag, a message, how often it came back from the dead, and so on by turns."""
        call = {"credit": 1, "create": False, "queues": ["q"], "tags": [], **options}
        return lease.scripts.call("take", consumer=consumer, **call)

    def test_nobody_else_acknowledges_hands_back_hides_or_buries_a_message(self, bench, channel, quiet):
        put(channel, 1)
        tag, *_ = self.take(quiet, DEAD)[2]
        other, call = {"consumer": "other:2:00000000"}, quiet.scripts.call
        assert call("ack", **other, tags=[tag]) == [tag]
        assert self.take(quiet, **other, tags=[tag])[1] == [tag]
        assert call("back", **other, suspicion=0, unseen=False, tags=[tag]) == 0
        assert call("postpone", **other, wait=0, most=0, unseen=True, tags=[tag]) == 0
        assert call("bury", **other, limit=1000, wait=0, reason="", deaths=0, tag=tag) == -1
        assert (bench.standing(), handed_back(bench)) == (1, 0)
        assert call("ack", consumer=DEAD, tags=[tag]) == []
        assert bench.standing() == 0

    def test_a_death_is_counted_against_what_the_dead_held(self, bench, channel, quiet):
        put(channel, 1)
        for deaths in range(3):
            _, _, taken = self.take(quiet, DEAD)
            assert int(taken[2]) == deaths
            quiet.scripts.call("renew", consumer="me", queues=["q"])
            bench.client.zadd(f"{bench.prefix}gm1:lease:q", {DEAD: 0})
            assert quiet.scripts.call("reclaim", caller="me", silent=1000, most=10, queues=["q"]) == [1, 0]


class TestDelivery:
    @pytest.fixture(autouse=True)
    def looping(self, monkeypatch):
        """Read as an event loop does: many messages at a time."""
        monkeypatch.setattr(channels, "loop_of_this_thread", object)

    def test_hands_the_rest_back_when_a_callback_raises(self, bench, channel, quiet):
        def raising(body, message):
            raise LookupError(body)

        put(channel, 1, 2, 3)
        connection = consume(channel, raising)
        with pytest.raises(LookupError):
            connection.drain_events(timeout=30)
        assert handed_back(bench) == channel._size("q") == 2

    def test_hands_back_what_there_is_no_room_for(self, bench, channel, quiet, monkeypatch):
        bodies = []
        put(channel, 1, 2, 3)
        connection = consume(channel, lambda body, message: bodies.append(body), prefetch=1)
        # So many a blocking read of several streams may answer.
        monkeypatch.setattr(channel.qos, "can_consume_max_estimate", lambda: 3)
        connection.drain_events(timeout=30)
        assert bodies == [1]
        assert handed_back(bench) == channel._size("q") == 2


def test_a_process_that_ends_hands_back_what_is_not_done_and_acknowledges_what_is(bench, channel, quiet, monkeypatch):
    put(channel, 1, 2, 3)
    ended, *_running = [channel.basic_get("q") for _ in range(3)]
    monkeypatch.setattr(quiet.acks, "flush", lambda: None)
    ended.ack()
    assert (bench.standing(), channel._size("q")) == (3, 0)
    leases.hand_back_all()
    assert (bench.standing(), channel._size("q")) == (2, 2)
    assert [channel.basic_get("q", no_ack=True).payload for _ in range(2)] == [2, 3]


class TestReading:
    @pytest.fixture
    def read(self, bench, channel, quiet):
        """Reads on a connection whose last take found nothing and whose lease has ended since."""
        consume(channel)
        channel.client.connection = channel.client.connection_pool.get_connection()

        def read():
            channel._brpop_start()
            assert not channel._brpop_read()

        # A read whose server lacks the script loads it, and has no answer.
        quiet.scripts.load("take")
        read()
        bench.client.zadd(f"{bench.prefix}gm1:lease:q", {quiet.consumer: 0})
        return read

    def test_renews_the_lease_of_a_process_that_was_stopped(self, bench, quiet, read):
        quiet.seconds = 0
        read()
        assert heard(bench, quiet.consumer) > 0

    def test_waits_on_the_server_otherwise(self, bench, quiet, read, monkeypatch):
        monkeypatch.setattr(link, "LONE_READ_SECONDS", 0.001)
        read()
        assert heard(bench, quiet.consumer) == 0


def test_a_second_lease_on_a_server_is_the_same_and_another_prefix_has_its_own(bench, channel):
    lease = channel.lease
    with Redis.from_url(bench.url) as another_spelling:
        assert leases.lease_for(another_spelling, bench.prefix) is lease
        other = leases.lease_for(another_spelling, "another:")
    assert isinstance(other, Lease)
    assert other is not lease
    assert other.heartbeat is lease.heartbeat


class TestLeaving:
    """A process that is about to end waits no longer for messages."""

    @pytest.fixture
    def waiting(self, channel, quiet):
        """The channel, whose request waits at the server for a message of the queue `q`."""
        consume(channel)
        # The first request takes what there is; the second one waits.
        with pytest.raises(TimeoutError):
            channel.connection.client.drain_events(timeout=0.2)
        until(lambda: waits(channel), what="a request that waits")
        return channel

    def test_what_has_come_meanwhile_goes_back_unseen(self, bench, waiting):
        put(waiting, 1)
        until(lambda: bench.client.xpending(f"{bench.prefix}gm1:q:q:0", "gm")["pending"] == 1)
        waiting.leave_request()
        assert handed_back(bench) == 1
        assert waiting.basic_get("q").headers.get("redelivered") is None

    def test_an_alarm_that_nobody_has_heard_wakes_another_reader(self, bench, waiting):
        key = f"{bench.prefix}gm1:q:q:alarm"
        unheard = bench.client.xadd(key, {"a": 1}, maxlen=1)
        until(lambda: bench.client.xpending(key, "gm")["pending"] == 1)
        waiting.leave_request()
        assert bench.client.xpending(key, "gm")["pending"] == 0
        assert [identity > unheard for identity, _ in bench.client.xrange(key)] == [True]

    def test_it_goes_back_as_soon_as_the_channel_has_no_room(self, bench, waiting):
        put(waiting, 1, 2)
        until(lambda: bench.client.xpending(f"{bench.prefix}gm1:q:q:0", "gm")["pending"] > 0)
        waiting.qos.append("held", "0/1-0/q")
        waiting.basic_qos(0, 1, False)
        assert bench.client.xpending(f"{bench.prefix}gm1:q:q:0", "gm")["pending"] == handed_back(bench) > 0
        waiting.qos.delivered.pop("0/1-0/q")

    def test_so_does_what_a_take_brings_that_is_on_its_way(self, bench, waiting, monkeypatch):
        put(waiting, 1)
        waiting.connection.client.drain_events(timeout=5)
        put(waiting, 2)
        waiting.start_reading()
        assert not waiting.reader.is_waiting
        monkeypatch.setattr(waiting.qos, "can_consume", lambda: False)
        waiting.leave_request()
        assert handed_back(bench) == 1
        assert waiting.lease.reading == {}

    def test_what_another_thread_takes_meanwhile_is_its_own(self, bench, waiting, monkeypatch):
        queue = waiting.connection.client.SimpleQueue("r", channel=waiting)
        queue.put(1)
        waiting.lease.queues.add("r")
        call = waiting.scripts.call

        def call_and_leave(name, **arguments):
            answer = call(name, **arguments)
            if name == "take":
                waiting.leave_request()
            return answer

        monkeypatch.setattr(waiting.scripts, "call", call_and_leave)
        assert waiting.basic_get("r").payload == 1
        assert bench.client.zcard(f"{bench.prefix}gm1:back:r") == 0

    def test_nothing_is_read_when_the_channel_closes(self, waiting, monkeypatch):
        waiting.leave_request()
        monkeypatch.setattr(waiting, "_brpop_read", lambda **_: pytest.fail("it waits for an answer"))
        waiting.close()

    def test_a_request_beside_that_of_another_channel_is_left_alone(self, waiting):
        waiting.lease.reading[0] = 0.0
        waiting.leave_request()
        assert waits(waiting)


def test_a_message_is_acknowledged_whatever_kombus_option_of_its_visibility_timeout_says(bench):
    options = {"global_keyprefix": bench.prefix, "ack_emulation": False}
    with bench.connect().clone(transport_options=options) as connection:
        channel = connection.default_channel
        connection.SimpleQueue("q", channel=channel)
        put(channel, 1)
        channel.basic_get("q").ack()
        channel.close()
    end_leases()
    assert bench.standing() == 0


def waits(channel):
    """Whether the channel's request waits at the server; ask again, where it was answered."""
    if channel.reader.is_waiting and id(channel) in channel.lease.reading:
        return True
    with suppress(TimeoutError):
        channel.connection.client.drain_events(timeout=0.01)
    return False
