"""Where a batch tells that it has ended: the URL of its `notify`."""

from gristmill.batches.info import origin
from gristmill.config.settings import settings
from gristmill.errors import InputError, invalid_value


def checked_notify(url: object) -> str:
    """The URL that a batch notifies, in its normal form. The addresses of its host are checked when a notice is sent.

    Raises:
        InputError: it is no http or https URL, has a name and password, or its host is an address that is neither
            public nor in GRISTMILL_NOTIFY_NETWORKS. The text has no more of it than scheme and host.
    """
    # The room of tasks loads Celery, which most commands do without.
    from gristmill.tasks.fetch.target import InvalidUrl, Target

    if not isinstance(url, str):
        raise InputError(invalid_value("notify", url, "a URL such as https://hooks.example/nightly", hidden=True))
    try:
        return Target.parse(url, settings().notify_networks, "notify_networks").url
    except InvalidUrl as error:
        raise InputError(f"invalid value for notify: {_excerpt(url)} (expected {error.expected})") from None


def _excerpt(url: str) -> str:
    """What an error shows of a URL that may hold a secret."""
    try:
        return repr(origin(url)[:80]) if "://" in url else "(hidden)"
    except ValueError:
        return "(hidden)"
