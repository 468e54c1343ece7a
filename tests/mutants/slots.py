"""The guards of what runs in a slot, each with its mutation and the test that must turn red."""

from tests.mutants.mutant import ALONE, FLAT, LOST, NO_WAY_IN, REPEATED, TRUE, Mutant

GOING_ON = "tests/integration/test_going_on.py"
STATE, STATE_TEST = "gristmill/worker/restoration/state.py", "tests/unit/test_process_state.py"
CHEAP, FULL = "test_the_next_item_finds_what_this_one_found", "test_a_long_or_failed_item_is_undone_whole"
REPLACED = f"{STATE_TEST}::test_what_cannot_be_undone_replaces_the_process"
DESCENDANTS = "gristmill/local/descendants.py"
STOPPED, STOPPED_TEST = "gristmill/worker/stopped_processes.py", "tests/integration/test_stopped_processes.py"
SIGNALS, SIGNALS_TEST = "gristmill/worker/restoration/signal_state.py", "tests/unit/test_signal_state.py"
RUN, COROUTINES = "gristmill/worker/loop/coroutine_run.py", "tests/integration/test_coroutines.py"
PREPARATION = "tests/integration/test_preparation.py"
ADMISSION, ADMISSION_TEST = "gristmill/worker/admission.py", "tests/unit/test_admission.py"

