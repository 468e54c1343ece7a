"""The page Busy in a real browser: what runs is there, and its button ends one item."""

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest


def row(name, index):
    """A JavaScript expression for the row of an item."""
    return f"document.querySelector('tr[data-batch={json.dumps(name)}][data-index=\"{index}\"]')"


def test_an_item_is_listed_and_its_button_ends_it(page, fleet, address, name):
    fleet.run("submit", "dawdle", "600", "500", "--name", name).good()
    page.open(f"{address}/busy")
    assert page.text(".app-nav a.active") == "Busy"
    page.until(f"{row(name, 0)} && {row(name, 1)}")
    page.until(f"{row(name, 0)}.querySelector('progress')")
    text = page.run(f"{row(name, 0)}.textContent")
    assert "600" in text
    assert "cpu@" in text
    assert str(fleet_pid(fleet, name, 0)) in text

    # It asks, and takes no for an answer.
    page.run(f"window.confirm = () => false; {row(name, 0)}.querySelector('button').click()")
    page.run("window.confirm = () => true")
    page.run(f"{row(name, 0)}.querySelector('button').click()")
    page.until(f"document.getElementById('rows') && !{row(name, 0)} && {row(name, 1)}")
    info = fleet.info(name)
    assert (info.cancelled, info.left) == (1, 1)

    page.open(f"{address}/batch/{name}")
    page.until("document.getElementById('words').textContent.includes('item 1 runs for')")
    fleet.run("cancel", name, "--item", "1").good()
    assert fleet.ended(name).cancelled == 2


def test_the_page_of_a_batch_has_its_labels_and_its_notice(page, fleet, address, name, site):
    options = ("--label", "team=maps", "--label", "env=test", "--notify", site.url("/token-9f3"), "--name", name)
    fleet.run("submit", "idle", "0", *options).good()
    fleet.ended(name)
    page.open(f"{address}/batch/{name}")
    rows = (
        "[...document.querySelectorAll('#counts div')].map((row) => [...row.children].map((cell) => cell.textContent))"
    )
    counts = f"Object.fromEntries({rows})"
    page.until(f"({counts}).Notice && ({counts}).Notice.startsWith('succeeded: delivered')")
    values = page.run(counts)
    assert (values["Labels"], values["Notifies"]) == ("env=test, team=maps", site.url(""))
    assert "token-9f3" not in page.run("document.documentElement.outerHTML")


def test_the_page_of_a_batch_has_its_slowest_items(page, fleet, address, name):
    fleet.run("submit", "dawdle", "0", "1", "0.3", "--name", name).good()
    fleet.ended(name)
    page.open(f"{address}/batch/{name}")
    page.until("document.querySelectorAll('#slowest tr').length === 3")
    indexes = page.run("[...document.querySelectorAll('#slowest th')].map((cell) => cell.textContent)")
    assert indexes == ["#1", "#2", "#0"]


def fleet_pid(fleet, name, index):
    """The process that runs an item."""
    rows = [json.loads(line) for line in fleet.run("busy", name, "--json").good().out.splitlines()]
    return next(one["pid"] for one in rows if one["index"] == index)


def test_without_the_token_of_a_page_nothing_ends(fleet, address, name):
    fleet.run("submit", "dawdle", "600", "--name", name).good()
    request = Request(f"{address}/batch/{name}/item/0/cancel", data=b"", method="POST")
    with pytest.raises(HTTPError) as refusal:
        urlopen(request, timeout=30)
    with refusal.value as answer:
        assert answer.code == 403
    assert fleet.info(name).cancelled == 0
    fleet.run("cancel", name, "--item", "0").good()
    assert fleet.ended(name).cancelled == 1
