"""The project of the current directory: the `[tool.gristmill]` of the nearest `pyproject.toml` that has one."""

import stat
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from gristmill.errors import SettingError, invalid_value

FILE = "pyproject.toml"


class Project(NamedTuple):
    """A project: its `pyproject.toml`, and the settings there, as text by field name."""

    path: Path
    settings: dict[str, str]

    @property
    def directory(self) -> Path:
        """The directory of its `pyproject.toml`."""
        return self.path.parent


def current_project() -> Project | None:
    """The project of the current directory, if there is one.

    Raises:
        SettingError: its `[tool.gristmill]` is not valid.
    """
    try:
        return find_project(Path.cwd())
    except FileNotFoundError:
        # Somebody has removed the current directory.
        return None


@cache
def find_project(directory: Path) -> Project | None:
    """The nearest project at or above a directory.

    The search ends at a directory that everybody may write to, such as /tmp: another user's file must not name modules
    that run here.

    Raises:
        SettingError: its `[tool.gristmill]` is not valid.
    """
    for folder in (directory, *directory.parents):
        if folder != directory and _open_to_all(folder):
            return None
        table = _table(folder / FILE)
        if table is not None:
            return Project(folder / FILE, _settings(folder / FILE, table))
    return None


def _open_to_all(folder: Path) -> bool:
    try:
        return bool(folder.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return True


def _table(path: Path) -> Any:
    """The value of `[tool.gristmill]`; None if there is no such table, or no such file."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if b"gristmill" not in content:
        return None
    # Imported here, because few directories have such a file.
    import tomllib

    try:
        return tomllib.loads(content.decode()).get("tool", {}).get("gristmill")
    except (ValueError, AttributeError) as error:
        raise SettingError(f"cannot read {path}: {error} (expected TOML)") from None


def _settings(path: Path, table: Any) -> dict[str, str]:
    if not isinstance(table, dict):
        raise SettingError(invalid_value(f"[tool.gristmill] in {path}", table, "a table"))
    settings = {}
    for key, value in table.items():
        if key not in _KEYS:
            near = get_close_matches(key, _KEYS, 1)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise SettingError(
                f"unknown key {key!r} in [tool.gristmill] of {path} (expected {' or '.join(_KEYS)}){hint}"
            )
        field, expected, convert = _KEYS[key]
        text = convert(path.parent, value)
        if text is None:
            raise SettingError(invalid_value(f"{key} in [tool.gristmill] of {path}", value, expected))
        settings[field] = text
    return settings


def _modules(_directory: Path, value: Any) -> str | None:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return None
    parts = [part for name in value for part in name.split(".")]
    return ",".join(value) if all(map(str.isidentifier, parts)) else None


def _directory(directory: Path, value: Any) -> str | None:
    return str(directory / value) if isinstance(value, str) and value else None


#: For each key: the field of the settings that it sets, the expectation, and the function that makes the field's text.
_KEYS: dict[str, tuple[str, str, Callable[[Path, Any], str | None]]] = {
    "tasks": ("task_modules", 'a list of module names, such as ["shop.jobs"]', _modules),
    "data-root": ("data_root", "a directory, relative to that file or absolute", _directory),
}
