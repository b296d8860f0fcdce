# SPDX-License-Identifier: Apache-2.0
"""Labels, weights and categories that cannot be learnt from, and data that does not fit the model
which is to score it: each is refused in one sentence that names the column."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.process.command import DONE, evergrove
from tests.process.refusal import refuses, refuses_to_train
from tests.process.rows import LABEL, replaced, small_rows, write

COUNT = 200
ZERO_ONE = [row % 2 for row in range(COUNT)]


def with_one(values: Sequence[Any], odd: Any, place: int = 41) -> list[Any]:
    """The values with an odd one among them."""
    return [odd if row == place else value for row, value in enumerate(values)]


# --- The label ---------------------------------------------------------------------------------

FLOATS = [float(value) for value in ZERO_ONE]
TEXTS = ["yes" if value else "no" for value in ZERO_ONE]

# What the label's column holds, and what the sentence says besides its name.
LABELS: dict[str, tuple[Any, list[str]]] = {
    "constant number": ([1] * COUNT, ["constant", "1"]),
    "constant text": (["yes"] * COUNT, ["constant", "yes"]),
    "constant bool": ([True] * COUNT, ["constant"]),
    "a null": (with_one(ZERO_ONE, None), ["missing", "first row: 41"]),
    "a null text": (with_one(TEXTS, None), ["missing", "first row: 41"]),
    "a NaN": (with_one(FLOATS, math.nan), ["missing", "first row: 41"]),
    "infinity": (with_one(FLOATS, math.inf), ["infinite", "first row: 41"]),
    "minus infinity": (with_one(FLOATS, -math.inf), ["infinite", "first row: 41"]),
    "nulls only": (pa.nulls(COUNT, pa.int64()), ["missing", "rows: 200"]),
    "no type": (pa.nulls(COUNT), []),
    "three numbers": (with_one(ZERO_ONE, 2), ["two values", "0, 1, 2"]),
    "three texts": (with_one(TEXTS, "maybe"), ["two values", "maybe"]),
    "three floats": (with_one(FLOATS, 0.5), ["two values", "0.5"]),
}


@pytest.mark.parametrize("what", LABELS)
def test_a_label_that_is_not_binary(tmp_path: Path, what: str) -> None:
    values, words = LABELS[what]
    path = write(replaced(small_rows(), bad=values), tmp_path / "rows.parquet", row_group_rows=50)
    refuses_to_train(
        tmp_path, path, "--label", "bad", "--objective", "binary", says=["bad", *words]
    )


@pytest.mark.parametrize("what", [name for name in LABELS if "three" not in name])
def test_such_a_label_without_an_objective(tmp_path: Path, what: str) -> None:
    """The objective is then chosen by the label, which must not choose a way around the trouble."""
    values, words = LABELS[what]
    path = write(replaced(small_rows(), bad=values), tmp_path / "rows.parquet")
    refuses_to_train(tmp_path, path, "--label", "bad", says=["bad", *words])


@pytest.mark.parametrize("objective", ["regression", "multiclass"])
@pytest.mark.parametrize("what", ["constant number", "a null", "a NaN", "infinity", "nulls only"])
def test_such_a_label_of_other_objectives(tmp_path: Path, what: str, objective: str) -> None:
    values, _ = LABELS[what]
    path = write(replaced(small_rows(), bad=values), tmp_path / "rows.parquet")
    refuses_to_train(tmp_path, path, "--label", "bad", "--objective", objective, says=["bad"])


def test_a_label_too_large_to_be_squared(tmp_path: Path) -> None:
    path = write(replaced(small_rows(), bad=with_one(FLOATS, 1e120)), tmp_path / "rows.parquet")
    refuses_to_train(
        *(tmp_path, path, "--label", "bad", "--objective", "regression"),
        says=["bad", "1e100", "row: 41", "divide"],
    )


@pytest.mark.parametrize("what", ["a null", "a null text", "three numbers", "constant text"])
def test_such_a_label_in_a_csv_file(tmp_path: Path, what: str) -> None:
    values, words = LABELS[what]
    path = write(replaced(small_rows(), bad=values), tmp_path / "rows.csv")
    refuses_to_train(
        tmp_path, path, "--label", "bad", "--objective", "binary", says=["bad", *words]
    )


def test_no_column_of_the_label(tmp_path: Path) -> None:
    path = write(small_rows(), tmp_path / "rows.parquet")
    refuses_to_train(tmp_path, path, "--label", "froud", says=["label", "froud", "a, b, c", LABEL])


def test_no_column_of_the_label_in_the_validation_data(tmp_path: Path) -> None:
    path = write(small_rows(), tmp_path / "rows.parquet")
    valid = write(small_rows().drop_columns([LABEL]), tmp_path / "valid.parquet")
    refuses_to_train(tmp_path, path, "--valid", valid, says=[LABEL])


def test_a_validation_label_that_training_never_saw(tmp_path: Path) -> None:
    path = write(small_rows(), tmp_path / "rows.parquet")
    odd = replaced(small_rows(), fraud=with_one(ZERO_ONE, 7))
    valid = write(odd, tmp_path / "valid.parquet")
    refuses_to_train(tmp_path, path, "--valid", valid, says=[LABEL, "7", "41"])


def test_text_as_the_label_of_a_regression(tmp_path: Path) -> None:
    path = write(small_rows(), tmp_path / "rows.parquet")
    refuses_to_train(
        *(tmp_path, path, "--label", "city", "--objective", "regression"),
        says=["city", "text", "number"],
    )


def test_too_many_classes(tmp_path: Path) -> None:
    rows = small_rows(5000)
    path = write(replaced(rows, number=list(range(5000))), tmp_path / "rows.parquet")
    refuses_to_train(
        *(tmp_path, path, "--label", "number", "--objective", "multiclass"),
        says=["number", "too many classes", "regression"],
    )


# --- The weight --------------------------------------------------------------------------------

WEIGHTS: dict[str, tuple[Any, list[str]]] = {
    "a NaN": (with_one(FLOATS, math.nan), ["NaN", "first row: 41"]),
    "a null": (with_one(FLOATS, None), ["missing", "first row: 41"]),
    "infinity": (with_one(FLOATS, math.inf), ["infinite", "first row: 41"]),
    "minus infinity": (with_one(FLOATS, -math.inf), ["infinite", "first row: 41"]),
    "a negative one": (with_one(FLOATS, -0.25), ["negative", "0 or more", "first row: 41"]),
    "zeros only": ([0.0] * COUNT, ["0"]),
    "text": (TEXTS, ["text", "number"]),
    "nulls only": (pa.nulls(COUNT, pa.float64()), ["missing"]),
    "beyond 32 bits": (with_one(FLOATS, 1e300), ["first row: 41"]),
}


@pytest.mark.parametrize("what", WEIGHTS)
def test_a_weight_that_cannot_weigh(tmp_path: Path, what: str) -> None:
    values, words = WEIGHTS[what]
    path = write(replaced(small_rows(), bad=values), tmp_path / "rows.parquet", row_group_rows=50)
    refuses_to_train(tmp_path, path, "--weight", "bad", says=["bad", "eight", *words])


@pytest.mark.parametrize("objective", ["binary", "regression"])
def test_weights_as_good_as_zero(tmp_path: Path, objective: str) -> None:
    path = write(replaced(small_rows(), weight=[1e-30] * COUNT), tmp_path / "rows.parquet")
    refuses_to_train(
        *(tmp_path, path, "--weight", "weight", "--objective", objective),
        says=["weights", "5e-7", "larger"],
    )


def test_no_column_of_the_weight(tmp_path: Path) -> None:
    path = write(small_rows(), tmp_path / "rows.parquet")
    refuses_to_train(tmp_path, path, "--weight", "wait", says=["weight", "wait"])


def test_the_label_as_the_weight(tmp_path: Path) -> None:
    path = write(small_rows(), tmp_path / "rows.parquet")
    refuses_to_train(tmp_path, path, "--weight", LABEL, says=[LABEL, "different"])


# --- A million categories ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def identifiers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    count = 1_000_000
    numbers = pa.array(np.arange(count))
    rows = pa.table(
        {
            "id": pc.binary_join_element_wise("customer-", pc.cast(numbers, pa.string()), ""),
            "a": np.arange(count) % 97,
            LABEL: (np.arange(count) % 97 > 50).astype(np.int64),
        }
    )
    return write(rows, tmp_path_factory.mktemp("identifiers") / "rows.parquet")


def test_a_million_categories(tmp_path: Path, identifiers: Path) -> None:
    start = time.monotonic()
    refuses_to_train(tmp_path, identifiers, says=["id", "too many categories", "exclude"])
    assert time.monotonic() - start < 20


def test_a_million_categories_of_a_label(tmp_path: Path, identifiers: Path) -> None:
    refuses_to_train(tmp_path, identifiers, "--label", "id", says=["id", "too many classes"])


def test_a_column_of_identifiers_may_be_excluded(tmp_path: Path, identifiers: Path) -> None:
    answer = evergrove(
        *("train", "--data", identifiers, "--label", LABEL, "--exclude", "id"),
        *("--model", tmp_path / "model", "--set", "n_estimators=1"),
    )
    assert answer.code == DONE, answer


# --- Scoring -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on a, b, c and city with weights; its trees look at all of them."""
    folder = tmp_path_factory.mktemp("model")
    path = write(small_rows(), folder / "rows.parquet")
    answer = evergrove(
        *("train", "--data", path, "--label", LABEL, "--weight", "weight"),
        *("--model", folder / "model", "--set", "n_estimators=20", "min_rows=5"),
    )
    assert answer.code == DONE, answer
    return folder / "model"


