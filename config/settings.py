"""The settings: every `GRISTMILL_*` variable with its type, default, unit, range and help."""

import os
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from gristmill.config import environment
from gristmill.config.quantities import DURATION, SIZE, parse_duration, parse_size
from gristmill.errors import SettingError


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _seconds(value: Any) -> Any:
    try:
        return parse_duration(value)
    except ValueError:
        raise ValueError(f"be {DURATION}") from None


def _bytes(value: Any) -> Any:
    try:
        return parse_size(value)
    except ValueError:
        raise ValueError(f"be {SIZE}") from None


Duration = Annotated[float, BeforeValidator(_seconds)]
Size = Annotated[int, BeforeValidator(_bytes)]
Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_split)]


#: Settings whose value is never shown.
SECRETS = frozenset({"redis_url", "redis_password", "dashboard_password", "metrics_token"})


class Settings(BaseModel):
    """All settings, immutable. The name of a variable is `GRISTMILL_` and the field's name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(
        Path("~/.local/state/gristmill"),
        description="Directory with the private server's data, `server.json` and a `.env`.",
    )
    redis_url: str | None = Field(
        None,
        pattern=r"^rediss?://",
        description="Redis or Valkey to use, `redis://` or `rediss://`; without it `gristmill up` starts its own.",
    )
    redis_password: str | None = Field(
        None,
        description="Password for `GRISTMILL_REDIS_URL`, when that has none; as a file it is in no list of processes.",
    )
    prefix: str = Field("", max_length=64, description="Put before the name of every key on the server.")
    task_modules: Words = Field((), description="Python modules with your own tasks, separated by commas.")
    data_root: Path | None = Field(
        None, description="Directory that file items are under; unset: where `up` or `run` was started."
    )

    cpu_slots: int = Field(
        0, ge=0, le=1024, description="Processes of the cpu worker; 0: one per core that may be used."
    )
    io_slots: int = Field(64, ge=1, le=4096, description="Threads of the io worker.")
    any_pool: bool = Field(
        False, description="Let a worker start with a pool that does not suit its queue (for comparisons)."
    )
    time_limit: Duration = Field(
        3600, ge=0, le=31_536_000, description="Seconds that an item of a cpu task may take; 0: any time."
    )
    slot_memory: Size = Field(
        0,
        ge=0,
        description="Bytes that the process of a cpu slot may have; 0: its share of 80 % of the host's memory.",
    )
    drain_seconds: Duration = Field(
        10, ge=0, le=3600, description="Seconds that running items get to finish when a worker is stopped."
    )
    lease_seconds: Duration = Field(
        20, ge=2, le=3600, description="Seconds after which a silent worker's chunks are handed out again."
    )
    unknown_task_seconds: Duration = Field(
        5,
        gt=0,
        le=3600,
        description="Seconds before a message that a worker does not know (task, version) may be taken again.",
    )
    dead_letter_bytes: Size = Field(
        64 << 20,
        ge=1,
        description="Most bytes of all dead letters; beyond it messages stay on their queues, and none is dropped.",
    )
    chunk_seconds: Duration = Field(0.5, gt=0, le=60, description="Seconds of work that a chunk aims at.")
    retry_seconds: Duration = Field(
        1, gt=0, le=3600, description="Seconds before an item's second attempt; doubled for each further one."
    )
    ttl_seconds: Duration = Field(
        604_800, ge=1, le=315_360_000, description="Seconds for which a batch is kept after its end."
    )
    task_events: bool = Field(
        False,
        description="Send Celery's task events, which fill Flower's list of tasks; for some hundred a second at most.",
    )
    meters: bool = Field(True, description="Count items and times for the dashboard's Throughput page and its history.")

    dashboard_host: str = Field("127.0.0.1", description="Address that the dashboard listens on.")
    dashboard_port: int = Field(
        5555, ge=0, le=65535, description="Port of the dashboard; 0, or when it is taken: any free one."
    )
    dashboard_password: str | None = Field(
        None,
        min_length=8,
        description="Password of the dashboard, for the user `gristmill`; needed when it listens beyond this host.",
    )
    dashboard_read_only: bool = Field(False, description="Show everything, change nothing: no button of the dashboard.")
    dashboard_url_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._~/-]*$",
        description="Path below which the dashboard is served, for a proxy: `flower` makes it `/flower/`.",
    )
    metrics_token: str | None = Field(
        None, min_length=8, description="Token with which `/metrics` can be read, as `Authorization: Bearer TOKEN`."
    )
    log_format: Literal["text", "json"] = Field("text", description="Form of the workers' log lines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="Least level of the workers' log lines."
    )

    server_memory: Size = Field(
        0,
        ge=0,
        description="Bytes (`maxmemory`) of the private server; 0: half of the memory that may be used.",
    )
    server_fsync: Literal["always", "everysec"] = Field(
        "always",
        description="`appendfsync` of the private server; `everysec` may lose what a power cut takes.",
    )

    fetch_host_slots: int = Field(
        4, ge=1, le=1000, description="Most requests at once to one remote host, over the fleet."
    )
    fetch_host_rate: float = Field(
        10, gt=0, le=100_000, description="Most requests per second to one remote host, over the fleet."
    )
    fetch_connect_seconds: Duration = Field(5, gt=0, le=600, description="Seconds to wait for a connection.")
    fetch_read_seconds: Duration = Field(30, gt=0, le=3600, description="Seconds to wait for the next bytes.")
    fetch_bytes: Size = Field(100 << 20, ge=1, description="Most bytes of one body.")
    fetch_attempts: int = Field(4, ge=1, le=20, description="Most requests for one URL before it fails.")
    fetch_networks: Networks = Field(
        (), description="Networks that `fetch` may reach although they are not public, e.g. `127.0.0.0/8`."
    )

    def key(self, name: str) -> str:
        """The name of one of Gristmill's own keys on the server, with prefix and namespace."""
        return f"{self.prefix}gm1:{name}"


def variable(field: str) -> str:
    """The environment variable of a field: `io_slots` is `GRISTMILL_IO_SLOTS`."""
    return environment.PREFIX + field.upper()


def load(environ: dict[str, str] | None = None) -> Settings:
    """Read the settings from `environ` (default: the process's), the home's and the project's `.env`.

    Raises:
        SettingError: naming the variable, its value and what is allowed.
    """
    default_home = Settings.model_fields["home"].get_default()
    values = environment.read(Settings.model_fields, default_home, environ)
    try:
        found = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingError("; ".join(_explain(problem, values) for problem in error.errors())) from None
    return found.model_copy(update={"home": found.home.expanduser().absolute()})


def _explain(problem: Any, values: dict[str, str]) -> str:
    name = str(problem["loc"][0])
    # As it was written: the problem may have what a validator made of it.
    shown = "(hidden)" if name in SECRETS else repr(values[name])
    wanted = problem["msg"]
    for prefix in ("Input should ", "String should ", "Value error, "):
        wanted = wanted.removeprefix(prefix)
    return f"{variable(name)}: {shown} is not allowed: it should {wanted} ({Settings.model_fields[name].description})"


@cache
def settings() -> Settings:
    """The process's settings, read once."""
    return load()


def use(changes: dict[str, str | None]) -> Settings:
    """Change variables of this process (None removes one) and of those it starts; returns the new settings."""
    for field, value in changes.items():
        os.environ[variable(field)] = value or ""
    settings.cache_clear()
    return settings()
