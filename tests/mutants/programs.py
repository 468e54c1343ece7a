"""The guards of programs that are killed and of batches that end early, each with its mutation and its test."""

from tests.mutants.mutant import ALONE, ONCE, TRUE, Mutant

SWEEP, TEST = "gristmill/worker/programs/journal_sweep.py", "tests/integration/test_run_journal.py"
#: The line of the table of names.
EARLY = "| ending early |"

MUTANTS = (
    Mutant(
        "a run that a kill ended counts",
        SWEEP,
        '                number = self._count.add(str(batch["batch"]), int(batch["epoch"]), runs, path.name)\n',
        "                number = len(batch)\n",
        f"{TEST}::test_what_a_killed_slot_began_is_counted_once",
        ONCE,
    ),
    Mutant(
        "the journal of a slot that lives is left alone",
        SWEEP,
        "        yield lock(descriptor)\n",
        "        yield True\n",
        f"{TEST}::test_a_slot_that_lives_is_left_alone",
        TRUE,
    ),
    Mutant(
        "a run that was recorded is no duplicate, though its slot was killed",
        "gristmill/batches/run_count.py",
        "recorded_at == run.started\n",
        "False\n",
        f"{TEST}::test_what_is_recorded_is_no_duplicate",
        TRUE,
    ),
    Mutant(
        "the runs of a deleted batch do not count for another of its name",
        "gristmill/batches/lua/count_runs.lua",
        "if not b.task or epoch < b.created or epoch > b.epoch then return 0 end\n",
        "if not b.task then return 0 end\n",
        f"{TEST}::test_a_cancelled_item_and_another_batch_count_none",
        TRUE,
    ),
    Mutant(
        "what ends a batch early is recorded before the next item starts",
        "gristmill/worker/slot/runner.py",
        " or (halt and outcome and should_stop.halts(outcome)):\n",
        ":\n",
        "tests/integration/test_halt_in_chunk.py::test_no_item_starts_after_the_one_that_ends_the_batch[fail=1-failed]",
        EARLY,
    ),
    Mutant(
        "a program has its memory limit before it can start others",
        "gristmill/worker/programs/process.py",
        "with _in_directory(workdir), limited_start():\n",
        "with _in_directory(workdir):\n",
        "tests/unit/test_program.py::test_its_memory_is_limited_before_it_can_start_others",
        ALONE,
    ),
)
