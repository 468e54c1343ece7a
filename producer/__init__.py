"""Reads items, checks and stores them as a batch, and follows it; its public names are those of `gristmill`."""

if __name__ != "gristmill.producer":
    # In the clone's root, `import producer` would load this folder a second time, beside `gristmill.producer`.
    raise ImportError(f"cannot import {__name__}: the folder is part of a package (import gristmill.producer)")
