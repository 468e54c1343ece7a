"""What stands before a server runs: the host's limits, the server's config text, the home, the connection."""

import json
import os
import stat
from pathlib import Path

import pytest
from redis import exceptions

from gristmill.config.host import cores, memory
from gristmill.config.private_server import server_config
from gristmill.config.settings import Settings, settings
from gristmill.errors import InputError, ServerError, SettingError
from gristmill.server import connection
from gristmill.server.connection import connect, locate, reaching, without_password
from gristmill.server.home import Home, ServerFile
from gristmill.server.lock import Lock
from tests.support.projects import write


def dialling(problem: str) -> Exception:
    return exceptions.ConnectionError(f"Error {problem}")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GRISTMILL_REDIS_URL", raising=False)
    settings.cache_clear()
    yield Home(tmp_path / "home")
    settings.cache_clear()


class TestHost:
    @pytest.fixture(autouse=True)
    def eight(self, monkeypatch):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)

    @pytest.mark.parametrize(
        ("files", "wanted"),
        [
            pytest.param({}, 8, id="no cgroups: the affinity"),
            pytest.param({"cpu.max": "max 100000"}, 8, id="no quota"),
            pytest.param({"cpu.max": "300000 100000"}, 3, id="whole"),
            pytest.param({"cpu.max": "250000 100000"}, 3, id="rounded up"),
            pytest.param({"cpu.max": "50000 100000"}, 1, id="half"),
            pytest.param({"cpu.max": "9900000 100000"}, 8, id="more than the affinity"),
            pytest.param({"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, 2, id="nested"),
            pytest.param({"cpu.max": "rubbish"}, 8, id="unreadable"),
        ],
    )
    def test_cores_version_2(self, tmp_path, files, wanted):
        tree = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
        assert cores(write(tmp_path, {"proc/self/cgroup": "0::/a/b\n", **tree})) == wanted

    @pytest.mark.parametrize(("quota", "wanted"), [("-1", 8), ("150000", 2), ("10000", 1)])
    def test_cores_version_1(self, tmp_path, quota, wanted):
        group = "sys/fs/cgroup/cpu/docker/x/cpu.cfs"
        tree = {f"{group}_quota_us": quota + "\n", f"{group}_period_us": "100000\n"}
        cgroup = "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n0::/\n"
        assert cores(write(tmp_path, {"proc/self/cgroup": cgroup, **tree})) == wanted

    def test_a_path_of_the_host_falls_back_to_the_container_s_root(self, tmp_path):
        files = {"proc/self/cgroup": "0::/docker/x\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"}
        assert cores(write(tmp_path, files)) == 1

    @pytest.mark.parametrize(
        ("cgroup", "file"),
        [("0::/a/b\n", "a/memory.max"), ("5:memory:/a\n", "memory/a/memory.limit_in_bytes")],
    )
    def test_memory(self, tmp_path, cgroup, file):
        tree = {f"sys/fs/cgroup/{file}": "67108864\n"}
        assert memory(write(tmp_path, {"proc/self/cgroup": cgroup, **tree})) == 64 << 20

    @pytest.mark.parametrize("limit", ["max", str(2**63 - 4096)])
    def test_memory_without_a_limit_is_the_host_s(self, tmp_path, limit):
        physical = memory(tmp_path / "no cgroups")
        files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": limit}
        assert memory(write(tmp_path, files)) == physical > 64 << 20

    def test_this_host(self):
        assert 1 <= cores() <= 8
        assert memory() > 0


class TestServerConfig:
    def test_settings_are_in_it(self):
        text = server_config(Settings(server_fsync="everysec", server_memory=5 << 20), Path("/d"), 7000, "pw")
        for line in ('appendfsync "everysec"', 'maxmemory "5242880"', 'port "7000"', 'requirepass "pw"'):
            assert line in text.splitlines()

    def test_memory_is_half_of_the_host_s(self):
        assert f'maxmemory "{memory() // 2}"' in server_config(Settings(), Path("/d"), 7000, "pw")

    def test_a_path_is_quoted(self):
        text = server_config(Settings(), Path('/a b/"c"\\d\ne'), 7000, "pw")
        assert r'dir "/a b/\"c\"\\d\ne"' in text.splitlines()


class TestHome:
    content = ServerFile(url="redis://:secret@127.0.0.1:7000/0", pid=1, server_pid=2, dashboard="http://x")

    def test_looking_creates_nothing(self, home):
        assert (home.read(), home.running(), home.holder(), home.last_batch) == (None, None, None, None)
        assert not home.path.exists()

    def test_one_owner(self, home):
        other = Home(home.path)
        with home.owned("gristmill up"):
            for each in (home, other):
                with pytest.raises(InputError), each.owned("gristmill run"):
                    pytest.fail("owned twice")
                assert str(other.holder()) == f"`gristmill up` (pid {os.getpid()})"
        assert other.holder() is None
        with other.owned("gristmill run"):
            pass

    def test_the_second_owner_is_told_of_the_first(self, home):
        with home.owned("gristmill up"):
            told = rf"`gristmill up` \(pid {os.getpid()}\) is running in "
            with pytest.raises(InputError, match=told), Home(home.path).owned("gristmill up"):
                pytest.fail("owned twice")
        with Home(home.path).owned("gristmill up"):
            pass

    def test_an_owner_of_unknown_name_is_an_owner(self, home):
        with home.owned("gristmill up"):
            (home.path / "lock").write_bytes(b"\xff\x00rubbish")
            told = "another process is running"
            with pytest.raises(InputError, match=told), Home(home.path).owned("gristmill up"):
                pytest.fail("owned twice")

    def test_a_child_does_not_hold_the_lock(self, home):
        with home.owned("gristmill up"):
            assert not os.get_inheritable(home._lock.fileno())

    def test_server_file(self, home):
        home.write(self.content)
        assert home.read() == self.content
        assert stat.S_IMODE((home.path / "server.json").stat().st_mode) == 0o600
        assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
        assert [path.name for path in home.path.iterdir()] == ["server.json"]
        assert "secret" not in repr(home.read())
        home.remove()
        home.remove()
        assert home.read() is None

    def test_the_server_file_of_a_dead_owner_does_not_count(self, home):
        home.write(self.content)
        assert home.running() is None
        with pytest.raises(ServerError, match=r"`gristmill up`.*`gristmill run`"):
            locate()
        with home.owned("gristmill up"):
            assert home.running() == self.content
            assert locate() == self.content.url

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "EOF"),
            ("{", "EOF"),
            ("\xff\xfe", "JSON"),
            ("[]", "object"),
            ("{}", "url: Field required"),
            (json.dumps({"url": "redis://:secret@h", "pid": "4"}), "pid: "),
            (json.dumps({"url": "http://:secret@h", "pid": 4}), "url: "),
            (json.dumps({"url": "redis://:secret@h", "pid": 4, "version": 2}), "version: "),
        ],
    )
    def test_broken_server_file(self, home, text, problem):
        home.path.mkdir()
        (home.path / "server.json").write_text(text, encoding="latin-1")
        with pytest.raises(ServerError, match=problem) as raised:
            home.read()
        line = str(raised.value)
        assert str(home.path / "server.json") in line
        assert "delete the file" in line
        assert "\n" not in line
        assert "secret" not in line

    def test_server_file_that_cannot_be_read(self, home):
        (home.path / "server.json").mkdir(parents=True)
        with pytest.raises(ServerError, match="Is a directory"):
            home.read()

    @pytest.mark.parametrize("place", ["file/home", "file"])
    def test_a_home_that_cannot_be(self, tmp_path, place):
        (tmp_path / "file").touch()
        home = Home(tmp_path / place)
        for use in (
            lambda: home.owned("x").__enter__(),
            lambda: home.write(self.content),
            lambda: home.folder("server"),
        ):
            with pytest.raises(ServerError, match=r"the home directory .*GRISTMILL_HOME"):
                use()
        assert home.last_batch is None

    def test_last_batch(self, home):
        home.last_batch = "fibonacci-1"
        assert Home(home.path).last_batch == "fibonacci-1"

    @pytest.mark.parametrize("garbage", [b"", b"\n\n", b"\xff\xff", b"../x", b"a b", b"x" * 1000])
    def test_last_batch_tolerates_garbage(self, home, garbage):
        home.path.mkdir()
        (home.path / "last_batch").write_bytes(garbage)
        assert home.last_batch is None

    def test_a_lock_is_waited_for_only_so_long(self, tmp_path):
        held, wanted = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
        assert held.acquire()
        assert not wanted.acquire(seconds=0.2)
        assert wanted.is_held()
        held.release()
        assert not wanted.is_held()
        with pytest.raises(ValueError, match="not held"):
            wanted.fileno()


