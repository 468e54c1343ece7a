"""Every error that a person is meant to read.

GristmillError
├── BatchCancelled          exit 1
├── InputError         exit 2
│   └── SettingError   exit 2
└── ServerError        exit 3
    └── Refused        exit 3
"""


class GristmillError(Exception):
    """The root: its text is one line for the person at the terminal, its `exit_code` the command's."""

    exit_code = 1


class BatchCancelled(GristmillError):
    """Raised when a batch was cancelled before all its items were stored."""


class InputError(GristmillError):
    """Raised when an item, an option or a name is not allowed; nothing of it was sent."""

    exit_code = 2


class SettingError(InputError):
    """Raised when a setting has a value that is not allowed."""


class ServerError(GristmillError):
    """Raised when the server cannot be reached or refuses writes (memory, disk)."""

    exit_code = 3


class Refused(ServerError):
    """Raised when the server has no room, in memory or on its disk: the same may succeed later."""