CONTAINMENT = (
    Mutant(
        "what is done is recorded while an item takes long",
        "gristmill/worker/slot/chunk_run.py",
        "                run.look()\n",
        "                pass\n",
        f"{GOING_ON}::test_while_an_item_takes_long_its_chunk_is_recorded_and_the_rest_goes_to_other_slots",
        TRUE,
    ),
    Mutant(
        "what was recorded early is not recorded again",
        "gristmill/worker/slot/chunk_run.py",
        "            del self.outcomes[: len(outcomes)]\n",
        "",
        "tests/unit/test_chunk_run.py::test_what_is_added_while_the_rest_is_recorded_stays",
        TRUE,
    ),
    Mutant(
        "a process that is stopped ends at the time limit of its item",
        STOPPED,
        "    return 0 < run.limit < run.seconds or",
        "    return",
        f"{STOPPED_TEST}::test_a_stopped_process_ends_at_the_limit_of_its_item",
        ALONE,
    ),
    Mutant(
        "a setup has a time limit",
        "gristmill/worker/slot/preparation.py",
        "setup_seconds(task, settings()) if work else 0.0",
        "0.0",
        f"{PREPARATION}::test_while_it_runs_others_see_what_the_item_waits_for",
        ALONE,
    ),
    Mutant(
        "a worker reads what its processes report",
        "gristmill/worker/slot/trace.py",
        "if not isinstance(error, Ignore | Reject):",
        "if failed >= 0:",
        "tests/unit/test_trace.py::test_an_error_that_the_worker_could_not_read_becomes_text",
        ALONE,
    ),
    Mutant(
        "a process that is stopped within its time limit goes on",
        STOPPED,
        "0 < run.limit < run.seconds",
        "True",
        f"{STOPPED_TEST}::test_a_stopped_process_ends_at_the_limit_of_its_item",
        ALONE,
    ),
    Mutant(
        "a suspect that cannot begin leaves its slot to others",
        "gristmill/worker/slot/chunk_task.py",
        "    except (SetupFailed, QuarantineUnavailable) as error:\n",
        "    except ZeroDivisionError as error:\n",
        f"{PREPARATION}::test_a_suspect_that_cannot_begin_leaves_its_slot_to_others",
        ALONE,
    ),
    Mutant(
        "a process that is stopped while it runs nothing ends",
        STOPPED,
        "    _end_idle({*others} - {run.pid for run in runs})\n",
        "",
        f"{STOPPED_TEST}::test_a_process_that_is_stopped_while_it_runs_nothing_ends_soon",
        ALONE,
    ),
    Mutant(
        "a process that runs goes on",
        STOPPED,
        'about is not None and about[0] in "Tt"',
        "about is not None",
        f"{STOPPED_TEST}::test_a_process_that_runs_goes_on",
        ALONE,
    ),
    Mutant(
        "a process that has its parent trace it ends",
        STOPPED,
        " or _tracer(run.pid) == os.getpid()",
        "",
        f"{STOPPED_TEST}::test_a_process_that_waits_for_its_tracer_ends_without_a_limit",
        ALONE,
    ),
    Mutant(
        "a suspect gives nothing to other slots",
        "gristmill/worker/slot/chunk_run.py",
        "self._leave_rest() if self._may_give else 0",
        "self._leave_rest()",
        "tests/unit/test_chunk_run.py::test_a_suspect_gives_nothing_back",
        ALONE,
    ),
    Mutant(
        "only the slot that has a chunk gives its rest",
        "gristmill/batches/lua/record.lua",
        "if not place or runner ~= worker or",
        "if not place or",
        f"{GOING_ON}::test_only_the_slot_that_has_the_chunk_gives_its_rest",
        REPEATED,
    ),
    Mutant(
        "whoever gets a message runs what its slot went on with",
        "gristmill/batches/lua/take.lua",
        "chunk = chunk_under(batch, message)",
        "chunk = nil",
        f"{GOING_ON}::test_whoever_gets_the_message_runs_what_its_slot_went_on_with",
        LOST,
    ),
    Mutant(
        "an error whose own code raises is an outcome",
        "gristmill/worker/slot/run_outcome.py",
        "    except BaseException as problem:\n",
        "    except ArithmeticError as problem:\n",
        "tests/unit/test_runner.py::test_an_error_whose_own_code_is_broken_is_an_outcome_too",
        ALONE,
    ),
    Mutant(
        "a clock that a task patches measures no item",
        "gristmill/worker/slot/run_outcome.py",
        "    seconds = perf_counter() - started_at\n",
        "    seconds = __import__('time').perf_counter() - started_at\n",
        "tests/unit/test_runner.py::test_its_seconds_are_those_of_no_clock_that_the_task_patches",
        ALONE,
    ),
    Mutant(
        "what an item sets for its whole process is set back",
        "gristmill/worker/restoration/whole_process.py",
        "                if tell() != value:\n",
        "                if False:\n",
        f"{STATE_TEST}::{FULL}",
        ALONE,
    ),
    Mutant(
        "the processes that an item leaves are ended",
        STATE,
        "        return end_descendants(self.pid, {*self._children, *self._spare(), *helper_processes()})\n",
        "        return 0\n",
        f"{REPLACED}[process]",
        ALONE,
    ),
    Mutant(
        "a daemon counts as a descendant",
        DESCENDANTS,
        "        ctypes.CDLL(None).prctl(_SET_SUBREAPER, 1, 0, 0, 0)\n",
        "        pass\n",
        "tests/unit/test_descendants.py::test_a_subreaper_ends_orphans_and_nothing_of_its_own",
        ALONE,
    ),
    Mutant(
        "what is below a process ends by a signal that nobody ignores",
        DESCENDANTS,
        "                os.kill(each, signal.SIGKILL)\n        ended",
        "                os.kill(each, signal.SIGCONT)\n        ended",
        "tests/unit/test_descendants.py::test_a_tree_ends",
        ALONE,
    ),
    Mutant(
        "a copy ends at a signal that comes while it begins",
        SIGNALS,
        "before.mask = _mask(signal.SIG_BLOCK, own)",
        "before.mask = _mask(signal.SIG_BLOCK, ())",
        f"{SIGNALS_TEST}::test_a_copy_ends_at_a_signal_that_its_worker_handles",
        ALONE,
    ),
    Mutant(
        "a copy has none of its worker's signal handlers",
        SIGNALS,
        "            if _getsignal(number) is handler:\n                _set(number, _IN_COPIES[number])\n",
        "            pass\n",
        f"{SIGNALS_TEST}::test_a_copy_ends_at_a_signal_that_its_worker_handles",
        ALONE,
    ),
    Mutant(
        "a copy that an item has forked does not go on",
        STATE,
        "            os._exit(0)\n",
        "            pass\n",
        f"{STATE_TEST}::test_a_copy_that_an_item_has_forked_does_not_go_on",
        ALONE,
    ),
    Mutant(
        "the directory is restored",
        STATE,
        "                self._restore_directory()\n",
        "                pass\n",
        f"{STATE_TEST}::{CHEAP}[directory]",
        ALONE,
    ),
    Mutant(
        "the environment is restored",
        STATE,
        "                self._restore_environment()\n",
        "                pass\n",
        f"{STATE_TEST}::{CHEAP}[variable]",
        ALONE,
    ),
    Mutant(
        "everything is restored after a failed item",
        STATE,
        "            if (failed or seconds > LONG_SECONDS) and not by_program:\n",
        "            if seconds > LONG_SECONDS and not by_program:\n",
        f"{STATE_TEST}::{FULL}[json-failed]",
        ALONE,
    ),
    Mutant(
        "patched names are restored",
        STATE,
        "        self._patches.restore()\n",
        "",
        f"{STATE_TEST}::{FULL}[json-long]",
        ALONE,
    ),
    Mutant(
        "signal handlers are restored",
        STATE,
        "        self._signals.restore()\n",
        "",
        f"{STATE_TEST}::{FULL}[handler-long]",
        ALONE,
    ),
    Mutant(
        "closed descriptors replace the process",
        STATE,
        "        yield from self._descriptors_left()\n",
        "",
        f"{REPLACED}[closed descriptor]",
        ALONE,
    ),
)