class TestConnection:
    def test_the_password_is_not_shown(self):
        url = "rediss://user:p%40ss@[::1]:6380/2?ssl_keyfile=k"
        assert without_password(url) == "rediss://[::1]:6380/2"

    def test_the_setting_comes_first(self, home, monkeypatch):
        monkeypatch.setenv("GRISTMILL_REDIS_URL", "redis://elsewhere:6379/1")
        settings.cache_clear()
        assert locate() == "redis://elsewhere:6379/1"

    @pytest.mark.parametrize("query", ["", "?ssl_cert_reqs=CERT_REQUIRED", "?ssl_cert_reqs=required"])
    def test_certificates_are_checked(self, home, query):
        pool = connect(f"rediss://h:6380{query}").connection_pool
        made = pool.connection_class(**pool.connection_kwargs)
        assert (made.cert_reqs.name, made.check_hostname) == ("CERT_REQUIRED", True)

    @pytest.mark.parametrize(
        "url",
        ["redis://:sec/ret@h:1", "redis://:secret@h?no=1", "rediss://:secret@h?ssl_cert_reqs=x", "http://secret"],
    )
    def test_a_malformed_address(self, home, url):
        with pytest.raises(SettingError, match="GRISTMILL_REDIS_URL") as raised:
            connect(url)
        assert "sec" not in str(raised.value)

    @pytest.mark.parametrize(
        ("error", "wanted"),
        [
            (exceptions.AuthenticationError("invalid username-password pair"), "{at} refuses the login"),
            (exceptions.NoPermissionError("no way"), "{at} does not let this user do that: no way"),
            (exceptions.BusyLoadingError("Valkey is loading"), "{at} is still reading its data"),
            (exceptions.OutOfMemoryError("command not allowed"), "{at} is full"),
            (exceptions.ResponseError("ERR OOM command not allowed when"), "{at} is full"),
            (exceptions.ResponseError("MISCONF Errors writing to the AOF file"), "{at} cannot write to its disk"),
            (exceptions.ResponseError("NOREPLICAS Not enough good replicas"), "{at} has fewer replicas than its min-"),
            (exceptions.ReadOnlyError("You can't write"), "{at} is a read-only replica"),
            (exceptions.MovedError("1 127.0.0.1:7001"), "{at} is a Redis Cluster"),
            (exceptions.TimeoutError("Timeout reading from socket"), "{at} does not answer in time"),
            (exceptions.ConnectionError("max number of clients reached"), "{at} takes no more connections"),
            (exceptions.InvalidResponse("Protocol error"), "{at} is not a Redis server"),
            (dialling("1 connecting to h:1. [SSL: VERIFY] x."), "{at} cannot be reached safely: [SSL: VERIFY] x"),
            (dialling("111 connecting to h:1. Connection refused."), "no server answers at {at} (start one with "),
            (dialling("-2 connecting to h:1. No such name."), "no server answers at {at}: No such name (start "),
            (exceptions.ResponseError("WRONGTYPE a\nb"), "{at} refused a command: WRONGTYPE a b"),
        ],
    )
    def test_one_line_for_each_error(self, home, error, wanted):
        with pytest.raises(ServerError) as raised, reaching("redis://:secret@h:1"):
            raise error
        assert str(raised.value).startswith(wanted.format(at="redis://h:1"))
        assert "\n" not in str(raised.value)
        assert raised.value.__context__ is error
        assert raised.value.__suppress_context__

    def test_the_hint_is_for_the_server_in_use(self, home, monkeypatch):
        monkeypatch.setenv("GRISTMILL_REDIS_URL", "redis://h:1")
        settings.cache_clear()
        told = r"at redis://h:1 \(check GRISTMILL_REDIS_URL"
        with pytest.raises(ServerError, match=told), reaching():
            raise dialling("111 connecting to h:1. Connection refused.")

    def test_other_errors_pass(self, home):
        with pytest.raises(KeyError), reaching():
            raise KeyError

    def test_one_client_for_each_setting(self, home, monkeypatch):
        monkeypatch.setenv("GRISTMILL_REDIS_URL", "redis://h:1")
        settings.cache_clear()
        first = connection.client()
        assert connection.client() is first
        monkeypatch.setenv("GRISTMILL_REDIS_URL", "redis://h:2")
        settings.cache_clear()
        assert connection.client() is not first


@pytest.mark.parametrize("url", ["redis-sentinel://h:1", "redis-sentinel://h:x?name=m", "redis-sentinel://,?name=m"])
def test_a_malformed_address_is_refused_without_being_quoted(url):
    with pytest.raises(SettingError) as error:
        connect(url.replace("//", "//:s3cret@"))
    assert "name=PRIMARY" in str(error.value)
    assert "s3cret" not in str(error.value)
