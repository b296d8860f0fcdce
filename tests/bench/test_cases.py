# SPDX-License-Identifier: Apache-2.0
"""The cases of the speed bench: their files, the rows that are made for them, and how these are
read. Wrong words in a case's file must be refused, or a peer would be measured at other settings
than the file seems to say."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.compare import blocks, case_data, rows
from bench.compare.case import FOLDER, Case, CaseError, case_names, load_case
from bench.compare.data import SHARED
from bench.compare.generators import DRAWS

WITH_PEERS = [name for name in case_names() if name != "long"]
# What the libraries call the settings that are to be equal. XGBoost's max_bin and CatBoost's
# border_count count cuts; scikit-learn knows no bound on the hessian, and neither does YDF.
EQUAL = {
    "lightgbm": {
        "num_leaves": "leaves",
        "learning_rate": "learning_rate",
        "max_bin": "bins",
        "min_data_in_leaf": "min_rows",
        "min_sum_hessian_in_leaf": "min_hessian",
        "lambda_l2": "l2",
    },
    "xgboost": {"max_leaves": "leaves", "eta": "learning_rate", "max_bin": "bins", "lambda": "l2"},
    "catboost": {"learning_rate": "learning_rate", "l2_leaf_reg": "l2"},
    "ydf": {
        "max_num_nodes": "leaves",
        "shrinkage": "learning_rate",
        "min_examples": "min_rows",
        "l2_regularization": "l2",
        "num_discretized_numerical_bins": "bins",
    },
    "sklearn": {
        "max_leaf_nodes": "leaves",
        "learning_rate": "learning_rate",
        "max_bins": "bins",
        "min_samples_leaf": "min_rows",
        "l2_regularization": "l2",
    },
}
OURS = {
    "max_leaves": "leaves",
    "learning_rate": "learning_rate",
    "max_bins": "bins",
    "min_rows": "min_rows",
    "min_hessian": "min_hessian",
    "lambda_l2": "l2",
}


def test_the_cases_come_in_the_order_that_their_files_say() -> None:
    assert case_names()[:2] == ["dense", "fraud"]
    assert case_names()[-1] == "long"
    assert sum(load_case(name).counts for name in case_names()) == 6


@pytest.mark.parametrize("name", case_names())
def test_all_libraries_have_the_settings_of_the_case(name: str) -> None:
    case = load_case(name)
    for word, setting in OURS.items():
        assert case.ours[word] == getattr(case.settings, setting), word
    for entry in case.entries.values():
        for word, setting in EQUAL[entry.library].items():
            assert entry.parameters[word] == getattr(case.settings, setting), (entry.name, word)
        if entry.library == "catboost":
            assert entry.parameters["border_count"] == case.settings.bins - 1
            deep_enough = 2 ** entry.parameters["depth"] >= case.settings.leaves
            assert entry.parameters.get("max_leaves", case.settings.leaves) == case.settings.leaves
            assert deep_enough


@pytest.mark.parametrize("name", WITH_PEERS)
def test_each_library_is_in_each_case(name: str) -> None:
    assert {entry.library for entry in load_case(name).entries.values()} == set(EQUAL)


def test_an_entry_is_told_trees_seed_and_threads_in_its_own_words() -> None:
    entries = load_case("dense").entries
    assert entries["xgboost"].at(trees=3, seed=5, threads=2)["nthread"] == 2
    symmetric = entries["catboost-symmetric"].at(trees=3, seed=5, threads=2)
    assert (symmetric["iterations"], symmetric["random_seed"]) == (3, 5)
    assert "max_leaves" not in symmetric  # taken out of what it is like
    assert symmetric["border_count"] == 254  # and this kept


@pytest.mark.parametrize(
    ("was", "becomes", "words"),
    [
        ('library = "lightgbm"', 'library = "lightgmb"', "library: lightgmb"),
        ('title = "YDF"', 'title = "YDF"\nparams = {}', "not understood"),
        ('like = "xgboost"', 'like = "xgbost"', "xgbost"),
        ("trees = 100\n", "tress = 100\n", "tress"),
        ("rows = 1_000_000\n", "", "rows"),
        ('unset = ["max_leaves"', 'unset = ["max_leafs"', "max_leafs"),
        ("[data]", "[data", "not a case"),
    ],
)
def test_a_file_with_a_wrong_word_is_refused(
    tmp_path: Path, was: str, becomes: str, words: str
) -> None:
    text = (FOLDER / "dense.toml").read_text()
    assert was in text
    (tmp_path / "dense.toml").write_text(text.replace(was, becomes, 1))
    with pytest.raises(CaseError, match=words):
        load_case("dense", tmp_path)


def test_a_case_that_is_not_there_says_which_are() -> None:
    with pytest.raises(CaseError, match="dense, fraud, categories"):
        load_case("sparce")


@pytest.mark.parametrize("name", sorted(DRAWS))
def test_the_same_seed_makes_the_same_rows_in_any_row_groups(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 700)  # three blocks, the last one cut
    tables = {}
    for group_rows, seed in ((700, 1), (123, 1), (700, 2)):
        path = tmp_path / f"{group_rows}_{seed}.parquet"
        blocks.write(path, DRAWS[name], row_count=1_500, seed=seed, group_rows=group_rows)
        tables[group_rows, seed] = pq.read_table(path)
    assert tables[700, 1].num_rows == 1_500
    assert tables[700, 1].equals(tables[123, 1])
    assert not tables[700, 1].equals(tables[700, 2])


@pytest.mark.parametrize("name", case_names())
def test_the_rows_are_as_the_case_says(tmp_path: Path, name: str) -> None:
    case = small(name)
    if name == "fraud":
        pytest.importorskip("duckdb")
        if not (SHARED / case.path).exists():
            pytest.skip(f"needs ../shared/data/{case.path}")
    train, test = case_data.files(case, tmp_path)
    for path, count in ((train, case.rows), (test, case.test_rows)):
        table = pq.read_table(path)
        assert table.num_rows == count
        assert table.num_columns == case.columns + 1
        label = table[case.label].to_numpy()
        if case.task == "regression":
            assert np.max(label) > 20 * np.median(label)
        else:
            assert len(np.unique(label)) == (case.class_count or 2)
    assert not pq.read_table(train).slice(0, case.test_rows).equals(pq.read_table(test))


def test_the_sparse_rows_are_sparse_and_read_as_such(tmp_path: Path) -> None:
    train, _ = case_data.files(small("sparse"), tmp_path)
    dense = rows.load(str(train), "label", [])
    sparse = rows.load(str(train), "label", [], form="sparse")
    assert 0.025 < np.mean(dense.features != 0) < 0.035
    assert (sparse.features.toarray() == dense.features).all()
    assert (sparse.label == dense.label).all()


def test_categories_are_read_with_the_codes_of_training(tmp_path: Path) -> None:
    def write(words: list[str | None], name: str) -> str:
        table = pa.table({"word": words, "x": np.arange(len(words), dtype=np.float32), "y": words})
        pq.write_table(table.set_column(2, "y", pa.array([0] * len(words))), tmp_path / name)
        return str(tmp_path / name)

    train = rows.load(write(["pear", "apple", None, "pear"], "a.parquet"), "y", [])
    test = rows.load(write(["plum", "pear", "apple"], "b.parquet"), "y", [], like=train)
    assert list(train.features["word"].cat.categories) == ["apple", "pear"]
    assert list(train.features["word"].cat.codes) == [1, 0, -1, 1]
    assert list(test.features["word"].cat.codes) == [-1, 1, 0]
    codes = rows.codes_matrix(test)
    assert np.isnan(codes[0, 0])
    assert codes[1:].tolist() == [[1, 1], [0, 2]]


def test_a_case_says_nothing_twice() -> None:
    """A word that stands in two places would be changed in one."""
    for name in case_names():
        values: dict[str, Any] = tomllib.loads((FOLDER / f"{name}.toml").read_text())
        assert "n_estimators" not in values["ours"]


def small(name: str) -> Case:
    return load_case(name).cut(6_000 if name in ("fraud", "classes") else 2_000, 3)
