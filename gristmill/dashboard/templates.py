"""Loads templates from our folder first, then from Flower's; adds our tabs and notes to Flower's."""

from pathlib import Path
from typing import Any

from tornado.template import Template

from gristmill.dashboard.flower_internals import CONTENT, TABS, TEMPLATES, HookedLoader

_OURS = Path(__file__).parent / "templates"
#: Flower's pages that say or do less than they seem to, and our note that says where the rest is.
_NOTES = {"tasks.html": "tasks_note.html", "broker.html": "broker_note.html", "worker.html": "worker_note.html"}


class Templates(HookedLoader):
    """Tornado's loader for two folders."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(str(TEMPLATES), **kwargs)

    def template(self, name: str) -> Template:
        """Read the template of that name."""
        own = _OURS / name
        text = (own if own.exists() else TEMPLATES / name).read_text(encoding="utf-8")
        if name == "navbar.html":
            # Our tabs come first.
            text = _behind(TABS, text, (_OURS / "tabs.html").read_text(encoding="utf-8"), name)
        elif name in _NOTES:
            text = _behind(CONTENT, text, f'{{% include "{_NOTES[name]}" %}}', name)
        return Template(text, name=name, loader=self)


def _behind(place: str, text: str, addition: str, name: str) -> str:
    if place not in text:
        raise LookupError(f"{name} of this version of Flower has no {place!r} (expected, to add our part behind it)")
    return text.replace(place, place + addition, 1)