OUTPUT = (
    Mutant(
        "the logs of a batch have a budget",
        "gristmill/batches/lua/logs.lua",
        "    if text and bytes + #text <= room then\n",
        "    if text then\n",
        "tests/integration/test_logs_kept.py::test_a_spent_budget_is_told",
        FLAT,
    ),
    Mutant(
        "a log that is not kept is counted",
        "gristmill/batches/lua/logs.lua",
        "  if lost > 0 then redis.call('HINCRBY', key(batch, 'state'), 'logs_lost', lost) end\n",
        "",
        "tests/integration/test_logs_kept.py::test_a_spent_budget_is_told",
        TRUE,
    ),
    Mutant(
        "what a pattern finds is redacted",
        "gristmill/worker/output/log_text.py",
        'redacted(tail.decode(errors="backslashreplace"))',
        '(tail.decode(errors="backslashreplace"))',
        "tests/unit/test_capture.py::test_a_pattern_is_redacted_before_the_text_is_cut",
        NO_WAY_IN,
    ),
    Mutant(
        "what a thread writes is bounded",
        "gristmill/worker/output/thread_capture.py",
        "        if len(self.text) > MOST_BYTES:\n",
        "        if False:\n",
        "tests/unit/test_capture.py::test_a_thread_keeps_the_end_of_too_much",
        FLAT,
    ),
)

ASYNC = (
    Mutant(
        "a coroutine that is cancelled at its time limit says so",
        RUN,
        "                cancel_late(running.task)\n",
        "                task.cancel()\n",
        f"{COROUTINES}::test_each_item_of_a_chunk_has_its_own_time",
        TRUE,
    ),
)

ADMITTED = (
    Mutant(
        "an item starts where its slots are free",
        ADMISSION,
        "sum(each.slots for each in used) <= capacity.slots and ",
        "",
        f"{ADMISSION_TEST}::test_what_does_not_fit_waits_for_an_end",
        ALONE,
    ),
    Mutant(
        "an item starts where its memory is free",
        ADMISSION,
        " and sum(each.memory for each in used) <= capacity.memory",
        "",
        f"{ADMISSION_TEST}::test_memory_alone_makes_an_item_wait",
        ALONE,
    ),
    Mutant(
        "what waits for room does not wait for ever",
        ADMISSION,
        "            self._timer.call_after(HOLD_SECONDS, self._give_up, (request,))\n",
        "            pass\n",
        f"{ADMISSION_TEST}::test_one_that_waits_for_long_goes_to_another_worker",
        LOST,
    ),
    Mutant(
        "a message that cannot start goes back",
        ADMISSION,
        "            hand_back(request, HIDDEN_SECONDS)\n            return\n",
        "            return\n",
        f"{ADMISSION_TEST}::test_what_comes_behind_one_that_waits_goes_back",
        LOST,
    ),
)

MUTANTS = (*CONTAINMENT, *OUTPUT, *ASYNC, *ADMITTED)
