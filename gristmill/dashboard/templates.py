"""Where templates come from: our folder first, then Flower's, whose navigation bar gets our tabs."""

from pathlib import Path
from typing import Any

import flower
from tornado.template import Loader, Template

_OURS = Path(__file__).parent / "templates"
_FLOWERS = Path(flower.__file__).parent / "templates"
#: Where Flower's tabs begin: ours come first.
_TABS = '<ul class="app-nav navbar-nav">'


class Templates(Loader):
    """Tornado's loader over two folders."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(str(_FLOWERS), **kwargs)

    def _create_template(self, name: str) -> Template:
        own = _OURS / name
        text = (own if own.exists() else _FLOWERS / name).read_text(encoding="utf-8")
        if name == "navbar.html":
            if _TABS not in text:
                raise LookupError("this Flower's navbar.html is not the one that our tabs go into")
            text = text.replace(_TABS, _TABS + (_OURS / "tabs.html").read_text(encoding="utf-8"))
        return Template(text, name=name, loader=self)
