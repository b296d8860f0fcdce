# SPDX-License-Identifier: Apache-2.0
"""Model files that are cut short, altered, of a newer version or no models at all, and logs of
other runs: each is refused in one sentence, and never taken for another model."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from tests.process.command import BAD_INPUT, DIFFERS, DONE, evergrove
from tests.process.refusal import refuses, refuses_to_train
from tests.process.rows import LABEL, replaced, small_rows, write


@pytest.fixture
def whole(model: Path) -> Path:
    """The model that is cut and altered; read, never written."""
    return model


def refuses_the_model(
    folder: Path, model: Path, data: Path, says: list[str], *, all_commands: bool = True
) -> None:
    refuses(folder, "digest", model, says=says)
    if not all_commands:
        return
    refuses(folder, "inspect", model, says=says)
    refuses(folder, "diff", model, model, says=says)
    refuses(folder, "evaluate", "--model", model, "--data", data, says=says)
    scores = folder / "scores.parquet"
    refuses(*(folder, "predict", "--model", model, "--data", data, "--out", scores), says=says)
    refuses_to_train(folder, data, "--continue", model, says=says)


def test_no_such_model(tmp_path: Path, data: Path) -> None:
    refuses_the_model(tmp_path, tmp_path / "gone", data, [str(tmp_path / "gone"), "no such file"])


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.5, 0.9, 0.999, 0.99999])
def test_a_model_that_is_cut_short(tmp_path: Path, whole: Path, data: Path, share: float) -> None:
    content = whole.read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(content[: int(len(content) * share)])
    refuses_the_model(tmp_path, cut, data, ["cut"], all_commands=share == 0.5)


def test_an_altered_byte_is_refused_or_without_meaning(tmp_path: Path, whole: Path) -> None:
    """Bytes that pad or repeat may change; what the model says may not."""
    content = whole.read_bytes()
    digest = evergrove("digest", whole).out
    altered = tmp_path / "altered"
    refused = 0
    places = range(1, len(content), len(content) // 40)
    for place in places:
        altered.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        answer = evergrove("digest", altered)
        if answer.code == BAD_INPUT:
            refused += 1
            assert "altered" in answer.error
        else:
            assert (answer.code, answer.out) == (DONE, digest), (place, answer)
    assert refused > len(places) // 2


def rewritten(model: Path, to: Path, metadata: dict[str, str]) -> Path:
    """The model file written anew by pyarrow, with some of its metadata replaced."""
    with pa.ipc.open_file(model) as reader:
        table = reader.read_all()
    changed = {key.encode(): value.encode() for key, value in metadata.items()}
    table = table.replace_schema_metadata({**table.schema.metadata, **changed})
    with pa.ipc.new_file(to, table.schema) as writer:
        writer.write_table(table)
    return to


def metadata_of(model: Path) -> dict[str, str]:
    with pa.ipc.open_file(model) as reader:
        metadata = reader.schema.metadata
    return {key.decode(): value.decode() for key, value in metadata.items()}


def version_key(model: Path) -> str:
    (key,) = [key for key in metadata_of(model) if "version" in key]
    return key


def test_a_model_written_anew_by_another_program_is_the_same(tmp_path: Path, whole: Path) -> None:
    """What the tests below change is what makes the difference."""
    again = rewritten(whole, tmp_path / "again", {})
    answer = evergrove("diff", whole, again)
    assert answer.code == DONE, answer


def test_a_model_of_a_newer_version(tmp_path: Path, whole: Path, data: Path) -> None:
    newer = rewritten(whole, tmp_path / "newer", {version_key(whole): "99"})
    refuses_the_model(tmp_path, newer, data, ["newer", "version: 99"])


def test_a_model_with_altered_metadata(tmp_path: Path, whole: Path, data: Path) -> None:
    for key, text in metadata_of(whole).items():
        if not text.startswith("{"):
            continue
        content = json.loads(text)
        for name in content:
            content_without = {k: v for k, v in content.items() if k != name}
            altered = rewritten(whole, tmp_path / "altered", {key: json.dumps(content_without)})
            refuses_the_model(tmp_path, altered, data, ["altered"], all_commands=False)


def test_an_altered_leaf_value(tmp_path: Path, whole: Path, data: Path) -> None:
    with pa.ipc.open_file(whole) as reader:
        table = reader.read_all()
    values = table["value"].to_pylist()
    values[-1] += type(values[-1])(1)
    column = pa.array(values, table["value"].type)
    place = table.schema.get_field_index("value")
    table = table.set_column(place, table.schema.field(place), column)
    with pa.ipc.new_file(tmp_path / "altered", table.schema) as writer:
        writer.write_table(table)
    refuses_the_model(tmp_path, tmp_path / "altered", data, ["altered"])


def test_files_that_are_no_models(tmp_path: Path, data: Path) -> None:
    arrow = write(small_rows(), tmp_path / "rows.arrow")
    refuses_the_model(tmp_path, data, data, ["not a model"])
    refuses_the_model(tmp_path, arrow, data, ["not a model"])
    refuses(tmp_path, "digest", tmp_path, says=[str(tmp_path)])


def test_models_that_differ_are_no_error(tmp_path: Path, whole: Path, data: Path) -> None:
    other = tmp_path / "other"
    answer = evergrove(
        *("train", "--quiet", "--data", data, "--label", LABEL, "--model", other),
        *("--set", "n_estimators=5", "min_rows=5", "seed=1", "learning_rate=0.2"),
    )
    assert answer.code == DONE, answer
    answer = evergrove("diff", whole, other)
    assert answer.code == DIFFERS
    assert len(answer.out.splitlines()) == 1
    assert answer.err == ""


# --- Continuing a model ------------------------------------------------------------------------


def test_a_model_that_another_run_would_not_continue(
    tmp_path: Path, whole: Path, data: Path
) -> None:
    continued = ["--continue", whole, "--set", "n_estimators=8", "min_rows=5"]
    refuses_to_train(tmp_path, data, *continued, "seed=3", says=["seed"])
    refuses_to_train(tmp_path, data, *continued, "--label", "a", says=["label", "a"])
    refuses_to_train(tmp_path, data, *continued, "--weight", "weight", says=["weight"])
    fewer = write(small_rows().drop_columns(["city"]), tmp_path / "fewer.parquet")
    refuses_to_train(tmp_path, fewer, *continued, says=["city"])


# --- Logs --------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Of a finished run over tmp_path/data (three files) with a validation set."""
    for part in range(3):
        write(small_rows(100, seed=part), tmp_path / "data" / f"{part}.parquet")
    write(small_rows(100, seed=9), tmp_path / "valid.parquet")
    answer = evergrove("train", *again(tmp_path), "--json")
    assert answer.code == DONE, answer
    (tmp_path / "model").unlink()
    return tmp_path / "log"


