"""The Docker engine, and compose projects with a name, secrets and data of their own."""

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from tests.conftest import until
from tests.support.examples import PROJECT

#: Seconds that one call of docker may take on a busy machine.
PATIENCE = 300.0
IMAGE = "gristmill-test:" + hashlib.sha256(str(PROJECT).encode()).hexdigest()[:12]


def docker(*arguments: str, check: bool = True, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run `docker` and wait until it ends; it has to succeed unless `check` is false."""
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=PROJECT, **options
    )
    assert not check or done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done


def missing() -> str | None:
    """Why there is no engine to test on; None when there is one."""
    try:
        done = docker("version", "--format", "{{.Server.Version}}", check=False)
    except OSError as error:
        return f"no docker: {error}"
    return None if done.returncode == 0 else f"no Docker engine answers: {done.stderr.strip().splitlines()[-1]}"


def engine_or_skip() -> None:
    """Skip the test when there is no engine; in CI, fail it."""
    why = missing()
    if why:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)


def main_pid(container: str) -> int:
    """The process id, on the host, of a container's main process; 0 when it does not run."""
    return int(docker("inspect", "--format", "{{.State.Pid}}", container).stdout)


def kill_main(container: str) -> None:
    """Kill a container's main process from the host, as the OOM killer would."""
    psutil.Process(main_pid(container)).kill()


class Compose:
    """A project of docker-compose.yml."""

    def __init__(self, path: Path, **settings: str) -> None:
        self.path, self.data = path, path / "data"
        self.data.mkdir(parents=True)
        self.data.chmod(0o777)
        (path / "modules").mkdir()
        self.secrets = path / "secrets"
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("GRISTMILL_")} | {
            "COMPOSE_PROJECT_NAME": f"gm-{uuid4().hex[:8]}",
            "GRISTMILL_IMAGE": IMAGE,
            "GRISTMILL_SECRETS": str(self.secrets),
            "GRISTMILL_DATA": str(self.data),
            "GRISTMILL_TASKS": str(path / "modules"),
            "GRISTMILL_COMPOSE_PORT": "0",
            **settings,
        }
        command = ["sh", PROJECT / "bin" / "secrets", self.secrets]
        subprocess.run(command, env=self.environ, check=True, capture_output=True)

    @property
    def project(self) -> str:
        return self.environ["COMPOSE_PROJECT_NAME"]

    def __call__(self, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Run `docker compose` for the project and wait until it ends."""
        return docker("compose", *arguments, env=self.environ, **options)

    def scale(self, *services: str, **numbers: int) -> None:
        """Start `services`, and bring each service in `numbers` to that number of containers."""
        scales = [f"--scale={name}={number}" for name, number in numbers.items()]
        self("up", "-d", "--no-build", "--no-recreate", *scales, *services, *numbers)

    def containers(self, service: str) -> list[str]:
        """The ids of a service's running containers."""
        return self("ps", "--quiet", service).stdout.split()

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text()

    def url(self, role: str = "producer") -> str:
        """Redis's address for the host, which reaches containers by theirs; waits until it has one."""

        def address() -> str:
            (container,) = self.containers("redis") or [""]
            networks = json.loads(docker("inspect", container).stdout)[0]["NetworkSettings"]["Networks"]
            return next(iter(networks.values()))["IPAddress"]

        return f"redis://{role}:{self.secret(f'redis_{role}')}@{until(address, what='an address')}:6379/0"

    def down(self) -> None:
        """Remove all of it, volumes too."""
        self("--profile", "tools", "down", "--volumes", "--timeout", "1", check=False)
