"""Our pages in a real browser, before a server without workers: what a person sees, reaches and keeps."""

import json
from contextlib import contextmanager
from importlib import resources
from itertools import pairwise
from urllib.parse import parse_qs

import pytest
from redis import Redis

from gristmill.batches.chunk import Outcome
from gristmill.batches.control import Control
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer
from tests.support.dashboards import dashboard, heartbeat, store
from tests.support.ledger import FIELDS, WORKER, pop, submit

PAGES = (
    "throughput",
    "batches",
    "batches?text=fetch-0",
    "busy",
    "audit",
    "workers",
    "batch/fetch-07",
    "batch/gone",
    "worker/cpu@host-01",
)
#: The fixture whose dashboard is looked at, width, phone, dark.
LOOKS = [
    ("seen", 360, True, True),
    ("seen", 1024, False, False),
    *[
        pytest.param(scene, width, width == 360, dark, marks=pytest.mark.slow)
        for scene, width, dark in (
            ("empty", 360, False),
            ("empty", 768, True),
            ("empty", 1440, False),
            ("crowded", 360, False),
            ("crowded", 360, True),
            ("crowded", 768, False),
            ("crowded", 1440, True),
        )
    ],
]
#: The workers that live there.
WORKERS = {"seen": 3, "empty": 0, "crowded": 40}


