"""Exempts what a fork server has loaded from garbage collection: no process that it forks has to search it."""

import gc

gc.freeze()
