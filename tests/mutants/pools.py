"""The guards of what a pool runs and no longer runs, each with its mutation and the test that must turn red."""

from tests.mutants.mutant import ALONE, LOST, ONCE, TRUE, Mutant

POOLS = "tests/integration/test_pools.py"
LOTS = "tests/integration/test_giving_lots.py"
ENDS = "gristmill/worker/message_ends.py"
FORM, FORMS = "gristmill/worker/wellformed.py", "tests/unit/test_wellformed.py"

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
    Mutant(
        "what a dead process had not begun goes back when the connection breaks",
        "gristmill/worker/celery_internals.py",
        "            if job._time_accepted is None:\n",
        "            if False:\n",
        f"{LOTS}::test_what_a_dead_process_had_not_begun_runs_elsewhere_although_the_connection_breaks[0]",
        LOST,
    ),
    Mutant(
        "an answer to remote control that fails closes no channel of its worker",
        "tasks/remote_control.py",
        '"retry": False',
        '"retry": True',
        "tests/integration/test_idle_worker.py::test_it_hears_and_takes_messages_after_an_answer_that_has_failed",
        LOST,
    ),
    Mutant(
        "what an earlier connection had left to the pool goes back",
        "gristmill/worker/consumer.py",
        "            leases.hand_back(pool_messages.forget())\n",
        "            pool_messages.forget()\n",
        f"{LOTS}::test_what_a_dead_process_had_not_begun_runs_elsewhere_although_the_connection_breaks[1]",
        LOST,
    ),
    Mutant(
        "what a process had not begun that dies while the connection is broken is given again",
        "gristmill/worker/celery_internals.py",
        "        if not (job._accepted or job._write_to) and job in",
        "        if False and job in",
        "tests/unit/test_pool_processes.py"
        "::test_what_a_process_had_not_begun_that_dies_while_the_connection_is_broken_is_given_again",
        LOST,
    ),
    Mutant(
        "an acknowledgement that fails keeps no other from being made",
        ENDS,
        "            if self._waiting and not self._is_called:\n",
        "            if False:\n",
        "tests/unit/test_message_ends.py::test_one_that_raises_keeps_no_other_from_being_made",
        ONCE,
    ),
    Mutant(
        "what threads leave while their event loop looks at it is done",
        ENDS,
        "        self._is_called = False\n        try:\n",
        "        try:\n",
        "tests/unit/test_message_ends.py::test_one_call_of_the_loop_makes_all_that_have_come",
        ONCE,
    ),
    Mutant(
        "a consumer that is ready again ends what its loop has dropped",
        "gristmill/worker/consumer.py",
        "        self.ends.make()\n        pool_size.hold(self)\n",
        "        pool_size.hold(self)\n",
        "tests/unit/test_consumer_stop.py"
        "::test_it_acknowledges_what_an_error_in_its_loop_has_dropped_when_it_is_ready_again",
        ONCE,
    ),
    Mutant(
        "a consumer that stops ends what threads have left for its loop",
        "gristmill/worker/consumer.py",
        "        self.ends.make()\n        end_messages(self.hub)\n",
        "        end_messages(self.hub)\n",
        "tests/unit/test_consumer_stop.py::test_it_acknowledges_what_its_event_loop_has_not_come_to[threads]",
        ONCE,
    ),
    Mutant(
        "headers of known types that nest are looked through",
        FORM,
        "        if headers[name] and headers[name] != _NO_LIMITS:\n",
        "        if False:\n",
        f"{FORMS}::test_a_malformed_message_is_refused_beside_others_of_its_types[stamps that nest]",
        ALONE,
    ),
    Mutant(
        "headers above a body of protocol 1 say nothing about others",
        FORM,
        "            if type(message.payload) is list:\n",
        "            if True:\n",
        f"{FORMS}::test_headers_above_a_body_of_protocol_1_say_nothing_about_others",
        ALONE,
    ),
    Mutant(
        "a task sees the headers that its sender has added to the options of a body",
        "gristmill/worker/request_stack.py",
        " and _CELERYS.issuperset(options)\n",
        "\n",
        "tests/unit/test_request_stack.py::test_a_task_sees_the_headers_of_a_sender[in its options]",
        TRUE,
    ),
)
