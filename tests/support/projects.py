"""Projects of users: a directory with a `pyproject.toml` and modules, and programs that run in it."""

import os
import sys
from pathlib import Path

from tests.support.forked import run_to_end

#: A project whose modules have the names of Gristmill's rooms, and of Celery's tutorial.
SHOP = {
    "pyproject.toml": '[tool.gristmill]\ntasks = ["tasks", "shop.jobs"]\ndata-root = "photos"\n',
    "tasks.py": """
from gristmill import cpu
import config
import worker


@cpu
def double(n: int) -> int:
    return worker.TWO * n * config.ONE
""",
    "worker.py": "TWO = 2\n",
    "config/__init__.py": "ONE = 1\n",
    "shop/__init__.py": "",
    "shop/jobs.py": """
import json
from datetime import date

from gristmill import io

from .prices import price


@io(retries=2)
def cost(day: date, article: str = "tea") -> float:
    from shop import taxes
    return price(article) * taxes.RATE
""",
    "shop/prices.py": "def price(article):\n    return 2.0\n",
    "shop/taxes.py": "RATE = 1.5\n",
    "shop/unused.py": "",
    "sub/keep": "",
    "photos/keep": "",
}


def write(directory: Path, files: dict[str, str]) -> Path:
    """Write files below a directory, and return it."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def python(code: str, cwd: Path, **environ: str) -> str:
    """What a program of a user prints that runs in a directory."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GRISTMILL_", "PYTHON"))}
    ended, out, err = run_to_end([sys.executable, "-c", code], None, cwd, {**clean, **environ}, 60)
    assert ended == 0, err.decode()
    return out.decode()
