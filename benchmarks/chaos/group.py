"""One primary, two replicas and three Sentinels on loopback, all from the private server's program, and faults."""

import secrets
import signal
import socket
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError

from benchmarks.chaos.encryption import Encryption
from benchmarks.chaos.node import Node, library
from benchmarks.polling import until
from gristmill.server.private import program
from gristmill.server.waiting import ONCE, Patience

NAME = "mill"
SERVERS, SENTINELS, QUORUM = 3, 3, 2
#: Milliseconds after which a Sentinel takes a silent server for dead.
DOWN_AFTER_MS = 1000
READY_SECONDS = 20.0


class ServerGroup:
    """The servers and their Sentinels while the context lasts. Times are in seconds.

    `fsync` is the servers' appendfsync; the clock of a server is ahead by its number in `clocks`. A server has a user
    for clients, one for replicas and one for Sentinels, so that `cut` can keep the latter two out: its clients reach
    it, and nobody else does. With `encryption` all of them speak TLS only; `binary` is the program of the servers
    (default: the private server's, which has no TLS).
    """

    def __init__(
        self,
        directory: Path,
        *,
        fsync: str = "always",
        clocks: tuple[int, ...] = (0,) * SERVERS,
        binary: Path | None = None,
        encryption: Encryption | None = None,
    ) -> None:
        self.directory = directory
        self.password, self.sentinel_password = secrets.token_hex(8), secrets.token_hex(8)
        self.ports = [_free_port() for _ in range(SERVERS)]
        self.sentinel_ports = [_free_port() for _ in range(SENTINELS)]
        self._binary, self._encryption = str(binary or program()), encryption
        self.servers = [self._server(port, fsync, clock) for port, clock in zip(self.ports, clocks, strict=True)]
        self.sentinels = [self._sentinel(port) for port in self.sentinel_ports]

    def _server(self, port: int, fsync: str, clock: int) -> Node:
        directory = self.directory / f"server-{port}"
        lines = [
            *self._listen(port),
            f"dir {directory}",
            f"logfile {directory}/log",
            "appendonly yes",
            f"appendfsync {fsync}",
            'save ""',
            "repl-diskless-sync-delay 0",
            "repl-ping-replica-period 1",
            "repl-timeout 5",
            "min-replicas-to-write 0",
            f"user default on >{self.password} ~* &* +@all",
            f"user replica on >{self.password} +psync +replconf +ping",
            f"user sentinel on >{self.password} &* +@all",
            "masteruser replica",
            f"masterauth {self.password}",
        ]
        if port != self.ports[0]:
            lines.append(f"replicaof 127.0.0.1 {self.ports[0]}")
        directory.mkdir(parents=True, exist_ok=True)
        libraries = [library(self.directory, name) for name in ("reply", *(["clock"] if clock else []))]
        environ = {"LD_PRELOAD": " ".join(map(str, libraries)), "CLOCK_OFFSET": str(clock)}
        return Node(directory, port, lines, [self._binary], environ)

    def _sentinel(self, port: int) -> Node:
        directory = self.directory / f"sentinel-{port}"
        directory.mkdir(parents=True, exist_ok=True)
        lines = [
            *self._listen(port),
            f"dir {directory}",
            f"logfile {directory}/log",
            f"requirepass {self.sentinel_password}",
            f"sentinel sentinel-pass {self.sentinel_password}",
            f"sentinel monitor {NAME} 127.0.0.1 {self.ports[0]} {QUORUM}",
            f"sentinel auth-user {NAME} sentinel",
            f"sentinel auth-pass {NAME} {self.password}",
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {NAME} 3000",
            f"sentinel parallel-syncs {NAME} 2",
        ]
        return Node(directory, port, lines, [self._binary, "--sentinel"])

    def _listen(self, port: int) -> list[str]:
        return ["bind 127.0.0.1", *(self._encryption.lines(port) if self._encryption else [f"port {port}"])]

    @property
    def url(self) -> str:
        """The address for GRISTMILL_REDIS_URL."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinel_ports)
        scheme, tls = "redis-sentinel", ""
        if self._encryption:
            scheme, tls = "rediss-sentinel", f"&ssl_ca_certs={self._encryption.authority}"
        query = f"name={NAME}&sentinel_password={self.sentinel_password}{tls}"
        return f"{scheme}://:{self.password}@{hosts}/0?{query}"

    def __enter__(self) -> Self:
        try:
            for node in [*self.servers, *self.sentinels]:
                node.start()
            for port in self.sentinel_ports:
                until(lambda port=port: self._hurry(port), READY_SECONDS, "a Sentinel")  # type: ignore[misc]
            self.wait_until_whole()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End every process."""
        for node in [*self.sentinels, *self.servers]:
            node.send(signal.SIGCONT)
            node.kill()

    # -- asking

    def ask(self, port: int, *command: str) -> Any:
        """The answer of the server at `port`.

        Raises:
            RedisError: it does not answer.
        """
        with self._client(port, self.password) as client:
            return client.execute_command(*command)

    def _client(self, port: int, password: str) -> Redis:
        options: dict[str, Any] = {"socket_timeout": 1, "socket_connect_timeout": 1, "retry": Patience(ONCE)}
        if self._encryption:
            options |= {"ssl": True, "ssl_ca_certs": str(self._encryption.authority)}
        return Redis(host="127.0.0.1", port=port, password=password, decode_responses=True, **options)

    def _hurry(self, port: int) -> bool:
        """Have a Sentinel look every 0.3 s at what it looks at every 10 s, and tell what it tells every 2 s."""
        with suppress(RedisError), self._client(port, self.sentinel_password) as client:
            periods = ("INFO-PERIOD", 300, "PUBLISH-PERIOD", 300, "PING-PERIOD", 200, "ASK-PERIOD", 200)
            return bool(client.execute_command("SENTINEL", "DEBUG", *periods))
        return False

    def _sentinel_says(self, port: int, *command: str) -> dict[str, Any]:
        with self._client(port, self.sentinel_password) as client:
            answer: Any = client.execute_command("SENTINEL", *command)
            if isinstance(answer, list):
                answer = dict(zip(answer[::2], answer[1::2], strict=True))
            return dict(answer)

    def primary(self) -> Node:
        """The server that most Sentinels name.

        Raises:
            TimeoutError: they name none, or several.
        """
        return until(self._agreed_primary, READY_SECONDS, "one primary")

    def _agreed_primary(self) -> Node | None:
        ports = []
        for port in self.sentinel_ports:
            with suppress(RedisError), self._client(port, self.sentinel_password) as client:
                ports.append(int(client.sentinel_get_master_addr_by_name(NAME)[1]))
        best = max(set(ports), key=ports.count, default=0)
        return self.node(best) if ports.count(best) >= QUORUM else None

    def node(self, port: int) -> Node:
        """The server at `port`."""
        return self.servers[self.ports.index(port)]

    def wait_until_whole(self) -> None:
        """Wait until the primary has its replicas, and each Sentinel knows them and the other Sentinels.

        Raises:
            TimeoutError: that does not come about.
        """
        until(self._whole, READY_SECONDS, "a primary with two replicas and three Sentinels")

    def _whole(self) -> bool:
        with suppress(RedisError, TimeoutError):
            primary = self._agreed_primary()
            if primary is None:
                return False
            role = self.ask(primary.port, "ROLE")
            links = [self.ask(port, "ROLE") for port in self.ports if port != primary.port]
            states = [self._sentinel_says(port, "MASTER", NAME) for port in self.sentinel_ports]
            return (
                role[0] == "master"
                and len(role[2]) == SERVERS - 1
                and all(link[0] == "slave" and link[3] == "connected" for link in links)
                and all(int(state["num-slaves"]) == SERVERS - 1 for state in states)
                and all(int(state["num-other-sentinels"]) == SENTINELS - 1 for state in states)
                and all(state["flags"] == "master" and int(state["port"]) == primary.port for state in states)
            )
        return False

    # -- faults

    def kill(self) -> Node:
        """Kill the primary; `revive` brings it back."""
        node = self.primary()
        node.kill()
        return node

    def die_in_a_reply(self) -> Node:
        """Have the primary die with half of its next reply to a client sent.

        Raises:
            TimeoutError: it does not.
        """
        node = self.primary()
        node.send(signal.SIGWINCH)
        until(lambda: not node.alive, READY_SECONDS, "the end of a primary")
        return node

    def freeze(self) -> Node:
        """Stop the primary with SIGSTOP; `thaw` lets it go on."""
        node = self.primary()
        node.send(signal.SIGSTOP)
        return node

    def cut(self) -> Node:
        """Keep replicas and Sentinels away from the primary, while clients reach it; `heal` lets them in again."""
        node = self.primary()
        with self._client(node.port, self.password) as client:
            for user in ("replica", "sentinel"):
                client.execute_command("ACL", "SETUSER", user, "off")
                client.execute_command("CLIENT", "KILL", "USER", user)
        return node

    def heal(self, node: Node) -> None:
        """End a cut."""
        with self._client(node.port, self.password) as client:
            for user in ("replica", "sentinel"):
                client.execute_command("ACL", "SETUSER", user, "on")
            # A Sentinel that could not log in keeps its connection, and never tries again.
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def wait_for_another(self, node: Node) -> Node:
        """Wait until a server other than `node` is the primary.

        Raises:
            TimeoutError: none is.
        """

        def another() -> Node | None:
            primary = self._agreed_primary()
            with suppress(RedisError):
                if primary and primary is not node and self.ask(primary.port, "ROLE")[0] == "master":
                    return primary
            return None

        return until(another, READY_SECONDS, "another primary")


def _free_port() -> int:
    for _ in range(100):
        port = 16384 + secrets.randbelow(16384)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port")
