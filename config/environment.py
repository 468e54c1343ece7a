"""Where settings come from: the environment, `.env` files, the project's `pyproject.toml`, and files with secrets."""

import os
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path

from gristmill.config.project import current_project
from gristmill.errors import SettingError, invalid_value

PREFIX = "GRISTMILL_"
#: The home, unless a source names another one: settings are read from a file there before they are checked.
DEFAULT_HOME = Path("~/.local/state/gristmill")

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

#: The name of a source, and its variables.
_Source = tuple[str, dict[str, str]]


def _sources(environ: Mapping[str, str] | None) -> list[_Source]:
    """The `GRISTMILL_*` variables of each source, the one that wins first.

    An empty variable counts as not set, and hides those of later sources.
    """
    environ = os.environ if environ is None else environ
    project = current_project()
    sources = [_ours("the environment", environ)]
    later: list[_Source] = []
    if project:
        later.append(_ours(str(project.directory / ".env"), _dotenv(project.directory)))
        settings = {PREFIX + field.upper(): text for field, text in project.settings.items()}
        later.append((str(project.path), settings))
    name = f"{PREFIX}HOME"
    home = environ.get(name) or next((names[name] for _, names in later if names.get(name)), str(DEFAULT_HOME))
    directory = expand(Path(home), name)
    if not project or directory.absolute() != project.directory:
        sources.append(_ours(str(directory / ".env"), _dotenv(directory)))
    return sources + later


def _ours(source: str, names: Mapping[str, str]) -> _Source:
    return source, {name: value for name, value in names.items() if name.startswith(PREFIX)}


def _variables(environ: Mapping[str, str] | None) -> dict[str, str]:
    """The `GRISTMILL_*` variables that are set, by name."""
    merged: dict[str, str] = {}
    for _, names in reversed(_sources(environ)):
        merged |= names
    return {name: value for name, value in merged.items() if value}


def expand(directory: Path, name: str) -> Path:
    """The directory with a leading `~` replaced; `name` is the variable that it comes from, for the error.

    Raises:
        SettingError: the system knows no home for that `~`, as for a user that a container does not know.
    """
    try:
        return directory.expanduser()
    except RuntimeError:
        expected = "a directory without ~: the system knows no home of that user"
        raise SettingError(invalid_value(name, str(directory), expected)) from None


def _dotenv(directory: Path) -> dict[str, str]:
    path = directory / ".env"
    try:
        path.stat()
    except OSError:
        return {}
    # Imported here, because few directories have such a file.
    from dotenv import dotenv_values

    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def source_of(field: str, environ: Mapping[str, str] | None = None) -> str:
    """What sets a field: its variable, or the file that has it."""
    name = PREFIX + field.upper()
    for source, names in _sources(environ):
        if name in names or f"{name}_FILE" in names:
            return name if source == "the environment" else source
    return name


def read(fields: Collection[str], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The text of each field that is set, by field name.

    Raises:
        SettingError: a `…_FILE` cannot be read, or is set beside the variable itself; or the project's file is not
            valid.
    """
    values: dict[str, str] = {}
    for name, text in _variables(environ).items():
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
        raise SettingError(f"cannot read the file that {name} names: {path!r}: {error}") from None


def unknown(fields: Collection[str], environ: Mapping[str, str] | None = None) -> list[tuple[str, str | None]]:
    """The `GRISTMILL_*` names that no setting has, each with the nearest name of a setting."""
    names = {PREFIX + field.upper() for field in fields}
    names |= {f"{name}_FILE" for name in names}
    strangers = [name for name in _variables(environ) if name not in names | COMPOSE and not _INJECTED.search(name)]
    return [(name, _nearest(name, names)) for name in sorted(strangers)]


def _nearest(name: str, names: Collection[str]) -> str | None:
    # Without the prefix, which would make every name like every other.
    bare = {other.removeprefix(PREFIX): other for other in names}
    near = get_close_matches(name.removeprefix(PREFIX), bare, 1, 0.6)
    return bare[near[0]] if near else None
