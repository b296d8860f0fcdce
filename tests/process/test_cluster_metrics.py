# SPDX-License-Identifier: Apache-2.0
"""What a run with workers says of its training and validation rows is what one process says."""

from pathlib import Path

import numpy as np
import pytest

from tests.process.command import DONE, evergrove
from tests.process.rows import LABEL, replaced, small_rows, write

CASES = {
    "two classes": ["n_estimators=8"],
    "weighted": ["n_estimators=8"],
    "stopped early": ["n_estimators=200", "early_stopping_rounds=2", "learning_rate=1"],
    "regression": ["n_estimators=6"],
    "three classes": ["n_estimators=4", "subsample=0.7"],
}


@pytest.mark.parametrize("case", CASES)
def test_metrics_are_those_of_one_process(case: str, tmp_path: Path) -> None:
    rows = small_rows(6000)
    random = np.random.default_rng(7)
    if case == "regression":
        rows = replaced(rows, **{LABEL: random.normal(size=6000) + rows["a"].to_numpy()})
    elif case == "three classes":
        rows = replaced(rows, **{LABEL: (rows["a"].to_numpy() > 0) + random.integers(0, 2, 6000)})
    data = write(rows, tmp_path / "rows.parquet", 1000)
    options = ["--data", data, "--label", LABEL, "--valid-fraction", "0.3", "--json"]
    options += ["--weight", "weight"] if case == "weighted" else ["--exclude", "weight"]
    options += ["--set", "max_leaves=15", *CASES[case]]
    one = evergrove("train", *options, "--model", tmp_path / "one")
    two = evergrove("train", *options, "--model", tmp_path / "two", "--workers", "2")
    assert one.code == two.code == DONE, two
    assert set(one.json["metrics"]) == {"train", "valid"}
    assert two.json["metrics"] == one.json["metrics"]
    assert two.json["digest"] == one.json["digest"]
    if case == "stopped early":
        assert 0 < one.json["best_iteration"] < 190
