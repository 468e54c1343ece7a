"""Imported by a worker, has its pool take back nothing by itself of what a process has and has not begun."""

from gristmill.worker.pool import lot_pool

lot_pool.RECALL_SECONDS = 3600.0
