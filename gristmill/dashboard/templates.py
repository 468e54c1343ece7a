"""Loads templates from our folder first, then from Flower's; adds our tabs to Flower's navigation bar."""

from pathlib import Path
from typing import Any

import flower
from tornado.template import Loader, Template

_OURS = Path(__file__).parent / "templates"
_FLOWERS = Path(flower.__file__).parent / "templates"
#: The start of Flower's tabs; ours come before them.
_TABS = '<ul class="app-nav navbar-nav">'


class Templates(Loader):
    """Tornado's loader for two folders."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(str(_FLOWERS), **kwargs)

    def _create_template(self, name: str) -> Template:
        own = _OURS / name
        text = (own if own.exists() else _FLOWERS / name).read_text(encoding="utf-8")
        if name == "navbar.html":
            if _TABS not in text:
                raise LookupError("no place for our tabs in navbar.html of this version of Flower")
            text = text.replace(_TABS, _TABS + (_OURS / "tabs.html").read_text(encoding="utf-8"))
        return Template(text, name=name, loader=self)
