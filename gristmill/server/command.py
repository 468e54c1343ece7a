"""`python -m gristmill.server`: runs only the private server, in the foreground, until Ctrl-C or TERM."""

import signal
import sys
import time

from gristmill.config.settings import settings
from gristmill.errors import GristmillError
from gristmill.server.home import Home
from gristmill.server.owner import WATCH_SECONDS, own_server


def main() -> int:
    """Run the server of the settings' home. The exit code is 0 after Ctrl-C or TERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _serve()
    except KeyboardInterrupt:
        return 0
    except GristmillError as error:
        _say(str(error))
        return error.exit_code
    return 0


def _serve() -> None:
    home = Home(settings().home)
    with own_server(home, "python -m gristmill.server", settings(), settings().data_root, say=_say) as owned:
        _say(f"the server listens on 127.0.0.1:{owned.server.port}; its data is in {owned.server.directory}")
        if settings().redis_url:
            _say("GRISTMILL_REDIS_URL is set: no command will use this server")
        while True:
            time.sleep(WATCH_SECONDS)
            owned.check()


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
