"""What the compose files say: every setting reaches the containers, and the secrets are those that are written."""

import os
import re
import subprocess
from itertools import takewhile

import pytest

from gristmill.config.environment import COMPOSE
from gristmill.config.settings import Settings, variable
from tests.support.examples import PROJECT
from tests.support.roles import PROGRAM_ROLES, PROGRAMS, ROLES

ONE_HOST, WORKERS = "docker-compose.yml", "docker-compose.worker.yml"
#: Settings of the private server, which no container runs.
PRIVATE = {"server_memory", "server_fsync"}
#: What a container is made with, and GRISTMILL_DATA and the secrets are for.
OWN = {"home", "redis_url", "redis_password", "data_root"}
#: Settings of workers alone.
WORKERS_ONLY = {"notify_secret"}
#: Settings of the dashboard alone.
DASHBOARD = {name for name in Settings.model_fields if name.startswith(("dashboard_", "metrics_"))}


def text(name):
    return (PROJECT / name).read_text()


def indentation(line):
    return len(line) - len(line.lstrip())


def block(name, heading):
    """The lines below a heading, up to the next one that is indented no deeper."""
    lines = text(name).splitlines()
    start = next(number for number, line in enumerate(lines) if line.strip().startswith(heading))
    below = takewhile(lambda line: not line or indentation(line) > indentation(lines[start]), lines[start + 1 :])
    return [line.strip() for line in below if line]


@pytest.mark.parametrize("name", [ONE_HOST, WORKERS])
def test_every_setting_reaches_every_container(name):
    everywhere = Settings.model_fields.keys() - PRIVATE - OWN - DASHBOARD - WORKERS_ONLY
    assert sorted(block(name, "x-settings:")) == sorted(f"{variable(field)}:" for field in everywhere)
    headings = ("x-worker:", "flower:", "producer:", "programs:", "program-producer:")
    services = [heading for heading in headings if heading in text(name)]
    for service in services:
        assert "<<: *settings" in block(name, service), service
    assert [line for line in block(name, "x-worker:") if "NOTIFY" in line] == ["GRISTMILL_NOTIFY_SECRET:"]
    assert text(name).count("GRISTMILL_NOTIFY_SECRET") == 1


def test_programs_run_below_a_prefix_of_their_own_by_users_of_their_own():
    for service, role in (("programs:", "program_worker"), ("program-producer:", "program_producer")):
        lines = block(ONE_HOST, service)
        assert f"GRISTMILL_REDIS_URL: redis://{role}@redis:6379/0" in lines
        assert f"GRISTMILL_REDIS_PASSWORD_FILE: /run/secrets/redis_{role}" in lines
        assert f'GRISTMILL_PREFIX: "${{GRISTMILL_PREFIX:-}}{PROGRAMS}"' in lines
        assert f"secrets: [redis_{role}]" in lines
        assert any(role in line for line in text("docker-compose.sentinel.yml").splitlines())
    assert "GRISTMILL_COMMANDS: any" in block(ONE_HOST, "programs:")
    assert [text(name).count("GRISTMILL_COMMANDS: any") for name in (ONE_HOST, WORKERS)] == [1, 0]


def test_tls_of_three_servers_changes_the_scheme_of_each_address_and_nothing_else():
    files = "docker-compose.sentinel.yml", "docker-compose.sentinel-tls.yml"
    plain, encrypted = (re.findall(r"rediss?-sentinel://\S+", text(name)) for name in files)
    trust = "&ssl_ca_certs=/run/secrets/ca.pem"
    assert [url.replace("redis-", "rediss-", 1) + trust for url in plain] == encrypted
    assert len(plain) == 5


def test_every_setting_of_the_dashboard_reaches_it():
    passed = {line.partition(":")[0].removesuffix("_FILE") for line in block(ONE_HOST, "flower:")}
    assert {variable(field) for field in DASHBOARD} <= passed


def test_names_of_compose_alone_are_known():
    """What the files interpolate is a setting, or stands in the list of names that are not settings."""
    used = {match for name in (ONE_HOST, WORKERS) for match in re.findall(r"\$\{(GRISTMILL_\w+)", text(name))}
    assert used - {variable(field) for field in Settings.model_fields} == set(COMPOSE)


def users(tmp_path, prefix):
    environ = {**os.environ, "GRISTMILL_PREFIX": prefix}
    command = ["sh", PROJECT / "bin" / "secrets", tmp_path / "secrets"]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if result.returncode:
        return result.returncode, result.stderr
    lines = (tmp_path / "secrets" / "redis.acl").read_text().splitlines()
    return 0, {line.split(" ")[1]: line.split(" ")[2:] for line in lines}


def test_the_users_have_their_rights_below_the_prefix(tmp_path):
    _, plain = users(tmp_path, "")
    _, prefixed = users(tmp_path, "shop:")
    assert plain.keys() == prefixed.keys() == {"default", *ROLES, *PROGRAM_ROLES}
    assert prefixed["default"] == plain["default"]
    for role in PROGRAM_ROLES:
        patterns = [word for word in prefixed[role] if re.match(r"\(?(%R~|~|&)", word)]
        assert len(patterns) >= 7
        assert [word for word in patterns if not re.match(rf"\(?(%R~|~|&)shop:{PROGRAMS}", word)] == []
    for role in ROLES:
        patterns = [word for word in prefixed[role] if re.match(r"\(?(%R~|~|&)", word)]
        assert len(patterns) >= 7
        assert [word for word in patterns if not re.match(r"\(?(%R~|~|&)shop:", word)] == []
        assert [word.replace("shop:", "") for word in prefixed[role]] == plain[role]


def test_a_prefix_that_is_a_pattern_is_refused(tmp_path):
    code, error = users(tmp_path, "a*")
    assert code == 2
    assert "GRISTMILL_PREFIX: 'a*'" in error
    assert not (tmp_path / "secrets").exists()
