"""Imported by a worker, has each process of its pool wait until a test lets go of `start`."""

from celery.signals import worker_process_init

from tests.support.dropin_app import held


@worker_process_init.connect(weak=False)
def wait(**_):
    held("start")
