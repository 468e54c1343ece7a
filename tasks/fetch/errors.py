"""Why a fetch failed.

FetchError
├── FetchRefusedError          leads where fetch may not go
├── FetchRedirectError         redirected too often
├── FetchSizeError             the body is longer than `GRISTMILL_FETCH_BYTES`
├── FetchNameError             no such host
├── FetchCertificateError      the server could not prove that it is the host
└── FetchPassingError          may succeed later: `fetch` tries again first
    ├── FetchConnectionError   no connection, or one that broke
    ├── FetchTimeoutError      no answer in time, or a slow one
    └── FetchStatusError       answered 429 or 5xx
"""


class FetchError(Exception):
    """The root: its text names the URL and what went wrong."""


class FetchRefusedError(FetchError):
    """Raised when a URL, or a redirect, leads to an address or scheme that `fetch` may not use."""


class FetchRedirectError(FetchError):
    """Raised when the redirects do not end."""


class FetchSizeError(FetchError):
    """Raised when a body is longer than allowed."""


class FetchNameError(FetchError):
    """Raised when the name of the host does not exist."""


class FetchCertificateError(FetchError):
    """Raised when the server's certificate is not valid for the host."""


class FetchPassingError(FetchError):
    """Raised when the same request may succeed later."""

    #: The status that the server answered, if it did.
    status: int | None = None
    #: Seconds that the server asks to wait before the next request, if it said so.
    retry_after: float | None = None


class FetchConnectionError(FetchPassingError):
    """Raised when there is no connection, or the connection broke."""


class FetchTimeoutError(FetchPassingError):
    """Raised when connecting or the answer takes too long."""


class FetchStatusError(FetchPassingError):
    """Raised when the server answers 429 (too many requests) or 5xx (its own fault)."""
