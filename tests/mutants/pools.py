"""The guards of what a pool runs and no longer runs, each with its mutation and the test that must turn red."""

from tests.mutants.mutant import LOST, ONCE, TRUE, Mutant

POOLS = "tests/integration/test_pools.py"

MUTANTS = (
    Mutant(
        "a message that comes again says so",
        "gristmill/broker/channel.py",
        "        if entry.deliveries:\n",
        "        if entry.returns:\n",
        "tests/integration/test_redelivered.py::test_a_message_that_was_handed_back_says_so[reject]",
        LOST,
    ),
    Mutant(
        "what a pool no longer runs is acknowledged or handed back",
        "gristmill/worker/request.py",
        "            self.reject(requeue=True)\n",
        "            pass\n",
        f"{POOLS}::test_what_a_worker_cancels_when_its_connection_breaks_runs_again[prefork]",
        LOST,
    ),
    Mutant(
        "a message whose result cannot be stored is not acknowledged",
        "gristmill/worker/slot/trace.py",
        "    except (Exception, _Unstored) as error:\n",
        "    except ZeroDivisionError as error:\n",
        "tests/unit/test_trace.py::test_an_error_that_passes_is_not_stored_as_the_failure_of_the_task",
        LOST,
    ),
    Mutant(
        "an error that passes is not stored as the failure of a task",
        "gristmill/worker/slot/trace.py",
        "    if _is_tracing.get() and passes(exception):\n",
        "    if False:\n",
        "tests/unit/test_trace.py::test_an_error_that_passes_is_not_stored_as_the_failure_of_the_task",
        TRUE,
    ),
    Mutant(
        "a message that a pool has lost goes back",
        "gristmill/broker/leases.py",
        "        self.holding -= lost()\n",
        "",
        "tests/integration/test_transport_guards.py::TestWatching",
        LOST,
    ),
    Mutant(
        "the last reports of a process are read before its messages go to another",
        "gristmill/worker/celery_internals.py",
        "        if all(process.pid != pid_gone for process in pool_of(self)):\n",
        "        if True:\n",
        "tests/unit/test_pool_processes.py::test_the_last_reports_of_a_process_are_read_before_its_messages_go_to_another",
        ONCE,
    ),
)
