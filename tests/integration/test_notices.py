"""Notices on a real server, sent to a web server of this host: what is told, when, how often, what is shown of it."""

import base64
import hashlib
import hmac
import json
import logging
from datetime import datetime

import pytest

from gristmill.batches.notices import Notices
from gristmill.batches.repair import Repair
from gristmill.errors import ServerError
from gristmill.server.scripts import Scripts
from gristmill.worker.upkeep import webhook
from gristmill.worker.upkeep.notifier import CLAIM_SECONDS, LONGEST_PAUSE, Notifier
from tests.support.ledger import WORKER, info, outcomes, pop, run_all, submit
from tests.support.notices import KEY, ids, settings_of, told
from tests.support.website import in_turn, raw, says

#: By how it ended: what the receiver gets as the event, the batch's state and its exit code.
ENDS = {
    "succeeded": ("succeeded", "succeeded", 0),
    "failed": ("failed", "failed", 1),
    "cancelled": ("cancelled", "cancelled", 1),
    "halted": ("halted", "cancelled", 1),
    "enough": ("halted", "cancelled", 0),
}


class TestEnds:
    def end(self, here, control, how, **fields):
        halt = {"halted": "fail=1", "enough": "success=1"}.get(how)
        submit(here, "b", 3, **fields, **({"halt": halt} if halt else {}))
        if how == "cancelled":
            control.cancel("b", "by somebody")
        elif halt:
            chunk, word = pop(here), "failed" if how == "halted" else "succeeded"
            here.record(chunk, outcomes(here.take(chunk).items, word), 0.1, WORKER)
        else:
            run_all(here, state="failed" if how == "failed" else "succeeded")

    @pytest.mark.parametrize("how", ENDS)
    def test_each_is_told_once(self, here, control, notifier, site, url, how):
        event, state, code = ENDS[how]
        self.end(here, control, how, notify=url)
        waiting = info(here, "b")
        assert (waiting.notice["event"], waiting.notice["state"], waiting.notice["tries"]) == (event, "pending", 0)
        assert [notifier.send_due(), notifier.send_due()] == [1, 0]
        ((path, _, body),) = site.posts
        assert path == "/token?key=hidden"
        message = json.loads(body)
        ended = info(here, "b")
        assert (message["type"], message["data"]["state"]) == (f"batch.{event}", state)
        assert message["data"]["exit_code"] == ended.exit_code == code
        assert datetime.fromisoformat(message["timestamp"]).timestamp() == ended.finished
        assert {"notify", "notice"} & message["data"].keys() == set()
        shown = ended.as_dict()
        del shown["notify"], shown["notice"]
        assert message["data"] == {**shown, "exit_code": code}
        notice = ended.notice
        assert (notice["event"], notice["state"], notice["tries"], notice["error"]) == (event, "delivered", 1, None)
        assert list(here.client.scan_iter(here.settings.key("notice*"))) == []

    def test_without_notify_nothing_is_told(self, here, notifier):
        submit(here, "b", 3)
        run_all(here)
        assert (notifier.send_due(), info(here, "b").notify, info(here, "b").notice) == (0, None, None)

    def test_a_retry_ends_it_again(self, here, control, notifier, site, url):
        self.end(here, control, "halted", notify=url)
        notifier.send_due()
        while pop(here):
            "what the halt has left on the queue"
        assert control.retry("b", cancelled=True) == 3
        here.client.hdel(here.key("b", "state"), "halt")
        run_all(here)
        assert notifier.send_due() == 1
        assert [message["type"] for message in told(site)] == ["batch.halted", "batch.succeeded"]
        assert len({*ids(site)}) == 2

    def test_it_is_signed_as_the_specification_says(self, here, control, notifier, site, url):
        self.end(here, control, "succeeded", notify=url)
        notifier.send_due()
        ((_, headers, body),) = site.posts
        text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        signature = base64.b64encode(hmac.new(KEY, text, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{signature}"
        assert headers["Content-Type"] == "application/json"
        now = here.client.time()[0]
        assert int(headers["webhook-timestamp"]) == pytest.approx(now, abs=30)

    def test_without_a_secret_it_is_not_signed(self, here, control, site, url):
        self.end(here, control, "succeeded", notify=url)
        Notifier(here.client, here.client, settings_of(here, notify_secret="")).send_due()
        ((_, headers, _),) = site.posts
        assert "webhook-id" in headers
        assert "webhook-signature" not in headers

    def test_a_deleted_batch_has_ended_all_the_same(self, here, control, notifier, site, url):
        self.end(here, control, "succeeded", notify=url)
        here.delete("b")
        submit(here, "b", 1)
        assert notifier.send_due() == 1
        assert (len(site.posts), info(here, "b").notice) == (1, None)

    def test_what_a_torn_server_did_not_write_is_told(self, here, control, notifier, site, url):
        self.end(here, control, "succeeded", notify=url)
        (notice,) = here.client.zrange(here.settings.key("notices"), 0, -1)
        here.client.delete(here.settings.key("notices"))
        here.client.hdel(here.key("b", "state"), "notice")
        here.client.zadd(here.settings.key("active"), {"b": 1})
        repair = Repair(here.client, here.settings)
        assert repair.examine("b")["not_told"] == 1
        assert repair.mend("b")["not_told"] == 1
        assert repair.examine("b") == {}
        assert notifier.send_due() == 1
        assert ids(site) == [notice]


class TestTries:
    @pytest.fixture(autouse=True)
    def _ended(self, here, clock, url):
        submit(here, "b", 1, notify=url)
        run_all(here)

    def notice(self, here):
        shown = info(here, "b").notice
        return shown["state"], shown["tries"], shown["error"]

    def test_an_error_and_then_an_answer(self, here, clock, notifier, site):
        site.routes["/token"] = in_turn(says(b"", 500), says(b"", 429), says(b"", 200))
        assert notifier.send_due() == 0
        assert self.notice(here) == ("pending", 1, f"{site.url('')}: answered 500")
        assert notifier.send_due() == 0, "before its time"
        clock.pass_by(2)
        notifier.send_due()
        assert self.notice(here) == ("pending", 2, f"{site.url('')}: answered 429")
        clock.pass_by(4)
        assert notifier.send_due() == 1
        assert self.notice(here) == ("delivered", 3, None)
        assert len({*ids(site)}) == 1
        assert len({body for _, _, body in site.posts}) == 1

    def test_one_that_hangs(self, here, notifier, site, monkeypatch):
        monkeypatch.setattr(webhook, "BOUNDS", webhook.RequestLimits(1, 0.2, 0.5, 0))
        site.routes["/token"] = in_turn(
            lambda _: site.over.wait(5), raw(b"HTTP/1.1 200 OK\r\n", forever=b"a: b\r\n", seconds=0.05)
        )
        assert notifier.send_due() == 0
        assert self.notice(here) == ("pending", 1, f"{site.url('')}: timed out reading")
        here.client.zadd(here.settings.key("notices"), {ids(site)[0]: 0})
        assert notifier.send_due() == 0
        assert self.notice(here) == ("pending", 2, f"{site.url('')}: the answer took over 0.5 s")

    def test_nobody_listens(self, here, notifier, site):
        site.server_close()
        assert notifier.send_due() == 0
        assert self.notice(here)[:2] == ("pending", 1)

    def test_addresses_that_are_not_public_are_refused(self, here, site):
        assert Notifier(here.client, here.client, settings_of(here, notify_networks="")).send_due() == 0
        state, tries, error = self.notice(here)
        assert (state, tries) == ("failed", 1)
        assert "GRISTMILL_NOTIFY_NETWORKS" in error
        assert "127.0.0.1 is a loopback address" in error
        assert site.posts == []
        (left,) = Notices(here.client, here.settings).undelivered()
        assert (left.batch, left.to, left.state, left.error) == ("b", site.url(""), "failed", error)

    def test_one_that_was_given_up_is_sent_again_when_somebody_asks(self, here, notifier, site):
        Notifier(here.client, here.client, settings_of(here, notify_networks="")).send_due()
        notice, repair = info(here, "b").notice["id"], Repair(here.client, here.settings)
        assert repair.examine("b") == {"not_told": 1}
        assert notifier.send_due() == 0
        assert repair.mend("b") == {"not_told": 1}
        assert repair.mend("b") == {}
        assert self.notice(here) == ("pending", 0, None)
        assert Notices(here.client, here.settings).undelivered() == []
        assert notifier.send_due() == 1
        assert ids(site) == [notice]
        assert self.notice(here) == ("delivered", 1, None)
        assert repair.mend("b") == {}

    def test_a_name_that_leads_to_this_host_is_refused(self, here, control, site):
        control.retry("b")
        here.client.hset(here.key("b", "state"), "notify", site.url("/token", "localhost"))
        here.client.hset(
            here.settings.key(f"notice:{info(here, 'b').notice['id']}"), "notify", site.url("/", "localhost")
        )
        Notifier(here.client, here.client, settings_of(here, notify_networks="")).send_due()
        assert self.notice(here)[0] == "failed"
        assert site.posts == []

    def test_a_redirect_is_not_followed(self, here, notifier, site):
        site.routes["/token"] = says(b"", 307, location="/elsewhere")
        assert notifier.send_due() == 0
        assert self.notice(here) == ("pending", 1, f"{site.url('')}: answered 307")
        assert [path for path, _, _ in site.posts] == ["/token?key=hidden"]

    def test_a_receiver_that_is_gone_gets_no_more(self, here, notifier, site):
        site.routes["/token"] = says(b"", 410)
        notifier.send_due()
        assert self.notice(here)[:2] == ("failed", 1)

    def test_tries_end(self, here, clock, notifier, site):
        site.routes["/token"] = says(b"", 503)
        for _ in range(200):
            notifier.send_due()
            if self.notice(here)[0] == "failed":
                break
            clock.pass_by(LONGEST_PAUSE)
        assert self.notice(here)[0] == "failed"
        assert 86_400 / LONGEST_PAUSE <= len(site.posts) <= 86_400 / LONGEST_PAUSE + 3
        assert len({*ids(site)}) == 1
        clock.pass_by(LONGEST_PAUSE)
        assert notifier.send_due() == 0

    def test_what_a_dead_worker_had_claimed_is_sent(self, here, clock, notifier, site):
        claim = Notices(here.client, here.settings).claim(CLAIM_SECONDS)
        assert notifier.send_due() == 0
        clock.pass_by(CLAIM_SECONDS)
        assert notifier.send_due() == 1
        assert ids(site) == [claim.id]

    def test_a_late_note_changes_nothing(self, here, clock, notifier):
        notices = Notices(here.client, here.settings)
        first = notices.claim(1)
        clock.pass_by(1)
        second = notices.claim(1)
        assert (first.id, first.tries, second.tries) == (second.id, 1, 2)
        notices.give_up(first, "too late")
        assert self.notice(here)[0] == "pending"
        notices.note_delivery(first)
        assert self.notice(here)[0] == "delivered"
        notices.put_off(second, "again", 1)
        assert self.notice(here)[0] == "delivered"
        clock.pass_by(60)
        assert notifier.send_due() == 0

    def test_a_claim_whose_answer_was_lost_is_the_same_one(self, here):
        call = Scripts(here.client, here.settings.prefix, "batches").call
        assert call("claim_notice", token="t", lease=1000) == call("claim_notice", token="t", lease=1000)
        assert call("claim_notice", token="u", lease=1000) is None

    def test_nothing_is_sent_that_no_replica_has(self, here, site):
        confirming = settings_of(here, confirm_replicas=1, confirm_seconds=0.1)
        with pytest.raises(ServerError):
            Notifier(here.client, here.client, confirming).send_due()
        assert site.posts == []

    def test_the_secret_of_the_url_is_nowhere(self, here, notifier, site, caplog):
        caplog.set_level(logging.DEBUG)
        site.routes["/token"] = says(b"", 500)
        seen = [json.dumps(info(here, "b").as_dict())]
        for networks in ("127.0.0.0/8", ""):
            here.client.zadd(here.settings.key("notices"), {info(here, "b").notice["id"]: 0})
            Notifier(here.client, here.client, settings_of(here, notify_networks=networks)).send_due()
            seen += [json.dumps(info(here, "b").as_dict()), str(Notices(here.client, here.settings).undelivered())]
        assert self.notice(here)[0] == "failed"
        assert site.url("") in seen[0]
        assert not any(part in text for text in [*seen, caplog.text] for part in ("hidden", "token"))
        (_, _, body) = site.posts[0]
        assert b"hidden" not in body
