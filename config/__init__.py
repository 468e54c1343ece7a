"""One typed settings object, and the Celery, Flower, logging and server configuration built from it."""

if __name__ != "gristmill.config":
    # In the clone's root, `import config` would load this folder a second time, beside `gristmill.config`.
    raise ImportError(f"cannot import {__name__}: the folder is part of a package (import gristmill.config)")
