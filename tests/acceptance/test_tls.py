"""TLS on Debian's redis-server: everything works over it, and nothing works with a server that is not trusted."""

import sys

import pytest

from tests.support.servers import Certificates, redis_server, running


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificates")
    return {name: Certificates(directory, name) for name in ("ours", "another")}


@pytest.fixture(scope="module")
def encrypted(certificates, tmp_path_factory):
    """A server that speaks TLS only."""
    with running(redis_server(), tmp_path_factory.mktemp("redis"), certificates=certificates["ours"]) as server:
        yield server


@pytest.fixture
def untrusted(encrypted, certificates):
    """Addresses of the server under which it cannot be trusted, each with what is said of it."""
    plain = encrypted.url.partition("?")[0]
    return {
        f"{plain}?ssl_ca_certs={certificates['another'].authority}": "certificate verify failed",
        plain: "certificate verify failed",
        encrypted.url.replace("127.0.0.1", "localhost"): "Hostname mismatch",
    }


@pytest.mark.slow
def test_everything_works_over_tls(place, encrypted):
    """Producer, both workers, dashboard, doctor, and a plain task with its result."""
    plain = (
        "from gristmill.tasks.fibonacci import fibonacci; "
        "print(fibonacci.apply_async((10,), ignore_result=False).get(timeout=60))"
    )
    place.environ["GRISTMILL_REDIS_URL"] = encrypted.url
    with place.up("--cpu-slots", "1", "--io-slots", "2"):
        done = place.run("submit", "fibonacci", *map(str, range(20)), "--name", "tls", "--follow").good()
        assert sorted(row["index"] for row in done.rows) == list(range(20))
        place.run("submit", "pause", "0.01", "0.02", "--follow").good()
        assert place.process([sys.executable, "-P", "-c", plain]).good().out == "55\n"
        (line,) = [row for row in place.run("doctor", "--json").rows if row["check"] == "connection"]
        assert (line["state"][:24], line["advice"]) == ("TLS, certificate checked", "OK")


def check_refusal(place, url, words, *command):
    done = place.run(*command, GRISTMILL_REDIS_URL=url)
    assert (done.code, done.out) == (3, ""), done
    assert "cannot be reached safely" in done.err
    assert words in done.err
    assert "Traceback" not in done.err


@pytest.mark.slow
def test_a_server_that_is_not_trusted_is_refused(place, untrusted):
    for url, words in untrusted.items():
        check_refusal(place, url, words, "batches")
    for command in (["submit", "fibonacci", "1"], ["run", "fibonacci", "1"], ["up", "cpu"]):
        check_refusal(place, url, words, *command)
    doctor = place.run("doctor", "--json", GRISTMILL_REDIS_URL=url)
    assert doctor.code == 3
    assert words in doctor.rows[-1]["advice"]


@pytest.mark.parametrize(
    "module", [["gristmill.worker", "cpu"], ["gristmill.dashboard", "--port", "0"]], ids=["worker", "dashboard"]
)
def test_a_worker_and_a_dashboard_refuse_it_too(place, untrusted, module):
    for url, words in untrusted.items():
        done = place.process([sys.executable, "-P", "-m", *module], GRISTMILL_REDIS_URL=url)
        assert done.code == 3, done
        assert done.err.startswith(module[0].partition(".")[2])
        assert words in done.err
        assert len(done.err.splitlines()) == 1


def test_a_refused_login_ends_a_worker(place, encrypted):
    url = encrypted.url.replace("a%20p", "not")
    done = place.process([sys.executable, "-P", "-m", "gristmill.worker", "cpu"], GRISTMILL_REDIS_URL=url)
    assert done.code == 3
    assert "refuses the login" in done.err


def test_an_authority_that_is_not_there_is_named(place, encrypted):
    url = encrypted.url.partition("?")[0] + "?ssl_ca_certs=/no/such/file"
    place.run("batches", GRISTMILL_REDIS_URL=url).refused("ssl_ca_certs in GRISTMILL_REDIS_URL", "'/no/such/file'")


def test_unchecked_only_when_asked_for_and_doctor_says_so(place, encrypted):
    url = encrypted.url.partition("?")[0] + "?ssl_cert_reqs=none"
    doctor = place.run("doctor", "--json", GRISTMILL_REDIS_URL=url)
    assert doctor.code == 1
    (line,) = [row for row in doctor.rows if row["check"] == "connection"]
    assert line["state"] == "TLS, unchecked"
    assert "ssl_cert_reqs" in line["advice"]


def test_the_other_scheme_is_no_way_in(place, encrypted):
    done = place.run("batches", GRISTMILL_REDIS_URL=encrypted.url.partition("?")[0].replace("rediss", "redis"))
    assert done.code == 3
    assert "no server answers" in done.complaint