def refuses_to_score(
    folder: Path, model: Path, data: Path, *arguments: object, says: list[str]
) -> None:
    """Both predict and evaluate must refuse the data."""
    out = folder / "scores.parquet"
    scoring = ["predict", "--model", model, "--data", data, "--out", out, *arguments]
    refuses(folder, *scoring, says=says)
    refuses(folder, "evaluate", "--model", model, "--data", data, *arguments, says=says)


@pytest.mark.parametrize("column", ["a", "city"])
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_column_is_missing_at_scoring(
    tmp_path: Path, model: Path, column: str, ending: str
) -> None:
    data = write(small_rows().drop_columns([column]), tmp_path / f"rows.{ending}")
    refuses_to_score(tmp_path, model, data, says=[f"column: {column}"])


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_text_where_the_model_has_numbers(tmp_path: Path, model: Path, ending: str) -> None:
    data = write(replaced(small_rows(), a=["text"] * COUNT), tmp_path / f"rows.{ending}")
    refuses_to_score(tmp_path, model, data, says=["column: a", "numbers"])


def test_lists_where_the_model_has_numbers(tmp_path: Path, model: Path) -> None:
    data = write(replaced(small_rows(), a=[[1.0]] * COUNT), tmp_path / "rows.parquet")
    refuses_to_score(tmp_path, model, data, says=["column: a", "list"])


