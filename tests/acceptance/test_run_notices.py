"""`gristmill run --notify` with a fleet of its own, which ends with the command: the notice is sent before."""

import base64
import hashlib
import hmac
import json
import secrets

import pytest

from tests.support.website import in_turn, running_site, says


@pytest.fixture
def site():
    with running_site() as site:
        yield site


def test_run_sends_its_notice_before_its_fleet_ends(place, site, tmp_path):
    key = secrets.token_bytes(32)
    (tmp_path / "secret").write_text(f"whsec_{base64.b64encode(key).decode()}\n")
    place.environ["GRISTMILL_NOTIFY_SECRET_FILE"] = str(tmp_path / "secret")
    place.environ["GRISTMILL_NOTIFY_NETWORKS"] = "127.0.0.0/8"
    site.routes["/token"] = in_turn(says(b"", 204), says(b"", 500))
    done = place.run("run", "fibonacci", "20", "21", "--name", "quick", "--notify", site.url("/token"))
    assert (done.code, done.out.count("\n")) == (0, 2)
    ((_, headers, body),) = site.posts
    assert json.loads(body)["type"] == "batch.succeeded"
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    signature = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    (row,) = [row for row in place.run("batches", "--json").rows if row["name"] == "quick"]
    assert (row["notify"], row["notice"]["state"]) == (site.url(""), "delivered")

    done = place.run("run", "fibonacci", "20", "--name", "again", "--notify", site.url("/token"))
    assert done.code == 0
    assert f"{site.url('')}: answered 500" in done.err
    assert "token" not in done.err
