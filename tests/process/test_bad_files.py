# SPDX-License-Identifier: Apache-2.0
"""Data that is not there, not whole or not what it seems: each is refused in one sentence."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tests.process.command import BAD_INPUT, DONE, evergrove
from tests.process.refusal import refuses_to_train
from tests.process.rows import LABEL, csv_text, replaced, small_rows, write

FORMATS = ["parquet", "csv", "arrow"]


# --- Nothing there -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv", "folder/rows.arrow", "part-*.csv"])
def test_no_such_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    refuses_to_train(tmp_path, path, says=[str(path), "check the path"])


def test_one_of_several_files_is_not_there(tmp_path: Path) -> None:
    there = write(small_rows(), tmp_path / "there.parquet")
    refuses_to_train(tmp_path, [there, tmp_path / "gone.parquet"], says=["gone.parquet"])


def test_the_validation_file_is_not_there(tmp_path: Path) -> None:
    there = write(small_rows(), tmp_path / "there.parquet")
    gone = tmp_path / "gone.parquet"
    refuses_to_train(tmp_path, there, "--valid", gone, says=[str(gone)])


@pytest.mark.parametrize("ending", [*FORMATS, "csv.gz", "tsv", ""])
def test_an_empty_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows.{ending}"
    path.touch()
    refuses_to_train(tmp_path, path, says=[str(path), "empty"])


@pytest.mark.parametrize("content", ["\n", "\n\n\n", " ", "﻿"])
def test_a_csv_file_of_nothing_but_blanks(tmp_path: Path, content: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(content)
    refuses_to_train(tmp_path, path, says=["rows.csv"])


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    refuses_to_train(tmp_path, tmp_path / "data", says=[str(tmp_path / "data"), "no data file"])


def test_a_folder_of_marks_and_hidden_files_only(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "_SUCCESS").touch()
    write(small_rows(), tmp_path / "data" / ".hidden.parquet")
    refuses_to_train(tmp_path, tmp_path / "data", says=["no data file"])


def test_an_empty_file_among_whole_ones(tmp_path: Path) -> None:
    write(small_rows(), tmp_path / "data" / "part-0.parquet")
    (tmp_path / "data" / "part-1.parquet").touch()
    refuses_to_train(tmp_path, tmp_path / "data", says=["part-1.parquet", "empty"])


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv", "rows.csv.gz", "rows.arrow"])
def test_zero_rows(tmp_path: Path, name: str) -> None:
    path = write(small_rows().slice(0, 0), tmp_path / name)
    refuses_to_train(tmp_path, path, says=["no rows"])


def test_zero_rows_in_every_file(tmp_path: Path) -> None:
    for part in range(3):
        write(small_rows().slice(0, 0), tmp_path / "data" / f"{part}.parquet")
    refuses_to_train(tmp_path, tmp_path / "data", says=["no rows"])


def test_zero_rows_of_validation(tmp_path: Path) -> None:
    data = write(small_rows(), tmp_path / "rows.parquet")
    none = write(small_rows().slice(0, 0), tmp_path / "none.parquet")
    refuses_to_train(tmp_path, data, "--valid", none, says=["validation", "no rows"])


def test_zero_rows_in_one_of_two_files_are_no_trouble(tmp_path: Path) -> None:
    write(small_rows(), tmp_path / "data" / "0.parquet")
    write(small_rows().slice(0, 0), tmp_path / "data" / "1.parquet")
    model = tmp_path / "model"
    answer = evergrove("train", "--data", tmp_path / "data", "--label", LABEL, "--model", model)
    assert answer.code == DONE, answer


# --- Not what it seems -------------------------------------------------------------------------

STRANGERS = {
    "zip": (b"PK\x03\x04" + bytes(60), "rows.zip"),
    "JSON": (b'{"a": 1, "fraud": 0}\n{"a": 2, "fraud": 1}\n', "rows.json"),
    "binary": (bytes(range(256)) * 4, "rows.dat"),
    "Parquet by name only": (b"a,fraud\n1,0\n2,1\n", "rows.parquet"),
    "UTF-16": ("a,fraud\n1,0\n2,1\n".encode("utf-16"), "rows.csv"),
    "gzip of Parquet": (gzip.compress(b"PAR1" + bytes(60)), "rows.parquet.gz"),
}


@pytest.mark.parametrize("what", STRANGERS)
def test_a_file_of_another_kind(tmp_path: Path, what: str) -> None:
    content, name = STRANGERS[what]
    (tmp_path / name).write_bytes(content)
    refuses_to_train(tmp_path, tmp_path / name, says=[name])


def test_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    refuses_to_train(tmp_path, tmp_path / "pipe.csv", says=["pipe.csv"], timeout=10)


def test_formats_that_are_mixed(tmp_path: Path) -> None:
    files = [write(small_rows(), tmp_path / name) for name in ("a.parquet", "b.csv")]
    refuses_to_train(tmp_path, files, says=["a.parquet", "b.csv", "one format"])


# --- Cut short or spoilt -----------------------------------------------------------------------


def cut_places(size: int) -> list[int]:
    return [1, 3, 4, 5, 12, size // 3, size // 2, size - 20, size - 8, size - 5, size - 4, size - 1]


@pytest.mark.parametrize("place", range(12))
def test_a_parquet_file_that_is_cut_short(tmp_path: Path, place: int) -> None:
    path = write(small_rows(), tmp_path / "rows.parquet", row_group_rows=50)
    whole = path.read_bytes()
    path.write_bytes(whole[: cut_places(len(whole))[place]])
    refuses_to_train(tmp_path, path, says=["rows.parquet"])


@pytest.mark.parametrize("place", range(12))
def test_an_arrow_file_that_is_cut_short(tmp_path: Path, place: int) -> None:
    path = write(small_rows(), tmp_path / "rows.arrow", row_group_rows=50)
    whole = path.read_bytes()
    path.write_bytes(whole[: cut_places(len(whole))[place]])
    refuses_to_train(tmp_path, path, says=["rows.arrow"])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_gzip_file_that_is_cut_short(tmp_path: Path, share: float) -> None:
    path = write(small_rows(), tmp_path / "rows.csv.gz")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refuses_to_train(tmp_path, path, says=["rows.csv.gz"])


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_spoilt_bytes_are_refused_or_harmless(tmp_path: Path, ending: str) -> None:
    """Formats without checksums can hide a spoilt value, but no spoilt byte may be a crash."""
    path = write(small_rows(), tmp_path / f"rows.{ending}", row_group_rows=50)
    whole = path.read_bytes()
    model = tmp_path / "model"
    refused = 0
    for place in range(0, len(whole), len(whole) // 20):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        answer = evergrove(
            *("train", "--quiet", "--data", path, "--label", LABEL, "--model", model),
            *("--set", "n_estimators=2"),
        )
        assert answer.code in (DONE, BAD_INPUT), (place, answer)
        if answer.code == BAD_INPUT:
            refused += 1
            assert answer.error
            assert not model.exists()
        model.unlink(missing_ok=True)
    assert refused > 0


# --- CSV lines ---------------------------------------------------------------------------------


def broken_csv(path: Path, line: int, change: Callable[[str], str]) -> Path:
    """Writes rows as CSV with this line (the names are line 1) changed."""
    lines = csv_text(small_rows()).splitlines()
    lines[line - 1] = change(lines[line - 1])
    text = "\n".join(lines) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


BREAKS: dict[str, Callable[[str], str]] = {
    "one field more": lambda line: line + ",1",
    "fields missing": lambda line: line.rsplit(",", 3)[0],
    "one field only": lambda line: "nothing",
    "text after a quote": lambda line: '"a"b' + line[line.index(",") :],
}


@pytest.mark.parametrize("line", [2, 117, 201])
@pytest.mark.parametrize("what", BREAKS)
def test_a_csv_line_that_is_broken(tmp_path: Path, what: str, line: int) -> None:
    path = broken_csv(tmp_path / "rows.csv", line, BREAKS[what])
    refuses_to_train(tmp_path, path, says=["rows.csv", "line", str(line)])


def test_a_broken_line_of_a_gzip_file(tmp_path: Path) -> None:
    path = broken_csv(tmp_path / "rows.csv.gz", 77, BREAKS["one field more"])
    refuses_to_train(tmp_path, path, says=["rows.csv.gz", "77"])


def test_a_broken_line_of_the_second_file(tmp_path: Path) -> None:
    first = write(small_rows(), tmp_path / "first.csv")
    second = broken_csv(tmp_path / "second.csv", 5, BREAKS["fields missing"])
    refuses_to_train(tmp_path, [first, second], says=["second.csv", "5"])


def test_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    path = broken_csv(tmp_path / "rows.csv", 33, lambda line: '"' + line)
    refuses_to_train(tmp_path, path, says=["rows.csv", "33", "quote"])


def test_a_line_after_quoted_line_breaks_has_the_number_that_an_editor_shows(
    tmp_path: Path,
) -> None:
    rows = small_rows(20)
    rows = replaced(rows, note=["two\nlines"] * 20)
    text = csv_text(rows).splitlines()
    assert len(text) == 41
    (tmp_path / "rows.csv").write_text("\n".join([*text, "1,2"]) + "\n")
    refuses_to_train(tmp_path, tmp_path / "rows.csv", says=["rows.csv", "42"])


def test_a_csv_value_of_another_type_than_was_asked_for(tmp_path: Path) -> None:
    path = broken_csv(tmp_path / "rows.csv", 50, lambda line: "many" + line[line.index(",") :])
    refuses_to_train(tmp_path, path, "--type", "a=number", says=["a", "50", "many"])


# --- Columns -----------------------------------------------------------------------------------

UNUSABLE = {
    "list": pa.array([[1.0, 2.0]] * 200, pa.list_(pa.float64())),
    "struct": pa.array([{"x": 1}] * 200, pa.struct([("x", pa.int64())])),
    "map": pa.array([[("k", 1)]] * 200, pa.map_(pa.string(), pa.int64())),
}


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
@pytest.mark.parametrize("what", UNUSABLE)
def test_a_column_of_a_type_that_cannot_be_used(tmp_path: Path, what: str, ending: str) -> None:
    rows = replaced(small_rows(), odd=UNUSABLE[what])
    path = write(rows, tmp_path / f"rows.{ending}")
    refuses_to_train(tmp_path, path, says=["odd", what, "exclude"])


@pytest.mark.parametrize("what", UNUSABLE)
@pytest.mark.parametrize("role", ["label", "weight"])
def test_a_label_or_weight_of_such_a_type(tmp_path: Path, role: str, what: str) -> None:
    path = write(replaced(small_rows(), odd=UNUSABLE[what]), tmp_path / "rows.parquet")
    refuses_to_train(tmp_path, path, f"--{role}", "odd", says=["odd"])


def test_such_a_column_may_be_excluded(tmp_path: Path) -> None:
    path = write(replaced(small_rows(), odd=UNUSABLE["list"]), tmp_path / "rows.parquet")
    model = tmp_path / "model"
    answer = evergrove(
        *("train", "--data", path, "--label", LABEL, "--model", model, "--exclude", "odd")
    )
    assert answer.code == DONE, answer


@pytest.mark.parametrize("ending", FORMATS)
def test_duplicate_column_names(tmp_path: Path, ending: str) -> None:
    rows = small_rows()
    rows = rows.append_column("a", rows["c"])
    path = write(rows, tmp_path / f"rows.{ending}")
    refuses_to_train(tmp_path, path, says=["same name", "a", path.name])


@pytest.mark.parametrize("ending", FORMATS)
def test_a_column_that_the_second_file_lacks(tmp_path: Path, ending: str) -> None:
    write(small_rows(), tmp_path / "data" / f"0.{ending}")
    write(small_rows().drop_columns(["c"]), tmp_path / "data" / f"1.{ending}")
    refuses_to_train(tmp_path, tmp_path / "data", says=["c", f"0.{ending}", f"1.{ending}"])


@pytest.mark.parametrize("ending", FORMATS)
def test_a_column_that_only_the_second_file_has(tmp_path: Path, ending: str) -> None:
    write(small_rows(), tmp_path / "data" / f"0.{ending}")
    write(replaced(small_rows(), extra=[1] * 200), tmp_path / "data" / f"1.{ending}")
    refuses_to_train(tmp_path, tmp_path / "data", says=["extra", f"1.{ending}"])


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_a_column_of_another_type_in_the_second_file(tmp_path: Path, ending: str) -> None:
    write(small_rows(), tmp_path / "data" / f"0.{ending}")
    write(replaced(small_rows(), c=["text"] * 200), tmp_path / "data" / f"1.{ending}")
    refuses_to_train(
        tmp_path, tmp_path / "data", says=["c", "double", "string", f"0.{ending}", f"1.{ending}"]
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [("--exclude", "cc"), ("--categorical", "cc"), ("--exclude", "a,cc"), ("--type", "cc=text")],
)
def test_an_option_that_names_no_column(tmp_path: Path, option: str, value: str) -> None:
    path = write(small_rows(), tmp_path / "rows.csv")
    refuses_to_train(tmp_path, path, option, value, says=["cc"])


def test_no_column_to_learn_from(tmp_path: Path) -> None:
    path = write(small_rows().select(["weight", LABEL]), tmp_path / "rows.parquet")
    refuses_to_train(tmp_path, path, "--weight", "weight", says=["no column to learn from"])


def test_names_with_line_breaks_and_escapes_cannot_break_the_sentence(tmp_path: Path) -> None:
    rows = small_rows().rename_columns(["a\n\x1b[31m", "b", "c", "city", "weight", LABEL])
    path = write(replaced(rows, **{"a\n\x1b[31m": UNUSABLE["list"]}), tmp_path / "rows.parquet")
    sentence = refuses_to_train(tmp_path, path, says=["list"])
    assert "\x1b" not in sentence