def again(folder: Path, *, data: str = "data", resume: bool = True) -> list[str]:
    return [
        *("--data", str(folder / data), "--valid", str(folder / "valid.parquet")),
        *("--label", LABEL, "--model", str(folder / "model"), "--quiet"),
        *("--set", "n_estimators=5", "min_rows=5"),
        *("--log", str(folder / "log"), *(["--resume"] if resume else [])),
    ]


def test_a_log_that_is_there_without_resume(tmp_path: Path, log: Path) -> None:
    says = [str(log), "--resume", "another folder"]
    refuses(tmp_path, "train", *again(tmp_path, resume=False), says=says)


def test_the_data_changed_since(tmp_path: Path, log: Path) -> None:
    path = tmp_path / "data" / "1.parquet"
    rows = small_rows(100, seed=1)
    values = rows["c"].to_pylist()
    values[57] += 0.001
    write(replaced(rows, c=values), path)
    refuses(tmp_path, "train", *again(tmp_path), says=[str(path), "changed", "restore"])
    write(small_rows(99, seed=1), path)
    says = [str(path), "rows then: 100", "rows now: 99"]
    refuses(tmp_path, "train", *again(tmp_path), says=says)
    path.unlink()
    refuses(tmp_path, "train", *again(tmp_path), says=["2.parquet", "changed"])


