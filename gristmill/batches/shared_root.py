"""The data root as one directory that all hosts see: a file there, whose name the server has, tells it from another."""

# By name, as at the start of the process: a task may patch the module.
from os import O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY, close, fsync, unlink
from os import open as open_file
from secrets import token_hex
from typing import cast

from redis import Redis

from gristmill.batches.folder import opened
from gristmill.config.settings import Settings

#: Our own folder at the top of the data root.
OWN = ".gristmill"


class SharedRoot:
    """The shared data root of the hosts of one server. For settings that declare one (`shared_data_root`)."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self.client = client
        self.path = str(settings.data_root)
        self._key = settings.key("shared_root")

    def mark(self) -> str | None:
        """The path of the file by which hosts know the shared data root; None if no host has made it yet.

        Raises:
            RedisError: the server cannot be reached.
        """
        token = cast(str | None, self.client.get(self._key))
        return token and f"{self.path}/{OWN}/root-{token}"

    def establish(self) -> str:
        """The path of that file, which this host makes if none has.

        Raises:
            RedisError: the server cannot be reached.
            OSError: the file cannot be made.
        """
        path = self.mark()
        while path is None:
            token = token_hex(16)
            with opened(self.path, (OWN,), make=True, durable=True) as folder:
                flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW
                close(open_file(f"root-{token}", flags, 0o644, dir_fd=folder))
                fsync(folder)
                # Who reads the token finds the file.
                if not self.client.set(self._key, token, nx=True):
                    unlink(f"root-{token}", dir_fd=folder)
            path = self.mark()
        return path

    def is_seen(self, mark: str) -> bool:
        """Whether the data root of this host has the file `mark`."""
        folder, _, name = mark.rpartition("/")
        try:
            with opened(folder, ()) as above:
                close(open_file(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, dir_fd=above))
        except OSError:
            return False
        return True
