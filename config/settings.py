"""The settings: every `GRISTMILL_*` variable with its type, default, unit, range and help."""

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from gristmill.config import environment, start_methods
from gristmill.config.expectation import describe
from gristmill.config.setting_types import (
    Directory,
    Duration,
    Logins,
    Networks,
    Password,
    SigningSecret,
    Size,
    Words,
    pattern,
    takes,
)
from gristmill.errors import SettingError, invalid_value

#: Settings whose value no error shows.
SECRETS = frozenset(
    {"redis_url", "redis_password", "dashboard_password", "dashboard_operators", "dashboard_viewers"}
    | {"metrics_token", "notify_secret"}
)


class Settings(BaseModel):
    """All settings, immutable. The name of a variable is `GRISTMILL_` and the field's name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Directory = Field(
        environment.DEFAULT_HOME, description="Directory of the private server's data, `server.json` and a `.env`."
    )
    redis_url: Annotated[
        str | None, takes("`redis://…` or `rediss://…`; behind Sentinel `redis-sentinel://…` or `rediss-sentinel://…`")
    ] = Field(
        None,
        pattern=r"^rediss?(-sentinel)?://",
        description="Address of the Redis or Valkey server to use; without it `gristmill up` starts a private one.",
    )
    redis_password: Annotated[str | None, takes("text")] = Field(
        None,
        description="Password for `GRISTMILL_REDIS_URL`, if that has none; in a file, no list of processes shows it.",
    )
    confirm_replicas: int = Field(
        0,
        ge=0,
        le=10,
        description="Replicas that must have a write on disk before it counts as done, and before it is shown.",
    )
    confirm_seconds: Duration = Field(
        5, gt=0, le=600, description="Time to wait for the replicas that confirm a write."
    )
    prefix: Annotated[str, takes("text of up to 64 characters")] = Field(
        "", max_length=64, description="Text before the name of every key on the server."
    )
    stock_queues: Words = Field((), description="Queues of stock Celery workers: messages to them are put on lists.")
    take_lists: bool = Field(
        False,
        description="Take the messages that stock Celery senders put on the lists of our queues.",
    )
    task_modules: Words = Field((), description="Python modules with your own tasks.")
    data_root: Annotated[Path | None, takes("a directory")] = Field(
        None,
        description="Directory below which tasks open and make files; unset: where `up` or `run` was started.",
    )
    shared_data_root: bool = Field(
        False,
        description="The data root is one directory that all hosts see: values over 1 MiB go into files there.",
    )
    value_bytes: Size = Field(
        1 << 30, ge=1 << 20, description="Size of one value as JSON, at most, where the data root is shared."
    )

    cpu_slots: int = Field(
        0, ge=0, le=1024, description="Processes of the cpu worker; 0: one for each core that it may use."
    )
    io_slots: int = Field(
        64, ge=1, le=4096, description="Threads of the io worker. If unset, `up` starts with 64 and tunes the number."
    )
    async_slots: int = Field(
        1000, ge=1, le=100_000, description="Items of `async def` tasks that an io worker runs at once."
    )
    start_method: Annotated[str, AfterValidator(start_methods.checked), takes(start_methods.EXPECTATION)] = Field(
        start_methods.FORK, description="How workers start the processes of their pools."
    )
    max_items_per_process: int = Field(
        0,
        ge=0,
        le=1_000_000_000,
        description="Items that a process of a cpu slot runs before it is replaced; 0: any number.",
    )
    any_pool: bool = Field(
        False, description="Let a worker, or a batch, use a queue of the other kind, for comparisons."
    )
    machine_name: str = Field("", max_length=64, description="Name of the machine, which containers do not see.")
    commands: Literal["off", "any"] | None = Field(
        None,
        description="Whether workers run programs (`gristmill run -- PROGRAM`); unset: `any` on a private server, and "
        "else `off`.",
    )
    time_limit: Duration = Field(
        3600,
        ge=0,
        le=31_536_000,
        description="Time that an item of a cpu or `async def` task may take, or the task's setup; 0: no limit.",
    )
    slot_memory: Size = Field(
        0,
        ge=0,
        description="Memory that the process of a cpu slot may have; 0: its share of 80 % of the host's memory.",
    )
    worker_memory: Size = Field(
        0,
        ge=0,
        description="Memory that the items of one worker may reserve together; 0: 80 % of the host's memory.",
    )
    drain_seconds: Duration = Field(
        10, ge=0, le=3600, description="Time that running items have to finish when a worker is stopped."
    )
    lease_seconds: Duration = Field(
        20, ge=2, le=3600, description="Time after which other workers take over the chunks of a silent worker."
    )
    unknown_task_seconds: Duration = Field(
        86_400,
        gt=0,
        le=31_536_000,
        description="Time after which a message whose task no worker knows becomes a dead letter.",
    )
    dead_letter_bytes: Size = Field(
        64 << 20,
        ge=1,
        description="Size of all dead letters together; when it is reached, messages stay on their queues.",
    )
    chunk_seconds: Duration = Field(0.5, gt=0, le=60, description="Run time that a chunk of items aims at.")
    retry_seconds: Duration = Field(
        1, gt=0, le=3600, description="Time before the second attempt, then doubled each time; programs: 0 unless set."
    )
    ttl_seconds: Duration = Field(
        604_800, ge=1, le=315_360_000, description="Time for which the server keeps a batch after it ends."
    )
    keep_logs: Literal["failed", "all", "none"] = Field(
        "failed", description="Items whose output the server keeps with their outcome, unless a batch says otherwise."
    )
    log_bytes: Size = Field(
        8 << 10,
        ge=0,
        le=1 << 20,
        description="Size of what is kept of an item's output: its end; 0: workers capture no output.",
    )
    redact: Annotated[str, AfterValidator(pattern), takes("a regular expression")] = Field(
        "", description="What workers replace by `***` in the output of items, line by line, before they pass it on."
    )
    batch_log_bytes: Size = Field(
        16 << 20, ge=0, description="Size of the output that the server keeps of all items of a batch together."
    )
    task_events: bool = Field(
        False,
        description="Send Celery's task events, which fill Flower's list of tasks; for a few hundred a second at most.",
    )
    meters: bool = Field(True, description="Count items and times for the dashboard's Throughput page and its history.")

    dashboard_host: str = Field("127.0.0.1", description="Address that the dashboard listens on.")
    dashboard_port: int = Field(
        5555, ge=0, le=65535, description="Port of the dashboard; 0, or if it is in use: any free one."
    )
    dashboard_password: Password | None = Field(
        None, description="Password of the dashboard, for the user `gristmill`; required to listen beyond this host."
    )
    dashboard_operators: Logins = Field(
        {}, description="Users of the dashboard who may act; an OAuth name has no password."
    )
    dashboard_viewers: Logins = Field({}, description="Users of the dashboard who may only look.")
    dashboard_read_only: bool = Field(False, description="Let nobody change anything on the dashboard: no buttons.")
    dashboard_url_prefix: Annotated[str, takes("a path of letters, digits and . _ ~ / -")] = Field(
        "",
        pattern=r"^[A-Za-z0-9._~/-]*$",
        description="Path below which a proxy serves the dashboard: `flower` makes it `/flower/`.",
    )
    metrics_token: Password | None = Field(
        None, description="Token that opens `/metrics`, as `Authorization: Bearer TOKEN`."
    )
    metrics_labels: Words = Field(
        (),
        description="Labels of batches by whose values `/metrics` counts items, in a bounded number of series.",
    )
    log_format: Literal["text", "json"] = Field("text", description="Form of the workers' log lines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="Lowest level of the log lines that workers write."
    )

    server_memory: Size = Field(
        0,
        ge=0,
        description="Memory of the private server (`maxmemory`); 0: half of the memory that it may use.",
    )
    server_fsync: Literal["always", "everysec"] = Field(
        "always",
        description="`appendfsync` of the private server; with `everysec` a power cut may lose about 2 seconds.",
    )

    fetch_host_slots: int = Field(
        4, ge=1, le=1000, description="Items of `fetch` that run at once for one host, over the fleet, at most."
    )
    fetch_host_rate: float = Field(
        10, gt=0, le=100_000, description="Requests per second to one remote host, over the fleet, at most."
    )
    fetch_connect_seconds: Duration = Field(5, gt=0, le=600, description="Time to wait for a connection.")
    fetch_read_seconds: Duration = Field(30, gt=0, le=3600, description="Time to wait for the next bytes.")
    fetch_bytes: Size = Field(100 << 20, ge=1, description="Size of one body, at most.")
    fetch_attempts: int = Field(4, ge=1, le=20, description="Requests for one URL before its item fails.")
    fetch_networks: Networks = Field((), description="Networks that `fetch` may reach although they are not public.")

    notify_secret: SigningSecret | None = Field(
        None, description="Secret with which workers sign notices (`--notify`); unset: they are not signed."
    )
    notify_seconds: Duration = Field(
        86_400, ge=0, le=2_592_000, description="Time for which workers try again to send a notice."
    )
    notify_networks: Networks = Field((), description="Networks that notices may reach although they are not public.")
    stuck_seconds: Duration = Field(
        7200,
        ge=0,
        le=31_536_000,
        description="Time without the end of an item after which a batch with `--notify` is stuck; 0: never.",
    )

    @property
    def runs_programs(self) -> bool:
        """Whether a worker with these settings runs programs."""
        return self.commands == "any" or (self.commands is None and self.redis_url is None)

    def key(self, name: str) -> str:
        """The name of one of Gristmill's own keys on the server, with prefix and namespace."""
        return f"{self.prefix}gm1:{name}"


