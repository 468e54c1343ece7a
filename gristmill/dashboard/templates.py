"""Loads templates from our folder first, then from Flower's; adds our tabs to Flower's navigation bar."""

from pathlib import Path
from typing import Any

from tornado.template import Template

from gristmill.dashboard.flower_internals import TABS, TEMPLATES, HookedLoader

_OURS = Path(__file__).parent / "templates"


class Templates(HookedLoader):
    """Tornado's loader for two folders."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(str(TEMPLATES), **kwargs)

    def template(self, name: str) -> Template:
        """Read the template of that name."""
        own = _OURS / name
        text = (own if own.exists() else TEMPLATES / name).read_text(encoding="utf-8")
        if name == "navbar.html":
            if TABS not in text:
                raise LookupError("no place for our tabs in navbar.html of this version of Flower")
            # Our tabs come first.
            text = text.replace(TABS, TABS + (_OURS / "tabs.html").read_text(encoding="utf-8"))
        return Template(text, name=name, loader=self)
