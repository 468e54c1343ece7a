"""Broker URLs: what kombu makes of our schemes, and what it shows of them."""

import pickle
import ssl

import pytest
from kombu import Connection
from kombu.transport import TRANSPORT_ALIASES

import gristmill.broker  # noqa: F401
from gristmill.broker.address import SCHEMES, Address, from_redis, parse, sentinels_of
from gristmill.broker.transport import Transport
from gristmill.errors import SettingError
from gristmill.server import sentinel
from gristmill.server.sentinel import celery_backend


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
        ("gristmill-sentinel://:secret@host", "name=PRIMARY"),
        ("gristmill-sentinel://:secret@host?name=mill&sentinel_password=secret&protocol=2", "'protocol'"),
        ("gristmill-sentinel://:secret@host:port?name=mill", "name=PRIMARY"),
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


SENTINELS = "gristmill-sentinel://user:s3cret@one:7000,[::1],two/4?name=Mill"


def test_kombu_has_the_parts_of_a_sentinel_url_also_in_copies():
    connection = Connection(f"{SENTINELS}&sentinel_username=asker&sentinel_password=s3cret2&ssl_cert_reqs=none")
    for copy in (connection, connection.clone(), pickle.loads(pickle.dumps(connection))):
        again = Connection(copy.as_uri(include_password=True))
        for each in (copy, again):
            assert parts(each)[1:] == (6379, "user", "s3cret", "4")
            assert each.ssl == {"ssl_cert_reqs": ssl.CERT_NONE}
            sentinels = sentinels_of(each.hostname)
            assert sentinels.hosts == (("one", 7000), ("::1", 26379), ("two", 26379))
            assert sentinels[1:4] == ("Mill", "asker", "s3cret2")


def test_what_kombu_shows_of_sentinels_has_no_password():
    connection = Connection(f"{SENTINELS}&sentinel_password=s3cret2")
    assert connection.as_uri() == "gristmill-sentinel://user:**@one:7000,[::1]:26379,two:26379/4?name=Mill"
    assert "s3cret" not in f"{connection!r} {dict(connection.info()) | {'password': None}}"


def test_a_sentinel_url_of_a_setting_names_the_same_servers():
    assert from_redis("redis-sentinel://h:1,i/2?name=m") == "gristmill-sentinel://h:1,i/2?name=m"
    tls = "gristmill-sentinel://h/2?name=m&ssl_cert_reqs=required"
    assert from_redis("rediss-sentinel://h/2?name=m") == tls
    assert parse(tls).ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    authority = "rediss-sentinel://h/2?name=m&ssl_ca_certs=/ca.pem"
    assert parse(from_redis(authority)).ssl == {"ssl_ca_certs": "/ca.pem"}


def test_celery_gets_its_own_form_of_a_sentinel_url():
    url, options, tls = celery_backend(
        "rediss-sentinel://u:p%40@one:7000,[::1]/4?name=m&sentinel_username=a&sentinel_password=b&ssl_ca_certs=/ca.pem"
    )
    assert url == "sentinel://u:p%40@one:7000/4;sentinel://u:p%40@[::1]:26379/4"
    assert options["master_name"] == "m"
    expected = {"username": "a", "password": "b", "ssl": True, "ssl_cert_reqs": "required", "ssl_ca_certs": "/ca.pem"}
    assert expected.items() <= options["sentinel_kwargs"].items()
    assert tls == {"ssl_cert_reqs": "required", "ssl_ca_certs": "/ca.pem"}


def test_a_user_of_the_sentinels_has_the_servers_password_unless_there_is_another():
    def login(options):
        return sentinel.parse(f"redis-sentinel://u:p%40@one/4?name=m{options}")[0][2:4]

    assert login("&sentinel_username=a") == ("a", "p@")
    assert login("&sentinel_username=a&sentinel_password=b") == ("a", "b")
    assert login("") == (None, None)


def test_a_redis_url_names_the_same_server():
    assert from_redis("redis://:p@h:1/2") == "gristmill://:p@h:1/2"
    assert from_redis("rediss://h?ssl_ca_certs=/ca.pem") == "gristmills://h?ssl_ca_certs=/ca.pem"
    assert parse("gristmill://h/2") == Address("h", database=2)


def test_kombus_own_schemes_are_untouched():
    assert TRANSPORT_ALIASES["redis"] == TRANSPORT_ALIASES["rediss"] == "kombu.transport.redis:Transport"
    assert set(SCHEMES) <= TRANSPORT_ALIASES.keys()
    assert type(Connection("redis://").transport) is not Transport
