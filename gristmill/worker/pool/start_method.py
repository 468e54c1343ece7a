"""How this worker starts the processes of its pool: the method of its queues, and whether it can."""

from collections.abc import Collection

from gristmill.config.settings import settings, variable
from gristmill.config.start_methods import FORK_SERVER, methods_of, parse
from gristmill.errors import SettingError, invalid_value
from gristmill.local.descendants import is_subreaper


def start_method(queues: Collection[str]) -> str:
    """The method of a worker of these queues.

    Raises:
        SettingError: they have different ones.
    """
    methods = methods_of(settings().start_method, queues)
    if len(methods) > 1:
        raise _error(f"one method for all queues of a worker, which takes from {', '.join(sorted(queues))}")
    return methods.pop()


def check_method(queues: Collection[str], has_processes: bool) -> None:
    """Check that a worker of these queues can start its processes as the setting says.

    Raises:
        SettingError: it cannot.
    """
    own = sorted(parse(settings().start_method).keys() & {*queues})
    if own and not has_processes:
        raise _error(f"no method for {own[0]}: its items run in threads of the worker's one process")
    if has_processes and start_method(queues) == FORK_SERVER and not is_subreaper():
        raise _error("fork or spawn: forkserver needs Linux, where a worker adopts the processes that it has forked")


def _error(expected: str) -> SettingError:
    return SettingError(invalid_value(variable("start_method"), settings().start_method, expected))