def test_the_data_to_score_is_not_there_empty_or_cut(tmp_path: Path, model: Path) -> None:
    refuses_to_score(tmp_path, model, tmp_path / "gone.parquet", says=["gone.parquet"])
    (tmp_path / "empty.csv").touch()
    refuses_to_score(tmp_path, model, tmp_path / "empty.csv", says=["empty.csv"])
    whole = write(small_rows(), tmp_path / "cut.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-100])
    refuses_to_score(tmp_path, model, tmp_path / "cut.parquet", says=["cut.parquet"])


def test_a_column_of_the_validation_data_is_missing_or_of_another_type(tmp_path: Path) -> None:
    path = write(small_rows(), tmp_path / "rows.parquet")
    valid = write(small_rows().drop_columns(["c"]), tmp_path / "valid.parquet")
    refuses_to_train(tmp_path, path, "--valid", valid, says=["column: c", "valid"])
    write(replaced(small_rows(), c=["text"] * COUNT), valid)
    refuses_to_train(tmp_path, path, "--valid", valid, says=["column: c", "valid", "numbers"])


EVALUATIONS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a label never seen": ({LABEL: with_one(ZERO_ONE, 3)}, [LABEL, "3", "41"]),
    "a missing label": ({LABEL: with_one(ZERO_ONE, None)}, [LABEL, "missing", "41"]),
    "a text label": ({LABEL: TEXTS}, [LABEL]),
    "a negative weight": ({"weight": with_one(FLOATS, -1.0)}, ["weight", "negative", "41"]),
}


@pytest.mark.parametrize("what", EVALUATIONS)
def test_evaluation_on_bad_values(tmp_path: Path, model: Path, what: str) -> None:
    columns, words = EVALUATIONS[what]
    data = write(replaced(small_rows(), **columns), tmp_path / "rows.parquet")
    refuses(tmp_path, "evaluate", "--model", model, "--data", data, says=words)


def test_evaluation_without_the_label_or_rows(tmp_path: Path, model: Path) -> None:
    data = write(small_rows().drop_columns([LABEL]), tmp_path / "rows.parquet")
    refuses(tmp_path, "evaluate", "--model", model, "--data", data, says=["label", LABEL])
    none = write(small_rows().slice(0, 0), tmp_path / "none.parquet")
    refuses(tmp_path, "evaluate", "--model", model, "--data", none, says=["no rows"])


def test_prediction_of_no_rows_is_no_trouble(tmp_path: Path, model: Path) -> None:
    """Nothing to score is an ordinary day of a batch job; its file has no rows."""
    none = write(small_rows().slice(0, 0), tmp_path / "none.parquet")
    out = tmp_path / "scores.parquet"
    answer = evergrove("predict", "--model", model, "--data", none, "--out", out, "--keep", "a")
    assert answer.code == DONE, answer
    scores = pa.parquet.read_table(out)
    assert scores.schema.names == ["a", "score"]
    assert scores.num_rows == 0
