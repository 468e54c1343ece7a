"""What a server says of itself: all of INFO, or where the user may not call INFO, as much as every client may know."""

from typing import Any, cast

from redis import Redis
from redis.exceptions import NoPermissionError

from gristmill.server.replies import by_name


def server_facts(client: Redis) -> dict[str, Any]:
    """The fields of INFO; without a right to it only the server's name, version, role and whether it is a cluster.

    Raises:
        RedisError: the server cannot be reached, or refuses.
    """
    try:
        return client.info()
    except NoPermissionError:
        answer = cast(Any, client).execute_command("HELLO")
        hello = answer if isinstance(answer, dict) else by_name(answer)
        name, version = hello["server"], hello["version"]
        role = {"replica": "slave"}.get(hello["role"], hello["role"])
        return {
            "server_name": name,
            "redis_version": version,
            f"{name}_version": version,
            "role": role,
            "cluster_enabled": hello["mode"] == "cluster",
        }
