"""Workers that send notices are killed before and after the POST: the receiver gets each at least once, with its id."""

import json
import os
import random
import signal
import sys
from collections import Counter

import pytest
from redis import Redis

from gristmill.batches.notices import Notices
from gristmill.config.settings import load
from gristmill.server.waiting import COMMAND, Patience
from gristmill.worker.upkeep.notifier import Notifier
from tests.conftest import until
from tests.support.forked import popen
from tests.support.ledger import info, run_all, submit
from tests.support.proxy import Proxy
from tests.support.website import running_site, says

#: Looks and sends until nothing is left, and dies where the word says: before a POST, or with it.
SENDER = """
import os, signal, sys, time
import pytest
from redis import Redis
from gristmill.config.settings import load
from gristmill.worker.upkeep import notifier
from gristmill.worker.upkeep.webhook import send

url, prefix, kill_at = sys.argv[1:]
notifier.CLAIM_SECONDS = 1.0
number = 0

def dies(notice, settings):
    global number
    number += 1
    if number == int(kill_at):
        os.kill(os.getpid(), signal.SIGKILL)
    send(notice, settings)

notifier.send = dies
client = Redis.from_url(url, decode_responses=True)
settings = load({"GRISTMILL_PREFIX": prefix, "GRISTMILL_NOTIFY_NETWORKS": "127.0.0.0/8"})
one = notifier.Notifier(client, client, settings)
while client.exists(settings.key("notices")):
    one.send_due()
    time.sleep(0.05)
"""
NOTICES, KILLS = 20, 6


class Killer:
    """A route that kills the process that posts, before it has an answer, with some chance."""

    def __init__(self, seed):
        self.luck, self.senders, self.kills = random.Random(seed), [], 0

    def __call__(self, handler):
        if self.luck.random() < 0.5 and self.kills < KILLS // 2:
            self.kills += 1
            for sender in self.senders:
                os.kill(sender.pid, signal.SIGKILL)
                sender.wait()
        says(b"", 200)(handler)


def test_each_notice_arrives_whoever_is_killed(ledger, server, record_property):
    with running_site() as site:
        killer = site.routes["/"] = Killer(1)
        for number in range(NOTICES):
            submit(ledger, f"b{number}", 1, notify=site.url("/"))
        run_all(ledger)
        started = killed = 0
        left = KILLS // 2
        while ledger.client.exists(ledger.settings.key("notices")):
            kill_at = killer.luck.randint(1, 4) if left else 0
            arguments = [server.url, ledger.settings.prefix, str(kill_at)]
            sender = popen([sys.executable, "-c", SENDER, *arguments], env=os.environ)
            killer.senders[:] = [sender]
            started += 1
            if sender.wait(60) == -signal.SIGKILL:
                killed += 1
                left -= 1 if left else 0
            assert started < 100
        arrived = Counter(headers["webhook-id"] for _, headers, _ in site.posts)
        told = Counter(json.loads(body)["data"]["name"] for _, _, body in site.posts)
    assert killed >= KILLS // 2
    assert (len(arrived), len(told)) == (NOTICES, NOTICES), "lost, or told under two ids"
    assert sum(arrived.values()) - NOTICES <= killed, "sent again without a kill"
    states = {info(ledger, f"b{number}").notice["state"] for number in range(NOTICES)}
    assert states == {"delivered"}
    record_property("counts", f"{NOTICES} notices, {killed} kills, {sum(arrived.values())} posts, {len(arrived)} ids")


@pytest.mark.parametrize("words", [b"msg_", b"delivered"])
def test_answers_of_the_server_that_are_cut(ledger, server, words):
    with running_site() as site, Proxy(server.port, seed=3) as proxy:
        site.routes["/"] = says(b"", 200)
        for number in range(NOTICES):
            submit(ledger, f"b{number}", 1, notify=site.url("/"))
        run_all(ledger)
        url = server.url.replace(str(server.port), str(proxy.port))
        settings = load({"GRISTMILL_PREFIX": ledger.settings.prefix, "GRISTMILL_NOTIFY_NETWORKS": "127.0.0.0/8"})
        with Redis.from_url(url, decode_responses=True, retry=Patience(COMMAND)) as cut:
            notifier = Notifier(cut, cut, settings)
            proxy.cut_next(words, times=5)
            until(lambda: notifier.send_due() is not None and not due(ledger))
        assert proxy.cuts == 5
        arrived = Counter(headers["webhook-id"] for _, headers, _ in site.posts)
    assert sorted(arrived.values()) == [1] * NOTICES


def due(ledger):
    return Notices(ledger.client, ledger.settings).look()[0]
