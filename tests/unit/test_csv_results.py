"""Results as CSV: flat columns of arguments and values, and nothing that is lost."""

import csv

from gristmill.batches.result import FIELDS, Result
from gristmill.cli.output.csv_results import CsvResults
from gristmill.cli.output.result_lines import ResultWriter


def result(index, item, value, state="succeeded"):
    return Result(index, item, state, value, None, 1, 0.5, "w", 7)


def rows(text):
    return list(csv.DictReader(text.splitlines()))


def written(capsys, results):
    with ResultWriter("csv") as writer:
        writer.write_all(results)
    return capsys.readouterr().out


def test_scalars_have_the_fields_of_a_result_only(capsys):
    assert written(capsys, [result(0, "a", 1)]).splitlines()[0] == ",".join(FIELDS)
    assert written(capsys, []).splitlines() == [",".join(FIELDS)]


def test_arguments_and_parts_of_values_are_columns(capsys):
    first = result(0, {"path": "a,b", "size": 3}, {"path": "x", "seconds": 1.5, "ok": None, "a.b": [1]})
    text = written(capsys, [result(1, {"path": "c"}, None, "failed"), first, result(2, "d", "text")])
    assert text.splitlines()[0] == ",".join([*FIELDS, "path", "size", "value.path", "value.seconds", "ok", "value.a.b"])
    failed, good, scalar = rows(text)
    assert (failed["index"], failed["path"], failed["value.path"]) == ("1", "c", "")
    assert [good[n] for n in ("path", "size", "value.path", "value.seconds", "ok", "value.a.b")] == [
        "a,b",
        "3",
        "x",
        "1.5",
        "",
        "[1]",
    ]
    assert (good["seconds"], scalar["value"], scalar["path"]) == ("0.5", "text", "")


def test_failures_only(capsys):
    text = written(capsys, [result(i, {"path": "c"}, None, "failed") for i in range(3)])
    assert [row["path"] for row in rows(text)] == ["c"] * 3


def test_failures_are_not_held_back_for_ever():
    lines = CsvResults()
    written = [line for i in range(2000) for line in lines.lines(result(i, "a", None, "failed"))]
    assert len(written) == 2001


def test_a_file_goes_on_with_its_columns(tmp_path):
    path = str(tmp_path / "out.csv")
    first, second = result(0, {"path": "a"}, {"seconds": 1}), result(1, {"path": "b", "new": 1}, {"seconds": 2})
    try:
        with ResultWriter("csv", path, resume_key="k") as writer:
            writer.write_all([first])
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    with ResultWriter("csv", path, resume_key="k") as writer:
        writer.write_all([first, second])
    table = rows((tmp_path / "out.csv").read_text())
    assert [(row["path"], row["value.seconds"], row["seconds"]) for row in table] == [
        ("a", "1", "0.5"),
        ("b", "2", "0.5"),
    ]
    assert '"new": 1' in table[1]["input"]
