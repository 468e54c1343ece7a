"""What the receiver of notices got, and settings with which notices may go to this host."""

import base64
import json

from gristmill.config.settings import load

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


def settings_of(ledger, **changed):
    usual = {"prefix": ledger.settings.prefix, "notify_networks": "127.0.0.0/8", "notify_secret": SECRET}
    return load({f"GRISTMILL_{name.upper()}": str(value) for name, value in {**usual, **changed}.items()})


def told(site):
    return [json.loads(body) for _, _, body in site.posts]


def ids(site):
    return [headers["webhook-id"] for _, headers, _ in site.posts]