@contextmanager
def scene(path, **settings):
    """A ledger, and a dashboard of it."""
    with (
        PrivateServer(Home(path), load({})) as server,
        Redis.from_url(server.url, decode_responses=True) as client,
        dashboard(server.url, **settings) as pages,
    ):
        yield Ledger(client, load({})), pages


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Some batches of each look."""
    with scene(tmp_path_factory.mktemp("home")) as (ledger, pages):
        for number in range(60):
            labels = json.dumps({"team": "maps"} if number % 2 else {})
            submitted_by = "ada@0123456789ab" if number == 7 else "ada@laptop"
            fields = {"task": "fetch", "labels": labels, "submitted_by": submitted_by}
            store(ledger, f"fetch-{number:02}", 4, failed=2 * (number % 5 == 2), left=number % 7 == 3, **fields)
        yield ledger, pages


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """No batch and no worker, and a dashboard that only shows."""
    with scene(tmp_path_factory.mktemp("home"), GRISTMILL_DASHBOARD_READ_ONLY="true") as found:
        yield found


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """5,000 batches that have ended."""
    state = {**FIELDS, "stored": 9, "created": 1, "input_ended": 1, "finished": 2}
    with scene(tmp_path_factory.mktemp("home")) as (ledger, pages):
        with ledger.client.pipeline(transaction=False) as pipe:
            for number in range(5_000):
                outcome = {"succeeded": 9 - number % 3, "failed": number % 3}
                pipe.hset(ledger.key(f"fetch-{number:02}", "state"), mapping={**state, **outcome})
                pipe.zadd(ledger.settings.key("batches"), {f"fetch-{number:02}": number})
            pipe.execute()
        yield ledger, pages


@pytest.fixture
def page(page, seen):
    """A wide tab, in which a page may be missing; the workers live."""
    for number in range(3):
        heartbeat(seen[0], number)
    page.size(1440, 900)
    yield page
    page.complaints[:] = [text for text in page.complaints if "404" not in text]


def go(page, seen, path):
    """Open a page, and wait until it has its data."""
    heartbeat(seen[0], 1)
    page.open(f"{seen[1].address}/{path}")
    page.until("(document.getElementById('status')?.textContent ?? 'Live') === 'Live'")


@pytest.mark.parametrize(("name", "width", "phone", "dark"), LOOKS)
def test_axe_finds_nothing_and_nothing_is_cut_off(request, page, name, width, phone, dark):
    ledger, pages = request.getfixturevalue(name)
    script = (resources.files("axe_core_python") / "axe.min.js").read_text()
    page.size(width, 900, phone=phone)
    page.dark(dark)
    faults = {}
    for path in PAGES:
        for number in range(WORKERS[name]):
            heartbeat(ledger, number)
        page.open(f"{pages.address}/{path}")
        page.until("(document.getElementById('status')?.textContent ?? 'Live') === 'Live'")
        assert page.run("document.documentElement.scrollWidth") <= width
        wide = "[...document.querySelectorAll('.table-responsive')].filter((it) => it.scrollWidth > it.clientWidth)"
        assert page.run(f"{wide}.map((it) => it.innerText)") == [], path
        # A button that has just been marked is between two colours.
        page.until("document.getAnimations().every((it) => !(it instanceof CSSTransition))")
        page.run(f"{script}; true")
        # Flower's own parts of the page are not ours.
        found = page.run("axe.run('main', {resultTypes: ['violations']}).then((result) => result.violations)")
        faults |= {(path, one["id"]): [node["html"][:120] for node in one["nodes"][:3]] for one in found}
    assert faults == {}


def test_a_narrow_page_of_a_workflow_shows_its_own_batch(page, empty):
    ledger, pages = empty
    for number, after in enumerate(("", "way-0", "way-1")):
        ledger.create(f"way-{number}", "token", {**FIELDS, **({"after": after} if after else {})})
    page.size(360, 900, phone=True)
    beyond = "(own.left < edge.left ? -1 : own.right > edge.right ? 1 : 0)"
    boxes = "own = document.querySelector('.gm-chain-self').getBoundingClientRect()"
    edges = "edge = document.getElementById('workflow').getBoundingClientRect()"
    for number in range(3):
        page.open(f"{pages.address}/batch/way-{number}")
        page.until("document.querySelector('.gm-chain-self')")
        assert page.run(f"(() => {{ const {boxes}, {edges}; return {beyond} }})()") == 0, number
    # Who looks at another part of it stays there when the next answer comes.
    page.open(f"{pages.address}/batch/way-2")
    title = "document.querySelector('.gm-chain g:has(.gm-chain-self) title')"
    page.until(title)
    page.run(f"document.getElementById('workflow').scrollLeft = 0; {title}.textContent = ''")
    page.until(f"{title}.textContent")
    assert page.run("document.getElementById('workflow').scrollLeft") == 0
    for number in (2, 1, 0):
        ledger.delete(f"way-{number}")


def test_the_address_carries_the_filter(page, seen):
    go(page, seen, "batches?label=team%3Dmaps&state=failed&sort=name")
    page.until("document.querySelectorAll('#rows tr').length === 5")
    assert page.run("document.querySelector('[name=label]').value") == "team=maps"
    assert page.run("document.querySelector('[data-sort=name]').getAttribute('aria-sort')") == "ascending"
    page.click("[data-sort=name] button")
    page.until("document.querySelector('#rows tr').dataset.batch === 'fetch-57'")
    assert parse_qs(page.run("location.search.slice(1)")) == {
        "label": ["team=maps"],
        "state": ["failed"],
        "sort": ["-name"],
    }
    page.click("#filter [type=reset]")
    page.until("document.querySelectorAll('#rows tr').length === 50")
    assert page.run("location.search") == ""
    page.click("#next")
    page.until(
        "document.querySelectorAll('#rows tr').length >= 10 && document.querySelectorAll('#rows tr').length < 50"
    )
    assert page.run("location.search") == "?page=2"


def test_chosen_batches_are_cancelled_after_one_question(page, seen):
    ledger, _ = seen
    for name in ("some-a", "some-b"):
        store(ledger, name, 3, left=2)
    go(page, seen, "batches?text=some-")
    page.until("document.querySelectorAll('#rows tr').length === 2")
    page.click("#choose-all")
    page.until("document.getElementById('choice-number').textContent === '2 batches chosen'")
    page.run("window.asked = []; window.confirm = (text) => { window.asked.push(text); return false; }")
    page.click("[data-many=cancel]")
    page.until("window.asked.length === 1")
    assert "2 batches" in page.run("window.asked[0]")
    assert {ledger.infos([name])[0].left for name in ("some-a", "some-b")} == {2}
    page.run("window.confirm = () => true")
    page.click("[data-many=cancel]")
    page.until("document.getElementById('choice-answer').textContent.startsWith('2 cancelled')")
    page.until("document.querySelectorAll('#rows .gm-state-cancelled').length === 2")
    page.until("document.querySelectorAll('#rows .gm-bar-cancelled').length === 2")
    assert {ledger.infos([name])[0].cancelled for name in ("some-a", "some-b")} == {2}


def test_a_reader_keeps_the_place(page, seen):
    """A link with the focus keeps it while the list changes around it, and so does a tick."""
    go(page, seen, "batches?text=fetch-1&sort=name")
    page.run("document.querySelector('tr[data-batch=fetch-12] a').focus()")
    page.click("tr[data-batch=fetch-13] input")
    store(seen[0], "fetch-1-new", 2, submitted_by="ada@laptop")
    page.until("document.querySelector('tr[data-batch=fetch-1-new]')")
    # The click took the focus from the link.
    assert page.run("document.activeElement.value") == "fetch-13"
    assert page.run("document.querySelector('tr[data-batch=fetch-13] input').checked")


def test_retry_asks_and_says_how_many(page, seen):
    go(page, seen, "batch/fetch-17")
    page.run("window.asked = []; window.confirm = (text) => { window.asked.push(text); return false; }")
    page.click("[data-action=retry] button")
    page.until("window.asked.length === 1")
    assert "2 items" in page.run("window.asked[0]")
    assert seen[0].infos(["fetch-17"])[0].failed == 2
    assert page.text("#errors td") == "2"


def test_an_item_that_fails_again_shows_its_last_error(page, seen):
    ledger, _ = seen

    def fail(kind):
        error = json.dumps({"type": kind, "message": "no", "traceback": f"line of {kind}"})
        while chunk := pop(ledger):
            if chunk.batch == "again":
                items = ledger.take(chunk).items
                failed = [Outcome(item.index, "failed", item.attempt, error, 0.1, WORKER, 1) for item in items]
                ledger.record(chunk, failed, 0.1, WORKER)

    submit(ledger, "again", 2)
    fail("OSError")
    go(page, seen, "batch/again")
    page.until("document.querySelector('#errors').textContent.includes('OSError')")
    page.click("#failures summary")
    Control(ledger.client, ledger.settings).retry("again")
    fail("KeyError")
    page.until("document.querySelector('#errors').textContent.includes('KeyError')")
    assert "OSError" not in page.text("#failures")
    assert page.text("#failures details[open] code") == "line of KeyError"


def test_a_container_is_called_one(page, seen):
    go(page, seen, "batches?text=fetch-07")
    page.until("document.querySelector('#rows tr')?.textContent.includes('ada, in container 0123')")


#: Pixels beside the plot of a chart, as chart.js has them.
LEFT, RIGHT = 64, 12


def ends(page):
    """The times of the first and the last point that the first chart shows, in seconds of the day, by the keyboard."""
    page.run("document.querySelector('.gm-svg').focus()")
    times = []
    for key in ("Home", "End"):
        # The first key shows the last point, whichever it is.
        page.key(key)
        page.key(key)
        hours, minutes, seconds = page.text(".gm-figure .gm-tip strong").split(":")
        times.append(3600 * int(hours) + 60 * int(minutes) + int(seconds))
    return times


def stretch(page):
    """The seconds that the first chart shows."""
    first, last = ends(page)
    return (last - first) % 86_400


def time_axes(page):
    """What stands below the charts, each different axis once."""
    return page.run(
        """[...new Set([...document.querySelectorAll('.gm-svg')].map((one) => [...one.querySelectorAll('.gm-tick')]
          .filter((tick) => +tick.getAttribute('y') === one.height.baseVal.value - 8)
          .map((tick) => tick.textContent).join()))]"""
    )


def test_charts_zoom_together_and_back(page, seen):
    go(page, seen, "throughput")
    page.until("document.querySelectorAll('.gm-svg').length === 8")
    page.until("document.querySelector('.gm-svg .gm-tick')")
    whole, (everything,) = stretch(page), time_axes(page)
    assert whole > 100
    for _ in range(3):
        page.key("+")
    assert stretch(page) == pytest.approx(whole / 8, abs=2)
    (part,) = time_axes(page)
    assert part != everything
    page.key("-")
    assert stretch(page) == pytest.approx(whole / 4, abs=2)
    page.click("#zoom-out")
    page.until("document.getElementById('zoom-out').hidden")
    assert stretch(page) == whole
    assert len(time_axes(page)) == 1


def test_a_drag_shows_a_stretch(page, seen):
    go(page, seen, "throughput")
    page.until("document.querySelector('.gm-svg .gm-tick')")
    first, last = ends(page)
    whole = (last - first) % 86_400
    box = page.run(
        "(() => { const b = document.querySelector('.gm-svg').getBoundingClientRect(); return [b.x, b.y, b.width]; })()"
    )
    places = [("mousePressed", 0.5), ("mouseMoved", 0.6), ("mouseMoved", 0.8), ("mouseReleased", 0.8)]
    for kind, share in places:
        button = {"button": "left", "buttons": 1, "clickCount": 1}
        page.call("Input.dispatchMouseEvent", type=kind, x=box[0] + share * box[2], y=box[1] + 60, **button)
    page.until("!document.getElementById('zoom-out').hidden")
    seconds = [whole * (share * box[2] - LEFT) / (box[2] - LEFT - RIGHT) for share in (0.5, 0.8)]
    # New points come meanwhile, one each second.
    shown = [(time - first) % 86_400 for time in ends(page)]
    assert shown[1] - shown[0] == pytest.approx(seconds[1] - seconds[0], abs=2)
    assert seconds[0] - 2 <= shown[0] <= seconds[0] + 15


def y_axis(page, title):
    """The numbers beside a chart and how high they stand, from the lowest one on."""
    ticks = page.run(
        f"""[...[...document.querySelectorAll('.gm-figure')]
          .find((one) => one.querySelector('.gm-figure-title').textContent === {json.dumps(title)})
          .querySelectorAll(`.gm-tick[x="{LEFT - 8}"]`)].map((tick) => [+tick.textContent, -tick.getAttribute('y')])"""
    )
    return [number for number, _ in ticks], [one[1] - other[1] for other, one in pairwise(ticks)]


def test_an_axis_is_logarithmic_when_asked(page, seen):
    go(page, seen, "throughput")
    page.until("document.querySelector('.gm-svg .gm-tick')")
    linear, steps = y_axis(page, "Backlog")
    assert linear[0] == 0
    assert len({second - first for first, second in pairwise(linear)}) == 1
    assert steps == pytest.approx([steps[0]] * len(steps))
    switch = "[aria-label='Logarithmic axis of Backlog']"
    for pressed in ("true", "false"):
        page.click(switch)
        page.until(f'document.querySelector("{switch}").ariaPressed === "{pressed}"')
        numbers, steps = y_axis(page, "Backlog")
        assert steps == pytest.approx([steps[0]] * len(steps))
        assert steps[0] > 0
        if pressed == "true":
            assert {second / first for first, second in pairwise(numbers)} == {10}
    assert numbers == linear


def test_a_logarithmic_axis_has_a_place_for_each_value(page, seen):
    """Also for waits of less than the lowest tick, and longer than the highest one."""
    go(page, seen, "throughput")
    for values in ("[1e-7, 1e-6]", "[1e7]", "[0]", "[]", "[0.5]"):
        scale = f"window.gristmill.axes.logarithmic({values}, window.gristmill.axes.UNITS.seconds, 100, 0)"
        assert len(page.run(f"{scale}.ticks")) >= 2, values
        places = page.run(f"[...{values}, ...{scale}.ticks].map({scale}.y)")
        assert all(isinstance(place, int | float) for place in places), values


def test_numbers_of_a_server_that_is_away_are_grey(page, tmp_path):
    with PrivateServer(Home(tmp_path / "home"), load({})) as server, dashboard(server.url) as pages:
        page.open(f"{pages.address}/workers")
        page.until("document.getElementById('status').textContent === 'Live'")
        server.stop()
        page.until("document.querySelector('.gm-stale')")
        assert "The numbers are of" in page.text("#status")
    page.complaints.clear()
