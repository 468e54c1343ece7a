"""`notify` of a batch, of a schedule and of an open batch: which URLs it takes, and what is kept of them."""

import pytest

from gristmill import cpu, schedule, submit
from gristmill.config.settings import load
from gristmill.errors import InputError
from gristmill.producer.batch_options import BatchOptions
from gristmill.worker.upkeep.scheduler import Scheduler
from tests.support.ledger import enlist, heal, info, run_all

HOOK = "https://hooks.example/s3cret"


@cpu(name="notify.number")
def number(n: int) -> int:
    """Return it."""
    return n


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        (HOOK, HOOK),
        ("https://Hooks.example:443/a b?c=d#e", "https://hooks.example/a%20b?c=d"),
        ("http://198.41.0.4:8080", "http://198.41.0.4:8080/"),
    ],
)
def test_a_url_is_kept_in_its_normal_form(url, normal):
    assert BatchOptions.of(notify=url).fields()["notify"] == normal


@pytest.mark.parametrize(
    "url",
    [
        *("s3cret", "ftp://h/s3cret", "https://me:s3cret@h/", "http:///s3cret", "https://[/s3cret", "https://h.ä%/s3cret"),
        *("http://127.0.0.1/s3cret", "http://127.1/s3cret", "http://[::1]/s3cret", "http://169.254.169.254/s3cret"),
        *("https://h:99999/s3cret", f"https://h/s3cret{9000 * 'x'}", 7, b"s3cret"),
    ],
)  # fmt: skip
def test_what_is_no_url_is_refused_without_showing_it(url):
    with pytest.raises(InputError) as error:
        BatchOptions.of(notify=url)
    assert "notify" in str(error.value)
    assert "s3cret" not in str(error.value)


def test_a_network_that_a_setting_allows(monkeypatch):
    monkeypatch.setattr(
        "gristmill.producer.notify.settings", lambda: load({"GRISTMILL_NOTIFY_NETWORKS": "127.0.0.0/8"})
    )
    assert BatchOptions.of(notify="http://127.0.0.1/").fields()["notify"] == "http://127.0.0.1/"


def test_a_batch_of_python(here):
    batch = submit(number, [1], notify=HOOK)
    assert batch.info().notify == "https://hooks.example"
    assert here.state(batch.name)["stuck_after"] == "7200000"
    assert "stuck_after" not in BatchOptions.of().fields()


def test_each_batch_of_a_schedule_notifies(here, clock):
    nightly = schedule(number, [1], name="s", every="60s", priority=0, notify=HOOK)
    scheduler = Scheduler(here.client, here.settings)
    for minute in (1, 2):
        for _ in range(60):
            clock.pass_by(1)
            scheduler.step()
        assert len(here.names()) == minute
        enlist(here)
        heal(here)
        run_all(here)
    assert here.client.zcard(here.settings.key("notices")) == 2
    assert [info(here, name).notice["event"] for name in here.names()] == ["succeeded", "succeeded"]
    assert "s3cret" not in str(nightly.info().as_dict())
