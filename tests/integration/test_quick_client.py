"""The client of a thread that calls now and then, on a real server."""

import os

import pytest
from redis import exceptions

from gristmill.server.internals import wire_of
from gristmill.server.quick_client import QuickClient, QuickPool
from tests.conftest import until
from tests.support.grandchildren import in_fork


@pytest.fixture
def client(bench):
    pool = QuickPool.from_url(bench.url, socket_timeout=1, decode_responses=True)
    yield QuickClient(connection_pool=pool)
    pool.disconnect()


def descriptor(client):
    """That of the connection that the next call goes over."""
    connection = client.connection_pool.get_connection()
    client.connection_pool.release(connection)
    return wire_of(connection).fileno(), connection


def test_an_answer_that_comes_late_is_no_other_calls_answer(bench, client):
    key = f"{bench.prefix}list"
    with pytest.raises(exceptions.TimeoutError):
        client.execute_command("BLPOP", key, "60")
    bench.client.rpush(key, "late")
    until(lambda: bench.client.llen(key) == 1 or not bench.client.exists(key))
    assert [client.echo(str(number)) for number in range(3)] == ["0", "1", "2"]


def test_one_that_has_ended_is_replaced(bench, client):
    client.ping()
    bench.client.client_kill_filter(_id=client.client_id(), skipme=False)
    assert client.echo("next") == "next"


def test_what_only_calls_at_the_same_moment_have_needed_ends(bench, client):
    pool = client.connection_pool
    lent = [pool.get_connection() for _ in range(3)]
    for connection in lent:
        pool.release(connection)
    pool.tidy()
    mine = client.client_id()
    assert [wire_of(connection) is None for connection in lent] == [False, False, False]
    pool.tidy()
    assert [wire_of(connection) is None for connection in lent] == [True, True, False]
    pool.tidy()
    assert client.client_id() == mine


def test_a_fork_has_a_connection_of_its_own(client):
    mine = client.client_id()
    other = int(in_fork(client.client_id))
    assert (other != mine, client.client_id()) == (True, mine)


def test_a_server_that_refuses_says_so(client):
    with pytest.raises(exceptions.RedisError):
        client.execute_command("NO SUCH COMMAND")
    assert client.ping()
    assert os.getpid() == descriptor(client)[1].pid
