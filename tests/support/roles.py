"""A server with the users of config/redis.acl, and an address of it for each."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from redis import Redis

from gristmill.config.settings import load
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer
from tests.support.examples import PROJECT

ROLES = ("producer", "worker", "dashboard", "viewer", "admin")
#: Those who may have programs run, below a prefix of their own.
PROGRAM_ROLES = ("program_producer", "program_worker")
PROGRAMS = "programs:"


def lines() -> dict[str, str]:
    """The rules of each user, without the password."""
    rules_of = {}
    for line in (PROJECT / "config" / "redis.acl").read_text().splitlines():
        if line.startswith("user ") and "#{" in line:
            _, name, rules = line.split(" ", 2)
            rules_of[name] = rules.replace(f"#{{redis_{name}}} ", "")
    return rules_of


def words(rules: str) -> list[str]:
    """The rules one by one; a selector, in parentheses, is one."""
    return re.findall(r"\([^)]*\)|\S+", rules)


class Roles:
    """The server: `admin` is a client that may do everything; the users are those that `bin/secrets` writes."""

    def __init__(self, server: PrivateServer, path: Path, prefix: str = "") -> None:
        self.server, self.prefix = server, prefix
        self.admin = Redis.from_url(server.url, decode_responses=True)
        command = ["sh", PROJECT / "bin" / "secrets", path]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "GRISTMILL_PREFIX": prefix})
        self.passwords = {role: (path / f"redis_{role}").read_text() for role in (*ROLES, *PROGRAM_ROLES)}
        for line in (path / "redis.acl").read_text().splitlines():
            _, role, rules = line.split(" ", 2)
            if role in (*ROLES, *PROGRAM_ROLES):
                self.admin.execute_command("ACL", "SETUSER", role, "reset", *words(rules))

    def url(self, role: str) -> str:
        """The address with the user and the password of a role."""
        return f"redis://{role}:{self.passwords[role]}@127.0.0.1:{urlsplit(self.server.url).port}/0"

    def settings(self, role: str) -> dict[str, str]:
        """The environment of a process that works in a role."""
        prefix = self.prefix + (PROGRAMS if role in PROGRAM_ROLES else "")
        return {"GRISTMILL_REDIS_URL": self.url(role), "GRISTMILL_PREFIX": prefix}

    def client(self, role: str) -> Redis:
        """A client of that user."""
        return Redis.from_url(self.url(role), decode_responses=True)

    def denied(self) -> list[str]:
        """What the server has refused so far: user, reason and object."""
        log = self.admin.execute_command("ACL", "LOG", 128)
        return sorted({f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in log})


@contextmanager
def roles(path: Path, prefix: str = "") -> Iterator[Roles]:
    """A server with roles while the context lasts; `prefix` is that of its keys."""
    with PrivateServer(Home(path / "home"), load({})) as server:
        running = Roles(server, path / "secrets", prefix)
        with running.admin:
            yield running