def variable(field: str) -> str:
    """The environment variable of a field: `io_slots` is `GRISTMILL_IO_SLOTS`."""
    return environment.PREFIX + field.upper()


def load(environ: dict[str, str] | None = None) -> Settings:
    """Read the settings from `environ` (default: the process's), the home's and the project's `.env`.

    Raises:
        SettingError: a value is not valid; the text names each variable, its value and what is expected.
    """
    values = environment.read(Settings.model_fields, environ)
    try:
        checked = Settings.model_validate(values)
    except ValidationError as error:
        names = dict.fromkeys(str(problem["loc"][0]) for problem in error.errors())
        raise SettingError("; ".join(_explain(name, values[name]) for name in names)) from None
    if checked.shared_data_root and checked.data_root is None:
        expected = f"{variable('data_root')} beside it: the directory that all hosts see"
        raise SettingError(invalid_value(variable("shared_data_root"), "true", expected))
    directories = {"home": environment.expand(checked.home, variable("home")).absolute()}
    if checked.data_root:
        directories["data_root"] = environment.expand(checked.data_root, variable("data_root"))
    return checked.model_copy(update=directories)


def expectation(field: str) -> str:
    """What a setting takes, in words."""
    schema = Settings.model_json_schema()["properties"][field]
    # A variable that is set is not null.
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    return describe(choices[0] if choices and "expectation" not in schema else schema)


def _explain(field: str, value: str) -> str:
    text = invalid_value(variable(field), value, expectation(field).replace("`", ""), hidden=field in SECRETS)
    return f"{text}: {Settings.model_fields[field].description}"


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
