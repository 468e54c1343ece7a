"""Who submitted a batch, also where the system has no name for the user."""

import os
import pwd
import socket

from gristmill.server.identity import user_at_host


def test_a_user_with_a_name(monkeypatch):
    monkeypatch.setenv("LOGNAME", "ann")
    assert user_at_host() == f"ann@{socket.gethostname()}"


def test_a_user_without_a_name_is_a_number(monkeypatch):
    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert user_at_host() == f"{os.getuid()}@{socket.gethostname()}"
