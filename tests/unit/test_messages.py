"""The time of a message: what a header `eta` means to the transport."""

from datetime import UTC, datetime, timedelta

import pytest

from gristmill.broker.messages import timed


@pytest.mark.parametrize("eta", ["tomorrow", 7, [], {}, True, "", None])
def test_a_header_that_is_no_time_of_celerys_passes_through(eta):
    message = {"headers": {"eta": eta, "task": "x"}}
    assert timed(message) == (message, 0.0)


@pytest.mark.parametrize("headers", [None, "text", 5, {}])
def test_a_message_without_headers_is_due(headers):
    message = {"headers": headers}
    assert timed(message) == (message, 0.0)


@pytest.mark.parametrize("zone", [UTC, None])
@pytest.mark.parametrize("as_text", [True, False])
def test_a_time_goes_into_a_header_of_ours(zone, as_text):
    due = datetime.now(UTC) + timedelta(hours=1)
    eta = due.replace(tzinfo=zone)
    message = {"headers": {"eta": eta.isoformat() if as_text else eta}}
    copy, seconds = timed(message)
    assert copy["headers"] == {"eta": None, "gm_eta": due.isoformat()}
    assert 3590 < seconds <= 3600
    assert message["headers"]["eta"], "kombu puts the original once more after a broken connection"
