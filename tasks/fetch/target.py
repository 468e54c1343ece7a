"""One URL that `fetch` may ask for, taken apart."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import urljoin

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from gristmill.tasks.fetch.addresses import ALLOWED, Networks, literal, refusal

_PORTS = {"http": 80, "https": 443}
#: Characters of the longest URL.
_LONGEST = 8192
#: Characters of a URL that an error shows.
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL, normalised. Its text is made of the same parts: no second parser can disagree."""

    scheme: str
    #: As it is looked up: without brackets, perhaps with a dot at its end.
    host: str
    port: int
    #: Path and query, percent-encoded.
    path: str

    @classmethod
    def parse(cls, url: str, allowed: Networks) -> Self:
        """Take `url` apart. Where the name of a host leads is found out when it is looked up, not here.

        Raises:
            ValueError: it is no http or https URL, carries a name and password, or spells an address that is
                neither public nor in one of `allowed`.
        """
        if len(url) > _LONGEST:
            raise ValueError(f"url: {len(url):,} characters are not allowed: at most {_LONGEST:,} are")
        parts = _parts(url)
        if parts.scheme not in _PORTS or not parts.host or parts.port == 0:
            raise ValueError(f"url: {_shown(url)} is not allowed: a URL like http://host/path or https://host/path is")
        if parts.auth is not None:
            raise ValueError(
                f"url: {_shown(url)} is not allowed: a URL without name and password is "
                "(they would be stored with the item and its result)"
            )
        host = parts.host.strip("[]")
        address = literal(host)
        if address is not None and (reason := refusal(address, allowed)):
            raise ValueError(f"url: {_shown(url)} is not allowed: {reason}; {ALLOWED}")
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
        return cls(parts.scheme, host, port, parts.request_uri)

    def redirected(self, location: str, allowed: Networks) -> Self:
        """The target that a `Location` header sends to from here, relative or absolute.

        Raises:
            ValueError: it is not allowed, or leads from https to http.
        """
        # Headers are read as Latin-1; what servers send unencoded is UTF-8.
        text = location.encode("latin-1", "replace").decode("utf-8", "replace")
        found = self.parse(_joined(self.url, text), allowed)
        if self.scheme == "https" and found.scheme == "http":
            raise ValueError(f"url: {found.url} is not allowed: from https, only https is")
        return found

    @property
    def name(self) -> str:
        """The host as certificates and servers call it."""
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


def _joined(base: str, location: str) -> str:
    try:
        return urljoin(base, location)
    except ValueError as error:
        raise ValueError(f"url: {_shown(location)} is not allowed: {error}") from None


def _parts(url: str) -> Url:
    try:
        parts = parse_url(url)
        # What the look-up would refuse: an empty label, or one of over 63 characters.
        (parts.host or "").strip("[]").encode("idna")
    except (LocationParseError, UnicodeError):
        raise ValueError(
            f"url: {_shown(url)} is not allowed: its host or port is not valid "
            "(a host outside ASCII is written in Punycode: xn--…)"
        ) from None
    return parts


def _shown(url: str) -> str:
    """The URL as an error may show it: without name and password, and not for ever."""
    text = re.sub(r"^([^/?#]*//)?[^/?#\\]*@", r"\1…@", url)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
