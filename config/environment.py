"""Where settings come from: the environment, `.env` files, and files that hold a secret (`…_FILE`)."""

import os
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path

from dotenv import dotenv_values

from gristmill.errors import SettingError

PREFIX = "GRISTMILL_"
PROJECT = Path(__file__).parents[2]

#: What docker-compose.yml reads and no process of ours: they may stand in the project's `.env` beside settings.
COMPOSE = frozenset(
    PREFIX + name
    for name in (
        "SECRETS", "IMAGE", "USER", "CPUS", "DATA", "TASKS", "REDIS_MEMORY", "COMPOSE_PORT", "DASHBOARD_USER",
        "STOP_GRACE_PERIOD",
    )
)  # fmt: skip

#: What Kubernetes injects for a service that is called gristmill.
_INJECTED = re.compile(r"_SERVICE_|_PORT(_|$)")


def _variables(environ: Mapping[str, str], default_home: Path) -> dict[str, str]:
    """The `GRISTMILL_*` variables: the environment wins over the home's `.env`, and that over the project's."""
    project = _dotenv(PROJECT)
    home = environ.get(f"{PREFIX}HOME") or project.get(f"{PREFIX}HOME") or str(default_home)
    merged = {**project, **_dotenv(Path(home).expanduser()), **environ}
    # An empty one is not set: so the environment can take back what a file says.
    return {name: value for name, value in merged.items() if name.startswith(PREFIX) and value}


def _dotenv(directory: Path) -> dict[str, str]:
    return {name: value for name, value in dotenv_values(directory / ".env").items() if value is not None}


def read(fields: Collection[str], default_home: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The text of each field that is set, by field name.

    Raises:
        SettingError: when a `…_FILE` cannot be read, or stands beside the variable itself.
    """
    values: dict[str, str] = {}
    for name, text in _variables(os.environ if environ is None else environ, default_home).items():
        field = name.removeprefix(PREFIX).lower()
        source = field.removesuffix("_file")
        if field in fields:
            value = text
        elif source in fields and source != field:
            value, field = _secret(name, text), source
        else:
            continue
        if field in values:
            raise SettingError(f"{PREFIX}{field.upper()} and {PREFIX}{field.upper()}_FILE are both set: keep one")
        values[field] = value
    return values


def _secret(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{name}: {path!r} cannot be read: {error}") from None


def unknown(
    fields: Collection[str], default_home: Path, environ: Mapping[str, str] | None = None
) -> list[tuple[str, str | None]]:
    """The `GRISTMILL_*` names that no setting has, each with the nearest name that a setting has."""
    names = {PREFIX + field.upper() for field in fields}
    names |= {f"{name}_FILE" for name in names}
    strangers = [
        name
        for name in _variables(os.environ if environ is None else environ, default_home)
        if name not in names | COMPOSE and not _INJECTED.search(name)
    ]
    return [(name, _nearest(name, names)) for name in sorted(strangers)]


def _nearest(name: str, names: Collection[str]) -> str | None:
    # Without the prefix, which would make every name like every other.
    bare = {other.removeprefix(PREFIX): other for other in names}
    nearest = get_close_matches(name.removeprefix(PREFIX), bare, 1, 0.6)
    return bare[nearest[0]] if nearest else None
