"""What commands say of notices: `run` waits for its own, `doctor` lists those that are not delivered."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from redis import Redis

from gristmill.batches.notices import Notices
from gristmill.cli.console import warn
from gristmill.cli.findings.finding import Finding
from gristmill.config.figures import duration
from gristmill.config.settings import settings, variable
from gristmill.producer.batch import Batch
from gristmill.server.waiting import Deadline

if TYPE_CHECKING:
    from gristmill.local.fleet import LocalFleet

#: Seconds that `run` waits for the first try, which takes a look of a worker and an answer of the receiver.
WAIT_SECONDS, POLL_SECONDS = 20.0, 0.1


def await_notice(batch: Batch, fleet: "LocalFleet") -> None:
    """Wait until the fleet of this command has tried to send the notice of its batch; warn if that failed."""
    deadline = Deadline(WAIT_SECONDS)
    while (notice := batch.info().notice) and notice["state"] == "pending" and not notice["tries"]:
        if deadline.over:
            break
        fleet.watch()
        time.sleep(POLL_SECONDS)
    if not notice or notice["state"] == "delivered":
        return
    error = f" ({notice['error']})" if notice["error"] else ""
    then = "a worker of the next fleet tries again" if notice["state"] == "pending" else "nobody tries again"
    warn(f"the notice of batch {batch.name} is not delivered{error}: {then}")


def notice_findings(server: Redis) -> Iterator[Finding]:
    """A line for each receiver that does not take notices."""
    receivers: dict[tuple[str, str], list[str]] = {}
    errors = {}
    for one in Notices(server, settings()).undelivered():
        receivers.setdefault((one.to, one.state), []).append(one.batch)
        errors[one.to, one.state] = f"after {one.tries} {'try' if one.tries == 1 else 'tries'}: {one.error}"
    for (to, state), batches in receivers.items():
        number = f"{len(batches)} {state}, of {', '.join(dict.fromkeys(batches))}"
        again = "gristmill doctor --repair" + (f" {batches[0]}" if len({*batches}) == 1 else "")
        advice = f"mend the receiver or the settings; then have the notices sent again: {again}"
        if state == "pending":
            span = duration(settings().notify_seconds)
            advice = f"workers try again for {span} ({variable('notify_seconds')}): mend the receiver"
        yield Finding("notices", f"to {to}: {number}; {errors[to, state]}", advice)
