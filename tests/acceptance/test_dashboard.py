"""The dashboard in a real browser, on a real fleet: what it shows is what happened, and its buttons work."""

import json
import signal
import sys
import time
from urllib.request import urlopen

import pytest

from gristmill.batches.outcomes import event_ranges
from tests.conftest import until

PLOT = "figure:has(.gm-figure-title)"


def chart(title):
    """A JavaScript expression for the figure of a chart."""
    titles = "[...document.querySelectorAll('.gm-figure')]"
    return f"{titles}.find((one) => one.querySelector('.gm-figure-title').textContent === {json.dumps(title)})"


def numbers(page, title):
    """What the table of a chart says: column -> values, oldest first; and the times."""
    page.run(f"{chart(title)}.querySelector('details').open = true")
    page.until(f"{chart(title)}.querySelector('tbody tr')")
    columns = page.run(f"[...{chart(title)}.querySelectorAll('thead th')].map((cell) => cell.textContent)")
    script = (
        f"[...{chart(title)}.querySelectorAll('tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    rows = page.run(script)[::-1]
    values = [[float(cell.replace(",", "")) if cell not in ("–",) else None for cell in row[1:]] for row in rows]
    return {name: [row[place] for row in values] for place, name in enumerate(columns[1:])}, [row[0] for row in rows]


def recorded(fleet, batch):
    """Items by the second in which the ledger recorded them, from its own events."""
    found = {}
    with fleet.ledger() as ledger:
        for identity, fields in ledger.client.xrange(ledger.key(batch, "events")):
            second = int(identity.split("-")[0]) // 1000
            for first, last, _ in event_ranges(fields["ranges"]):
                found[second] = found.get(second, 0) + last - first + 1
    return found


def test_both_tabs_are_a_click_away_and_flowers_own_are_too(page, address):
    page.open(address)
    for tab, heading in (("Throughput", "Throughput"), ("Batches", "Batches")):
        page.click(f".app-nav a[href='/{tab.lower()}']")
        page.until(f"document.querySelector('h1')?.textContent === {json.dumps(heading)}")
        assert page.text(".app-nav a.active") == tab
        page.until("document.getElementById('status').textContent === 'Live'")
    page.click(".app-nav a[href='/broker']")
    page.until("document.querySelector('#queue-table')")
    assert "cpu" in page.text("#queue-table")


def test_a_step_of_load_is_what_the_chart_shows(page, fleet, address, name):
    page.open(f"{address}/throughput")
    rows = fleet.file("steps.jsonl", "\n".join(json.dumps({"left": n}) for n in range(5_000)))
    before = time.time()
    fleet.run("submit", "pair", "--from", rows, "--input-format", "jsonl", "--name", name).good()
    fleet.ended(name)
    true = recorded(fleet, name)
    assert sum(true.values()) == 5_000

    def settled():
        lines, _ = numbers(page, "Throughput by task")
        line = lines.get("pair on io")
        # Other tests have sent a few before.
        return line if line and line[-1] == 0 and sum(number or 0 for number in line) > 1000 else None

    shown = until(settled, 60, "a line that is back at 0")
    # The chart ends with the last second that is over; the load is well inside its five minutes.
    _, times = numbers(page, "Throughput by task")
    assert len(times) == 300
    # Where nobody sampled, before the fleet began, the line has a gap.
    shown = [number or 0 for number in shown]
    assert sum(shown) == pytest.approx(5_000, rel=0.05)
    high = sorted(shown)[-len(true) :]
    for seen, meant in zip(high, sorted(true.values()), strict=True):
        assert seen == pytest.approx(meant, rel=0.05)
    # Before that, other tests have sent a few.
    steps = [number for number in shown[300 - int(time.time() - before) - 2 :] if number]
    assert max(shown[: 300 - int(time.time() - before) - 5]) < 100
    assert len(steps) == len(true)


def test_a_bar_reaches_its_end(page, fleet, address, name):
    page.open(f"{address}/batches")
    fleet.run("submit", "pause", "--name", name, *["0.2"] * 64).good()
    row = f"tr[data-batch='{name}']"
    page.until(f"document.querySelector(\"{row} [role=progressbar][aria-valuenow='100']\")")
    page.until(f"document.querySelector(\"{row}\").textContent.includes('succeeded')")
    page.click(f"{row} a")
    page.until("document.querySelector('h1.gm-name')")
    assert page.text("h1") == name
    assert page.text("#counts").split()[:2] == ["Submitted", "64"]
    lines, _ = numbers(page, "Progress")
    assert lines["succeeded"][-1] == 64
    lines, _ = numbers(page, "Run time of items")
    assert sum(lines["items"]) == 64


def test_failed_items_are_retried_with_a_click(page, fleet, address, name):
    late = [f"late-{name}-{n}.txt" for n in range(3)]
    fleet.run("submit", "digest", "--name", name, *late).good()
    assert fleet.ended(name).failed == 3
    page.open(f"{address}/batch/{name}")
    page.until("document.querySelectorAll('#failures li').length === 3")
    for path in late:
        (fleet.root / path).write_text("here now")
    page.click("[data-action=retry] button")
    page.until("document.querySelector('#state')?.textContent.includes('succeeded')")
    page.until("document.querySelectorAll('#failures li').length === 0")
    assert [result.state for result in fleet.results(name)] == ["succeeded"] * 3


def test_what_a_failed_item_wrote_is_a_click_away(page, fleet, address, name):
    fleet.run("submit", "oddly", "say", "say no", "--name", name, "--follow")
    page.open(f"{address}/batch/{name}")
    output = "#failures li[data-index='1'] details:last-of-type"
    page.until(f'document.querySelector("{output} summary")')
    assert "and more" not in page.text("#failures"), "folded"
    page.click(f"{output} summary")
    page.until(f'document.querySelector("{output} pre").innerText.includes("say no")')
    assert page.text(f"{output} pre").split("\n")[1] == "\x1b[2Jand more"


def test_a_batch_is_paused_resumed_and_cancelled_with_clicks(page, fleet, address, name):
    fleet.run("submit", "pause", "--name", name, *["0.5"] * 2000).good()
    page.open(f"{address}/batch/{name}")
    for action, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        page.click(f"[data-action={action}] button")
        page.until(f"document.querySelector('#state')?.textContent.includes('{state}')")
    info = fleet.ended(name)
    assert info.cancelled > 0
    assert info.succeeded + info.cancelled == 2000


def test_what_looks_like_markup_stays_text(page, fleet, address, name):
    evil = "<script>document.title='gone'</script><img src=x onerror=document.title='gone'>"
    fleet.run("submit", "odd", "--name", name, "raise", "--set", "size=1").good()
    other = f"{name}-input"
    fleet.run("submit", "digest", "--name", other, evil).good()
    fleet.ended(name), fleet.ended(other)
    page.open(f"{address}/batch/{other}")
    assert evil in page.text("#failures li .gm-input")
    assert page.run("document.querySelectorAll('#failures script, #failures img').length") == 0
    assert page.run("document.title").startswith(other)
    page.open(f"{address}/batch/{name}")
    assert "[b]this[/b]" in page.text("#failures li .gm-error")


def test_downloads_are_what_the_command_prints(fleet, address, name):
    fleet.run("submit", "odd", "--name", name, "one", "raise", "three").good()
    fleet.ended(name)
    for query, options in (("", ()), ("?failed=1", ("--failed",))):
        with urlopen(f"{address}/batch/{name}/results{query}") as answer:
            assert f'filename="{name}' in answer.headers["Content-Disposition"]
            assert answer.read().decode() == fleet.run("results", name, *options, "--in-order").out


def test_the_page_follows_the_theme(page, address):
    colours = []
    for dark in (False, True):
        page.dark(dark)
        page.open(f"{address}/throughput")
        theme = page.run("document.documentElement.dataset.bsTheme")
        assert theme == ("dark" if dark else "light")
        colours.append(page.run("getComputedStyle(document.querySelector('.gm-card:not([hidden])')).backgroundColor"))
    assert colours[0] != colours[1]


def test_a_chart_can_be_read_with_the_keyboard(page, address):
    page.open(f"{address}/throughput")
    page.until("document.getElementById('status').textContent === 'Live'")
    page.run(f"{chart('Backlog')}.querySelector('svg').focus()")
    page.key("ArrowLeft")
    said = page.until(f"{chart('Backlog')}.querySelector('[aria-live]').textContent")
    assert "cpu " in said
    assert "io " in said
    page.click(".gm-legend-item")
    page.until("document.querySelector('.gm-legend-item').getAttribute('aria-pressed') === 'false'")


def test_a_hidden_page_asks_for_nothing(page, address):
    page.open(f"{address}/throughput")
    page.until("document.getElementById('status').textContent === 'Live'")
    page.run(
        "Object.defineProperty(document, 'hidden', {get: () => window.away === true});"
        "window.asked = 0; const old = window.fetch; window.fetch = (...a) => { window.asked += 1; return old(...a); };"
        "window.away = true; document.dispatchEvent(new Event('visibilitychange'))"
    )
    assert page.text("#status") == "Paused"
    until(lambda: page.run("performance.now()") > 5_000)
    assert page.run("window.asked") <= 1
    page.run("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    page.until("window.asked > 0 && document.getElementById('status').textContent === 'Live'")


def test_the_page_the_command_metrics_and_the_batch_agree(page, fleet, address, name):
    def counted():
        with urlopen(f"{address}/metrics") as answer:
            return answer.read().decode()

    def worker():
        """What the io worker has done, as the page and as the command say it."""
        page.open(f"{address}/throughput")
        row = page.text("#workers tr:last-child").split("\t")
        (one,) = [one for one in fleet.run("workers", "--json").rows if one["queue"] == "io"]
        return sum(int(cell.replace(",", "")) for cell in row[6:8]), one["items"]

    def at_rest():
        """What the worker has done, once no item is left and a heartbeat has told of the last ones."""
        if (found := worker()) != looks[-1][1] or idle not in counted():
            looks.append((time.monotonic(), found))
        return found if time.monotonic() - looks[-1][0] > 3 else None

    def totals():
        """The succeeded and the failed items of the task since the beginning; other tests have deleted some batches."""
        line = 'gristmill_items_total{queue="io",state="%s",task="odd"} '
        text = counted()
        return [float(text.partition(line % state)[2].partition("\n")[0] or 0) for state in ("succeeded", "failed")]

    idle = 'gristmill_queue_items{queue="io"} 0.0'
    looks = [(time.monotonic(), None)]
    # Other tests may have left items that run, and the page counts plain Celery tasks too.
    before = until(at_rest, 60, "a fleet at rest")
    totals_before = totals()
    fleet.run("submit", "odd", "--name", name, *["fine", "fine", "raise"] * 20).good()
    info = fleet.ended(name)
    assert (info.succeeded, info.failed) == (40, 20)

    def agree():
        seen[:] = [now - then for now, then in zip(worker(), before, strict=True)]
        return seen == [60, 60] and idle in counted()

    seen = []
    until(agree, 60, seen)
    assert [now - then for now, then in zip(totals(), totals_before, strict=True)] == [40, 20]


def test_a_dashboard_that_is_killed_leaves_no_hole(fleet, address, name):
    (dashboard,) = [one for one in fleet.processes() if one.cmdline()[2:4] == ["-m", "gristmill.dashboard"]]
    rows = fleet.file("hole.jsonl", "\n".join(json.dumps({"what": "x", "size": n}) for n in range(12_000)))
    dashboard.kill()
    fleet.run("submit", "oddly", "--from", rows, "--input-format", "jsonl", "--name", name).good()
    fleet.ended(name)
    true = recorded(fleet, name)

    def shown():
        try:
            with urlopen(f"{address}/throughput/data?range=live") as answer:
                history = json.load(answer)["history"]
        except OSError:
            # It is being started again.
            return None
        line = history["tasks"]["oddly on cpu"]["succeeded"]
        seen = {history["first"] + n: number for n, number in enumerate(line) if number}
        return seen if set(true) <= set(seen) else None

    seen = until(shown, 60, "a dashboard that knows of every second")
    for second, items in true.items():
        assert seen[second] == pytest.approx(items, rel=0.05)


def test_the_terminal_shows_the_same_live(fleet):
    with fleet.start("workers", "--watch", "--json") as running:
        for _ in range(2):
            row = json.loads(running.line())
            assert [queue["name"] for queue in row["queues"]] == ["cpu", "io"]
            assert [worker["queue"] for worker in row["workers"]] == ["cpu", "io"]
            assert [queue["slots"] for queue in row["queues"]] == [2, 16]
        assert running.end(signal.SIGINT).code == 0
    with fleet.start("workers", "--watch") as running:
        assert running.line().split()[:2] == ["queue", "items/s"]
        assert running.line().split()[0] == "cpu"
        assert running.end(signal.SIGINT).code == 0


@pytest.mark.parametrize(("task", "queue", "value"), [("fibonacci", "cpu", 5), ("pause", "io", 0)])
def test_plain_celery_tasks_count_too(fleet, address, task, queue, value):
    def counted():
        line = f'gristmill_items_total{{queue="{queue}",state="succeeded",task="{task}"}} '
        with urlopen(f"{address}/metrics") as answer:
            found = answer.read().decode().partition(line)[2].split("\n")[0]
        return float(found or 0)

    before = counted()
    code = f"from gristmill.tasks.{task} import {task}; {task}.delay({value}).get(timeout=60)"
    fleet.process([sys.executable, "-c", code]).good()
    until(lambda: counted() == before + 1)


def test_a_workflow_is_drawn_and_leads_to_its_batches(page, fleet, address, name):
    first, taker, last = (f"{name}-{word}" for word in ("first", "taker", "last"))
    fleet.run("submit", "pause", "--name", first, *["0.01"] * 3).good()
    fleet.run("submit", "pause", "--name", taker, "--from-batch", first).good()
    fleet.run("submit", "pause", "--name", last, "--after", taker, "0.01").good()
    fleet.ended(last)
    page.open(f"{address}/batch/{taker}")
    page.until("document.querySelectorAll('#workflow rect').length === 3")
    names = page.run("[...document.querySelectorAll('#workflow .gm-chain-name')].map((each) => each.textContent)")
    assert len(names) == 3
    assert page.run("document.querySelectorAll('#workflow .gm-chain-line').length") == 2
    assert page.run("document.querySelectorAll('#workflow .gm-chain-values').length") == 1
    page.until("[...document.querySelectorAll('.gm-chain-state')].every((each) => each.textContent === 'succeeded')")
    page.until("[...document.querySelectorAll('[data-workflow-action]')].every((form) => form.hidden)")
    page.run("[...document.querySelectorAll('#workflow a')][2].dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    page.until(f"document.querySelector('h1.gm-name')?.textContent === {json.dumps(last)}")
    page.until("document.querySelector('#workflow .gm-chain-self')")
