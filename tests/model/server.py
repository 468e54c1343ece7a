"""The server that an exploration has for itself: the embedded one, which writes nothing to the disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gristmill.server.private import program
from tests.model.calls import RecordingClient
from tests.support.servers import PASSWORD, running


@contextmanager
def recording_client(directory: Path) -> Iterator[RecordingClient]:
    """A client of a server that runs while the context lasts."""
    socket = str(directory / "socket")
    with (
        running(str(program()), directory, appendonly="no", unixsocket=socket),
        RecordingClient(unix_socket_path=socket, password=PASSWORD, decode_responses=True) as client,
    ):
        yield client
