"""Where a batch tells that it has ended: the URL of its `notify`."""

from contextlib import suppress

from gristmill.batches.info import origin
from gristmill.config.settings import settings
from gristmill.errors import InputError, invalid_value


def checked_notify(url: object) -> str:
    """The URL that a batch notifies, in its normal form.

    Workers look up its host when they send a notice. Those of a private server are on this host, so it is looked up
    here too; a name without an address may have one later. `localhost` is loopback on every host (RFC 6761).

    Raises:
        InputError: it is no http or https URL, has a name and password, or its host is, or has, an address that is
            neither public nor in GRISTMILL_NOTIFY_NETWORKS. The text has no more of it than scheme and host.
    """
    # The room of tasks loads Celery, which most commands do without.
    from gristmill.tasks.fetch.addresses import resolve
    from gristmill.tasks.fetch.errors import FetchConnectionError, FetchNameError, FetchRefusedError
    from gristmill.tasks.fetch.target import InvalidUrl, Target

    networks = settings().notify_networks, "notify_networks"

    if not isinstance(url, str):
        raise InputError(invalid_value("notify", url, "a URL such as https://hooks.example/nightly", hidden=True))
    try:
        target = Target.parse(url, *networks)
        is_loopback = target.name.rpartition(".")[2] == "localhost"
        if is_loopback or not settings().redis_url:
            with suppress(FetchNameError, FetchConnectionError):
                resolve("127.0.0.1" if is_loopback else target.host, target.port, *networks)
    except InvalidUrl as error:
        raise InputError(f"invalid value for notify: {_excerpt(url)} (expected {error.expected})") from None
    except FetchRefusedError as error:
        raise InputError(f"invalid value for notify: {_excerpt(url)}: {error}") from None
    return target.url


def _excerpt(url: str) -> str:
    """What an error shows of a URL that may hold a secret."""
    try:
        return repr(origin(url)[:80]) if "://" in url else "(hidden)"
    except ValueError:
        return "(hidden)"
