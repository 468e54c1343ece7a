"""The guards of values in files, each with its mutation and the test that must turn red."""

from tests.mutants.mutant import LOST, NO_WAY_IN, TRUE, Mutant

FILE, FILES = "gristmill/batches/value_file.py", "tests/integration/test_value_files.py"
SWEEP, SWEEPS = "gristmill/batches/value_sweep.py", "tests/integration/test_value_sweep.py"

MUTANTS = (
    Mutant(
        "a file that may be recorded stays",
        SWEEP,
        " or attempts_of(attempts)[0] >= file.attempt\n",
        " or True\n",
        f"{SWEEPS}::test_a_late_record_after_a_sweep_still_counts",
        LOST,
    ),
    Mutant(
        "the file of a cancelled item may still be recorded",
        SWEEP,
        "(done and not cancelled)",
        "done",
        f"{SWEEPS}::test_the_files_of_cancelled_items_stay_until_the_batch_has_finished",
        LOST,
    ),
    Mutant(
        "the file of a recorded value stays",
        SWEEP,
        '_path_in(outcome) == f"{folder}/{file.name}"',
        "False",
        f"{SWEEPS}::test_the_file_of_a_duplicate_goes_and_the_recorded_one_stays",
        LOST,
    ),
    Mutant(
        "nothing is deleted on a data root that is not the shared one",
        SWEEP,
        "        if mark is None or not self._root.is_seen(mark):\n",
        "        if mark is None:\n",
        f"{SWEEPS}::test_one_worker_sweeps_and_none_does_on_another_data_root",
        LOST,
    ),
    Mutant(
        "no value goes into a data root that is not the shared one",
        "gristmill/worker/slot/large_value.py",
        "        if not root.is_seen(mark):\n",
        "        if False:\n",
        f"{FILES}::test_a_worker_whose_data_root_is_another_one_writes_nothing_there",
        LOST,
    ),
    Mutant(
        "a server that does not answer fails no item",
        "gristmill/worker/slot/item_runner.py",
        "        except ValueNotPlaced:\n",
        "        except ZeroDivisionError:\n",
        f"{FILES}::test_a_server_that_does_not_answer_makes_no_outcome",
        LOST,
    ),
    Mutant(
        "a value in the form of a reference is a value",
        "gristmill/batches/outcomes.py",
        'values = loads("[" + lines.replace("\\n", ",") + "]")',
        'values = [one["path"] if isinstance(one, dict) else one for one in loads(f"[{lines}]")]',
        f"{FILES}::test_a_value_in_the_form_of_a_reference_is_a_value",
        TRUE,
    ),
    Mutant(
        "a file is taken as it was written",
        FILE,
        "        if not is_whole or sha256(data).hexdigest() != self.sha256:\n",
        "        if not is_whole:\n",
        f"{FILES}::test_a_damaged_file_is_shown_and_the_others_are_read[other]",
        TRUE,
    ),
    Mutant(
        "a reference names no other file",
        FILE,
        "        if not _PATH.fullmatch(reference.path):\n",
        "        if False:\n",
        f"{FILES}::test_a_reference_cannot_name_another_file",
        NO_WAY_IN,
    ),
    Mutant(
        "a folder of values is no symlink",
        "gristmill/batches/folder.py",
        "_FLAGS | O_NOFOLLOW",
        "_FLAGS",
        f"{FILES}::test_no_symlink_is_followed",
        NO_WAY_IN,
    ),
    Mutant(
        "a value that was not read is not consumed",
        "producer/follower.py",
        "            results = self._reader.with_values(results)\n",
        "            return self._reader.with_values(self._consumer.noted(results) if self._consumer else results)\n",
        f"{FILES}::test_a_damaged_file_is_shown_and_the_others_are_read[missing]",
        LOST,
    ),
)
