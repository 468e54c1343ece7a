"""Ending what a test's channels have left in this process."""

from gristmill.broker import leases
from gristmill.server import heartbeat


def end_leases():
    """End all that this process renews: its next channel begins a lease under another consumer name."""
    for one in heartbeat._heartbeats.all():
        one.remove(*one.calls)
    leases._leases._objects.clear()
    heartbeat._heartbeats._objects.clear()
