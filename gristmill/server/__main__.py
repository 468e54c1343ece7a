"""`python -m gristmill.server`: see `command.py`."""

import sys

from gristmill.loading import loading

if __name__ == "__main__":
    with loading():
        from gristmill.server.command import main
    sys.exit(main())
