"""One URL that `fetch` may request, or a notice goes to, in its parts."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin

from gristmill.tasks.fetch.addresses import Networks, expected_host, literal, refusal

if TYPE_CHECKING:
    from urllib3.util import Url

_PORTS = {"http": 80, "https": 443}
#: Characters of the longest URL.
_LONGEST = 8192
#: What browsers drop around a URL: blanks and control characters.
_BLANKS = "".join(map(chr, range(0x21)))
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
#: Characters of a URL that an error shows.
_EXCERPT_CHARACTERS = 200


class InvalidUrl(ValueError):
    """Raised when text is no URL that may be requested; `expected` says what is, without the URL itself."""

    def __init__(self, excerpt: str, expected: str) -> None:
        super().__init__(f"invalid value for url: {excerpt} (expected {expected})")
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL, normalised. Its text is made of these parts: no second parser can disagree."""

    scheme: str
    #: The name to look up: without brackets, perhaps with a dot at its end.
    host: str
    port: int
    #: Path and query, percent-encoded.
    path: str
    #: Whether errors show no more of the URL than scheme and host: the rest may hold a secret.
    is_secret: bool = False

    @classmethod
    def parse(cls, url: str, allowed: Networks, setting: str = "fetch_networks") -> Self:
        """The parts of `url`. The addresses of its host are checked later, when the name is looked up.

        `allowed` is that `setting`.

        Raises:
            InvalidUrl: it is no http or https URL, has a name and password, or its host is an address that is neither
                public nor in one of `allowed`.
        """
        url = _trimmed(url)
        if len(url) > _LONGEST:
            raise InvalidUrl(f"{len(url):,} characters", f"{_LONGEST:,} at most")
        parts = _parts(url)
        if parts.scheme not in _PORTS or not parts.host or parts.port == 0:
            raise _error(url, "http://host/path or https://host/path")
        if parts.auth is not None:
            raise _error(url, "a URL without name and password, which would be stored with the item and its result")
        host = parts.host.strip("[]")
        address = literal(host)
        if address is not None and (reason := refusal(address, allowed)):
            raise _error(url, f"{expected_host(setting)}; {reason}")
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
        return cls(parts.scheme, host, port, parts.request_uri.replace(_stand_in(url), "%"))

    def redirected(self, location: str, allowed: Networks) -> Self:
        """The target of a `Location` header that this target answered with, relative or absolute.

        Raises:
            InvalidUrl: the target is not valid, or leads from https to http.
        """
        # Headers are read as Latin-1: each character is the byte that the server sent.
        text = "".join(c if c.isascii() else f"%{ord(c):02X}" for c in location)
        text = _trimmed(text)
        try:
            url = urljoin(self.url, text)
        except ValueError as error:
            raise _error(text, f"a URL; {error}") from None
        target = self.parse(url, allowed)
        if self.scheme == "https" and target.scheme == "http":
            raise InvalidUrl(repr(target.url), "an https URL, after one of https")
        return target

    @property
    def name(self) -> str:
        """The host's name for certificates and servers."""
        return self.host.rstrip(".")

    @property
    def authority(self) -> str:
        """Host and port for the `Host` header: brackets around IPv6, no port that the scheme implies."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"

    @property
    def url(self) -> str:
        """The whole URL, without fragment."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def public_url(self) -> str:
        """The URL as an error may show it."""
        return f"{self.scheme}://{self.authority}" if self.is_secret else self.url


def _trimmed(url: str) -> str:
    """The URL as browsers read it: without blanks around it, and without tabs and line ends in it."""
    return re.sub(r"[\t\n\r]", "", url.strip(_BLANKS))


def _stand_in(url: str) -> str:
    """Text that is not in the URL. It stands for a percent sign that begins no escape while the URL is parsed:
    urllib3 would escape all escapes of such a URL once more."""
    mark = "percent"
    while mark in url.lower():
        mark += "x"
    return mark


def _parts(url: str) -> "Url":
    # Imported here, because most processes request no URL; whole, because two threads that begin with different parts
    # of a package deadlock.
    import urllib3

    try:
        mark = _stand_in(url)
        parts = urllib3.util.parse_url(_STRAY_PERCENT.sub(mark, url))
        if mark in f"{parts.scheme}{parts.auth}{parts.host}".lower():
            raise _error(url, "a host without a percent sign")
        # A look-up refuses an empty label, and one of over 63 characters.
        (parts.host or "").strip("[]").encode("idna")
    except (urllib3.exceptions.LocationParseError, UnicodeError):
        raise _error(url, "a valid host and port; a host outside ASCII is written in Punycode, as xn--…") from None
    return parts


def _error(url: str, expected: str) -> InvalidUrl:
    return InvalidUrl(_excerpt(url), expected)


def _excerpt(url: str) -> str:
    """The URL as an error may show it: without name and password, at most 200 characters of it."""
    text = re.sub(r"^([^/?#]*//)?[^/?#\\]*@", r"\1…@", url)
    return repr(text if len(text) <= _EXCERPT_CHARACTERS else f"{text[:_EXCERPT_CHARACTERS]}…")
