"""A server with the users of config/redis.acl, and an address of it for each."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from redis import Redis

from gristmill.config.settings import load
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer
from tests.support.examples import PROJECT

ROLES = ("producer", "worker", "dashboard", "viewer")


def lines() -> dict[str, str]:
    """The rules of each user, without the password."""
    roles = {}
    for line in (PROJECT / "config" / "redis.acl").read_text().splitlines():
        if line.startswith("user ") and "#{" in line:
            _, name, rules = line.split(" ", 2)
            roles[name] = rules.replace(f"#{{redis_{name}}} ", "")
    return roles


def words(rules: str) -> list[str]:
    """The rules one by one; a selector, in parentheses, is one."""
    return re.findall(r"\([^)]*\)|\S+", rules)


class Roles:
    """The server: `admin` is a client that may do everything."""

    def __init__(self, server: PrivateServer) -> None:
        self.server = server
        self.admin = Redis.from_url(server.url, decode_responses=True)
        self.passwords = {role: secrets.token_hex(8) for role in ROLES}
        for role, rules in lines().items():
            self.admin.execute_command("ACL", "SETUSER", role, "reset", f">{self.passwords[role]}", *words(rules))

    def url(self, role: str) -> str:
        """The address with the user and the password of a role."""
        return f"redis://{role}:{self.passwords[role]}@127.0.0.1:{urlsplit(self.server.url).port}/0"

    def client(self, role: str) -> Redis:
        """A client of that user."""
        return Redis.from_url(self.url(role), decode_responses=True)

    def denied(self) -> list[str]:
        """What the server has refused so far: user, reason and object."""
        log = self.admin.execute_command("ACL", "LOG", 128)
        return sorted({f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in log})


@contextmanager
def roles(path: Path) -> Iterator[Roles]:
    """A server with roles while the context lasts."""
    with PrivateServer(Home(path), load({})) as server:
        running = Roles(server)
        with running.admin:
            yield running
