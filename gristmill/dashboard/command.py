"""`python -m gristmill.dashboard`: Flower on the address and port of the settings."""

import argparse
import os
import signal
import sys

from gristmill.config.settings import settings
from gristmill.dashboard.celery_app import forget_user_modules
from gristmill.errors import GristmillError
from gristmill.local.parent_death import end_with_parent
from gristmill.server.connection import wait_for_server
from gristmill.tasks.application import APP_OPTION, app


def main() -> int:
    """Run Flower until somebody stops it; return the exit code, as of the command line."""
    parser = argparse.ArgumentParser(prog="python -m gristmill.dashboard", description=__doc__)
    parser.add_argument("--port", type=int, default=settings().dashboard_port, help="default: from the settings")
    parser.add_argument("--end-with-parent", action="store_true", help="stop when standard input closes")
    arguments = parser.parse_args()
    if arguments.end_with_parent:
        end_with_parent(signal.SIGTERM)
    try:
        forget_user_modules(app, settings())
        # Before Celery's command line, which puts the current directory first on the path.
        app.loader.import_default_modules()
        wait_for_server()
        # This import builds the app, which needs the server's URL.
        from gristmill.dashboard.application import install

        install()
        app.set_current()
        app.start([*APP_OPTION, "flower", f"--port={arguments.port}", f"--logging={settings().log_level}"])
    except GristmillError as error:
        print(f"dashboard: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    # Flower has stopped. Its threads may wait for a server that is away, and Python would wait for them.
    sys.stderr.flush()
    os._exit(0)
