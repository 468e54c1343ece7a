"""Where a batch tells that it has ended: the URL of its `notify`."""

from ipaddress import ip_address

from gristmill.batches.info import origin
from gristmill.config.settings import settings
from gristmill.errors import InputError, invalid_value

_LOOPBACK = ip_address("127.0.0.1"), ip_address("::1")


def checked_notify(url: object) -> str:
    """The URL that a batch notifies, in its normal form.

    Workers look up its host when they send a notice. `localhost` is loopback on every host (RFC 6761), so it is checked
    here.

    Raises:
        InputError: it is no http or https URL, has a name and password, or its host is an address, or `localhost`, that
            is neither public nor in GRISTMILL_NOTIFY_NETWORKS. The text has no more of it than scheme and host.
    """
    # Loaded here, because most commands do without.
    from gristmill.tasks.fetch.addresses import expected_host, refusal
    from gristmill.tasks.fetch.target import InvalidUrl, Target

    allowed, setting = settings().notify_networks, "notify_networks"
    if not isinstance(url, str):
        raise InputError(invalid_value("notify", url, "a URL such as https://hooks.example/nightly", hidden=True))
    try:
        target = Target.parse(url, allowed, setting)
    except InvalidUrl as error:
        raise InputError(f"invalid value for notify: {_excerpt(url)} (expected {error.expected})") from None
    if target.name.rpartition(".")[2] == "localhost" and all(refusal(each, allowed) for each in _LOOPBACK):
        raise InputError(f"invalid value for notify: {_excerpt(url)} (expected {expected_host(setting)})")
    return target.url


def _excerpt(url: str) -> str:
    """What an error shows of a URL that may hold a secret."""
    try:
        return repr(origin(url)[:80]) if "://" in url else "(hidden)"
    except ValueError:
        return "(hidden)"
