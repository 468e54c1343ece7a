"""The settings: where they come from, and what an error says."""

import pwd
from pathlib import Path

import pytest

from gristmill.config import environment
from gristmill.config.settings import Settings, load
from gristmill.errors import SettingError
from gristmill.server.connection import with_password


def unknown(**names):
    return environment.unknown(Settings.model_fields, names)


def test_the_environment_wins_over_the_homes_file(tmp_path):
    (tmp_path / ".env").write_text("GRISTMILL_IO_SLOTS=7\nGRISTMILL_CPU_SLOTS=3\n")
    found = load({"GRISTMILL_HOME": str(tmp_path), "GRISTMILL_CPU_SLOTS": "5"})
    assert (found.io_slots, found.cpu_slots, found.home) == (7, 5, tmp_path)


def test_an_empty_variable_takes_back_what_a_file_says(tmp_path):
    (tmp_path / ".env").write_text("GRISTMILL_IO_SLOTS=7\n")
    assert load({"GRISTMILL_HOME": str(tmp_path), "GRISTMILL_IO_SLOTS": ""}).io_slots == 64


def test_lists_are_separated_by_commas():
    found = load({"GRISTMILL_TASK_MODULES": "photos, sounds", "GRISTMILL_FETCH_NETWORKS": "127.0.0.0/8,::1/128"})
    assert found.task_modules == ("photos", "sounds")
    assert [str(network) for network in found.fetch_networks] == ["127.0.0.0/8", "::1/128"]


def test_a_secret_can_come_from_a_file(tmp_path):
    secret = tmp_path / "url"
    secret.write_text("redis://:pass@host:6379/0\n")
    assert load({"GRISTMILL_REDIS_URL_FILE": str(secret)}).redis_url == "redis://:pass@host:6379/0"
    with pytest.raises(SettingError, match="both set"):
        load({"GRISTMILL_REDIS_URL_FILE": str(secret), "GRISTMILL_REDIS_URL": "redis://other"})
    with pytest.raises(SettingError, match="GRISTMILL_REDIS_URL_FILE"):
        load({"GRISTMILL_REDIS_URL_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("IO_SLOTS", "many", "an integer from 1 to 4,096"),
        ("IO_SLOTS", "0", "an integer from 1 to 4,096"),
        ("LOG_FORMAT", "xml", "one of 'text', 'json'"),
        ("CHUNK_SECONDS", "0", "a duration such as 90s or 12h, above 0 and at most 60 seconds"),
        ("FETCH_NETWORKS", "10.0.0.0/99", "networks such as 127.0.0.0/8"),
    ],
)
def test_a_wrong_value_names_itself_and_what_is_allowed(name, value, allowed):
    with pytest.raises(SettingError) as caught:
        load({f"GRISTMILL_{name}": value})
    text = str(caught.value)
    assert f" GRISTMILL_{name}: {value!r} " in text
    assert allowed in text


def test_a_wrong_url_is_not_shown_for_its_password():
    with pytest.raises(SettingError) as caught:
        load({"GRISTMILL_REDIS_URL": "http://:hunter2@host"})
    assert "hunter2" not in str(caught.value)


def test_unknown_names_come_with_the_nearest_known_one():
    assert unknown(GRISTMILL_IO_SLOT="1") == [("GRISTMILL_IO_SLOT", "GRISTMILL_IO_SLOTS")]
    assert unknown(GRISTMILL_XYZZY="1") == [("GRISTMILL_XYZZY", None)]


def test_what_kubernetes_injects_is_ignored():
    injected = {
        "GRISTMILL_SERVICE_HOST": "10.0.0.1",
        "GRISTMILL_PORT_6379_TCP": "tcp://10.0.0.1",
        "GRISTMILL_PORT": "1",
    }
    assert unknown(**injected) == []


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("redis://worker@mill:6379/0", "redis://worker:p%40ss%2F@mill:6379/0"),
        ("redis://mill", "redis://:p%40ss%2F@mill"),
        ("rediss://worker@[fd00::1]/0?ssl_ca_certs=/a@b", "rediss://worker:p%40ss%2F@[fd00::1]/0?ssl_ca_certs=/a@b"),
    ],
)
def test_a_password_of_its_own_goes_into_the_address(url, whole):
    assert with_password(url, "p@ss/") == whole
    assert with_password(url, None) == url


def test_two_passwords_are_one_too_many():
    with pytest.raises(SettingError, match="keep one") as refused:
        with_password("redis://:first@mill/0", "second")
    assert "first" not in str(refused.value)


def test_what_compose_reads_is_no_unknown_setting():
    found = unknown(GRISTMILL_SECRETS="./secrets", GRISTMILL_SECRET="x", GRISTMILL_HOME="/nowhere")
    assert [name for name, _ in found if "SECRET" in name] == ["GRISTMILL_SECRET"]


@pytest.mark.parametrize("name", ["GRISTMILL_HOME", "GRISTMILL_DATA_ROOT"])
def test_a_home_that_the_system_does_not_know(name):
    with pytest.raises(SettingError, match=rf"{name}: '~no-such-user/mill'"):
        load({name: "~no-such-user/mill"})


def test_a_user_without_a_home(monkeypatch):
    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(SettingError, match="GRISTMILL_HOME"):
        load({})
    assert load({"GRISTMILL_HOME": "/state"}).home == Path("/state")
