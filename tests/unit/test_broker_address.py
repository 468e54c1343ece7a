"""Broker URLs: what kombu makes of our schemes, and what it shows of them."""

import pickle
import ssl

import pytest
from kombu import Connection
from kombu.transport import TRANSPORT_ALIASES

import gristmill.broker  # noqa: F401
from gristmill.broker.address import SCHEMES, Address, from_redis, parse
from gristmill.broker.transport import Transport
from gristmill.errors import SettingError


def parts(connection):
    assert type(connection.transport) is Transport
    return tuple(getattr(connection, name) for name in ("hostname", "port", "userid", "password", "virtual_host"))


URLS = {
    "gristmill://": ("localhost", 6379, None, None, "0"),
    "gristmill://host": ("host", 6379, None, None, "0"),
    "gristmill://user:p%40ss%2F@host:7000/5": ("host", 7000, "user", "p@ss/", "5"),
    "gristmill://:secret@[::1]:7000": ("::1", 7000, None, "secret", "0"),
    "gristmills://:secret@host/1": ("host", 6379, None, "secret", "1"),
    "gristmill-socket:///run/a%20b.sock": ("/run/a b.sock", 6379, None, None, "0"),
    "gristmill-socket://user:secret@/run/s?db=3": ("/run/s", 6379, "user", "secret", "3"),
}


@pytest.mark.parametrize(("url", "expected"), URLS.items())
def test_kombu_has_the_parts_of_a_url_also_in_copies(url, expected):
    connection = Connection(url)
    for copy in (connection, connection.clone(), connection.clone().clone(), pickle.loads(pickle.dumps(connection))):
        assert parts(copy) == expected
        assert parts(Connection(copy.as_uri(include_password=True))) == expected


@pytest.mark.parametrize("url", URLS)
def test_what_kombu_shows_has_no_password(url):
    connection = Connection(url)
    shown = dict(connection.info()) | {"password": None}
    assert not {"secret", "p@ss/", "p%40ss%2F"} & set(str([connection.as_uri(), repr(connection), shown]).split(":"))
    assert all(
        password not in f"{connection.as_uri()} {connection!r} {shown}" for password in ("secret", "p@ss", "p%40")
    )


def test_a_url_keeps_its_tls_options_where_it_keeps_its_password():
    connection = Connection("gristmills://:secret@host/1?ssl_ca_certs=/ca.pem&ssl_cert_reqs=optional")
    assert connection.as_uri() == "gristmills://:**@host:6379/1"
    again = Connection(connection.as_uri(include_password=True))
    assert again.transport
    assert again.ssl == {"ssl_ca_certs": "/ca.pem", "ssl_cert_reqs": ssl.CERT_OPTIONAL}


@pytest.mark.parametrize(
    "url", ["gristmill://one/1;gristmill://two:7000/2", ["gristmill://one/1", "gristmill://two:7000/2"]]
)
def test_kombu_switches_to_another_url(url):
    connection = Connection(url)
    assert parts(connection)[0] == "one"
    connection.maybe_switch_next()
    assert parts(connection) == ("two", 7000, None, None, "2")


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("redis://:secret@host", "'redis'"),
        ("gristmill-sentinel://:secret@host", "'gristmill-sentinel'"),
        ("gristmill://:secret@host/x", "DATABASE"),
        ("gristmill://:secret@host:port", "PORT"),
        ("gristmill://:secret@host/-1", "DATABASE"),
        ("gristmill://:secret@host?protocol=2", "'protocol'"),
        ("gristmill://:secret@host?ssl_ca_certs=/ca.pem", "'ssl_ca_certs'"),
        ("gristmills://:secret@host?ssl_cert_reqs=x", "gristmills"),
        ("gristmill-socket://:secret@host", "PATH"),
        ("gristmill-socket://:secret@/run/s?db=x", "DATABASE"),
    ],
)
def test_a_url_that_is_refused_is_not_quoted(url, word):
    with pytest.raises(SettingError) as error:
        parse(url)
    assert word in str(error.value)
    assert "secret" not in str(error.value)


def test_sentinel_is_refused_by_its_name_in_kombu_too():
    with pytest.raises(SettingError, match="gristmill-sentinel"):
        _ = Connection("gristmill-sentinel://host").transport


def test_a_redis_url_names_the_same_server():
    assert from_redis("redis://:p@h:1/2") == "gristmill://:p@h:1/2"
    assert from_redis("rediss://h?ssl_ca_certs=/ca.pem") == "gristmills://h?ssl_ca_certs=/ca.pem"
    assert parse("gristmill://h/2") == Address("h", database=2)


def test_kombus_own_schemes_are_untouched():
    assert TRANSPORT_ALIASES["redis"] == TRANSPORT_ALIASES["rediss"] == "kombu.transport.redis:Transport"
    assert set(SCHEMES) <= TRANSPORT_ALIASES.keys()
    assert type(Connection("redis://").transport) is not Transport
