"""A workflow of three under random faults of workers and its producer, retries, pauses and cancels: each item goes its
way once, and all ends.
"""

import pytest

from tests.support.workflow_machine import WorkflowMachine


@pytest.mark.parametrize("seed", range(6))
def test_a_workflow_whatever_happens(ledger, seed):
    machine = WorkflowMachine(ledger, seed, 30)
    for _ in range(150):
        machine.step()
        machine.check()
    machine.finish()
    machine.check_end()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_workflow_of_many_items(ledger, seed):
    machine = WorkflowMachine(ledger, seed, 10_000, block=1000)
    for number in range(4000):
        machine.step()
        if number % 100 == 0:
            machine.check()
    machine.finish()
    machine.check_end()
