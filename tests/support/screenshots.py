"""`python -m tests.support.screenshots DIRECTORY`: pictures of the dashboard at work, for the docs."""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.support.browser import Page, browser
from tests.support.command import Place

#: Seconds of work before the pictures are taken: some of the five minutes that the charts show.
SECONDS = 150
#: Where the files of the work are.
FILES = Path("/tmp/mill")


def work(place: Place) -> None:
    """Give the fleet batches of both kinds, in steps, with some failures."""
    lines = "\n".join(["0.1", "0.3", "0.6"] * 1500)
    place.run("submit", "pause", "--from", place.file("pauses", lines), "--name", "nightly-feeds").good()
    started_at, number = time.monotonic(), 0
    while time.monotonic() - started_at < SECONDS:
        number += 1
        numbers = "\n".join(str(18 + n % 9) for n in range(350 * number))
        name = f"sweep-{number}"
        place.run("submit", "fibonacci", "--from", place.file(name, numbers), "--name", name).good()
        if number == 2:
            files = [f"reports/{n:03}.csv" for n in range(40)]
            (place.cwd / "reports").mkdir()
            for path in files[:33]:
                (place.cwd / path).write_text(path)
            place.run("submit", "digest", "--name", "reports", *files).good()
            for what in ("pause", "resume"):
                place.run(what, "nightly-feeds").good()
        place.ended(name)
        time.sleep(15)
    place.run("retry", "reports").good()
    place.ended("reports")
    numbers = "\n".join(["27", "28", "29"] * 4000)
    place.run("submit", "fibonacci", "--from", place.file("last", numbers), "--name", "sweep-large").good()
    place.run("submit", "pause", "--from", place.file("more", lines), "--name", "evening-feeds").good()
    time.sleep(12)


def take(page: Page, address: str, directory: Path) -> None:
    """Each page by day and by night, and on a phone."""
    looks = {"": (1280, False, False), "-dark": (1280, True, False), "-phone": (390, False, True)}
    pages = {name: name for name in ("throughput", "batches", "workers", "audit")} | {"batch": "batch/reports"}
    for suffix, (width, dark, phone) in looks.items():
        page.size(width, 800, phone=phone)
        page.dark(dark)
        for name, path in pages.items():
            page.open(f"{address}/{path}")
            page.until("document.getElementById('status').textContent === 'Live'")
            page.until("document.querySelectorAll('tbody tr, #failures li').length > 1")
            if name == "batch":
                page.until("document.querySelector('#errors td')")
            page.picture(directory / f"dashboard-{name}{suffix}.png")


def main() -> None:
    """Run a fleet, give it work, take the pictures."""
    directory = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name, browser(Path(name) / "profile") as chromium:
        place = Place(Path(name) / "place", GRISTMILL_MACHINE_NAME="mill")
        # Errors name the data root.
        shutil.rmtree(FILES, ignore_errors=True)
        place.cwd = FILES
        place.cwd.mkdir()
        with place.up("--cpu-slots", "2", "--io-slots", "16"):
            work(place)
            take(chromium.page(), (place.server().dashboard or "").rstrip("/"), directory)
        place.deserted()
        shutil.rmtree(FILES)


if __name__ == "__main__":
    main()