def test_files_came_or_went_since(tmp_path: Path, log: Path) -> None:
    new = write(small_rows(100, seed=5), tmp_path / "data" / "3.parquet")
    refuses(tmp_path, "train", *again(tmp_path), says=[str(new), "new file"])
    new.unlink()
    (tmp_path / "data" / "2.parquet").unlink()
    refuses(tmp_path, "train", *again(tmp_path), says=["2.parquet", "missing"])


def test_the_validation_data_changed_since(tmp_path: Path, log: Path) -> None:
    path = write(small_rows(100, seed=10), tmp_path / "valid.parquet")
    refuses(tmp_path, "train", *again(tmp_path), says=[str(path), "valid", "changed"])


def test_the_order_of_the_rows_changed_since(tmp_path: Path, log: Path) -> None:
    path = tmp_path / "data" / "2.parquet"
    write(small_rows(100, seed=2).take(list(reversed(range(100)))), path)
    refuses(tmp_path, "train", *again(tmp_path), says=[str(path)])


CHANGES = {
    "a parameter": (["--set", "learning_rate=0.2"], ["learning_rate"]),
    "the seed": (["--seed", "1"], ["seed"]),
    "the label": (["--label", "a"], ["label", "then: fraud", "now: a"]),
    "the weight": (["--weight", "weight"], ["weight", "now: weight"]),
    "the columns": (["--exclude", "c"], ["columns", "a, b, c, city", "a, b, city"]),
    "a validation fraction": (["--valid-fraction", "0.5"], ["fraction"]),
    "the objective": (["--objective", "regression"], ["objective"]),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_asked_for_changed_since(tmp_path: Path, log: Path, what: str) -> None:
    arguments, words = CHANGES[what]
    given = again(tmp_path)
    for option in ("--label",):  # may be said once only
        if option in arguments:
            place = given.index(option)
            del given[place : place + 2]
    refuses(tmp_path, "train", *given, *arguments, says=[str(log), *words])


def test_a_log_that_is_damaged_before_its_end(tmp_path: Path, log: Path) -> None:
    """The header is before the end; what follows it may be one record, whose damage is that of a
    torn write."""
    file = log / "run.log"
    content = file.read_bytes()
    header_bytes = int.from_bytes(content[16:20], "little")
    for place in (16, 22, 40, 16 + header_bytes // 2, 16 + header_bytes):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        refuses(tmp_path, "train", *again(tmp_path), says=[str(file), "damaged", "restore"])


def test_a_log_of_another_version_or_kind(tmp_path: Path, log: Path) -> None:
    file = log / "run.log"
    content = file.read_bytes()
    assert content.startswith(b"EVERGROVE LOG 1\n")
    file.write_bytes(content.replace(b"LOG 1", b"LOG 7", 1))
    refuses(tmp_path, "train", *again(tmp_path), says=[str(file), "version", "7"])
    refuses(tmp_path, "inspect", log, says=[str(file), "version", "7"])
    file.write_bytes(b"once upon a time\n" * 100)
    refuses(tmp_path, "train", *again(tmp_path), says=[str(file), "not a run log"])


def test_a_log_where_a_file_is(tmp_path: Path, log: Path) -> None:
    (tmp_path / "file").write_text("mine")
    given = again(tmp_path)
    given[given.index("--log") + 1] = str(tmp_path / "file")
    refuses(tmp_path, "train", *given, says=[str(tmp_path / "file")])
    given[given.index("--log") + 1] = str(tmp_path / "file" / "below")
    refuses(tmp_path, "train", *given, says=[str(tmp_path / "file")])
