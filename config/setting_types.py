"""The types of settings: what each takes, as it is checked, and in the words of tables and errors."""

import base64
import binascii
import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from gristmill.config.quantities import parse_duration, parse_size


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def pattern(value: str) -> str:
    """The value, which is a regular expression; a ValueError where it is none."""
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(str(error)) from None
    return value


def takes(expectation: str) -> Any:
    """What a setting takes, in words: tables and errors say it."""
    return Field(json_schema_extra={"expectation": expectation})


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(json_schema_extra={"quantity": "a duration such as 90s or 12h", "unit": "seconds"}),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(json_schema_extra={"quantity": "a size such as 512M or 4G", "unit": "bytes"}),
]
Words = Annotated[tuple[str, ...], BeforeValidator(_split), takes("names, with commas between them")]
Networks = Annotated[
    tuple[IPv4Network | IPv6Network, ...],
    BeforeValidator(_split),
    takes("networks such as 127.0.0.0/8, with commas between them"),
]


def _logins(value: Any) -> Any:
    """The password of each name; None of a name that another service checks.

    Raises:
        ValueError: a name or a password is missing, too short, or there twice.
    """
    if not isinstance(value, str):
        return value
    logins: dict[str, str | None] = {}
    for login in filter(None, map(str.strip, re.split(r"[,\n]", value))):
        name, colon, password = login.partition(":")
        if not name or name in logins or not login.isascii() or (colon and len(password) < PASSWORD_LEAST):
            raise ValueError("no login")
        logins[name] = password if colon else None
    return logins


#: Characters of a password, at least.
PASSWORD_LEAST = 8
Logins = Annotated[
    dict[str, str | None],
    BeforeValidator(_logins),
    takes("`NAME:PASSWORD`, ASCII, at least 8 characters each, with commas or line ends between them"),
]
Directory = Annotated[Path, takes("a directory")]
Password = Annotated[str, Field(min_length=PASSWORD_LEAST), takes("text of at least 8 characters")]


def _signing_secret(value: str) -> str:
    signing_key(value)
    return value


def signing_key(secret: str) -> bytes:
    """The bytes of a secret of the form that Standard Webhooks has: `whsec_`, and base64.

    Raises:
        ValueError: it has another form, or another size.
    """
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError("no signing secret")
    return key


SigningSecret = Annotated[str, AfterValidator(_signing_secret), takes("`whsec_` and 24 to 64 random bytes in base64")]
