# SPDX-License-Identifier: Apache-2.0
"""train(workers=N): the model of one process, and what is refused."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import evergrove
from tests import data_sets

PARAMS = {"n_estimators": 6, "max_leaves": 8, "metrics": ["auc", "log_loss"]}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return data_sets.adult_like(rows=1_500).frame


@pytest.fixture(scope="module")
def path(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.parquet"
    frame.to_parquet(path, index=False)
    return path


def test_the_model_is_that_of_one_process(path: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"valid_fraction": 0.2, "valid": [path], "exclude": ["age"], "threads": 2}
    one = evergrove.train(PARAMS, path, "income", **how)
    two = evergrove.train(PARAMS, str(path), "income", **how, workers=2, log=tmp_path / "log")
    assert two.digest == one.digest
    assert two.metrics == one.metrics
    longer = evergrove.train(
        {**PARAMS, "n_estimators": 9}, path, "income", **how, workers=1, continue_from=two
    )
    alone = evergrove.train({**PARAMS, "n_estimators": 9}, path, "income", **how, continue_from=one)
    assert longer.digest == alone.digest
    with pytest.raises(ValueError, match="holds a run already"):
        evergrove.train(PARAMS, path, "income", **how, workers=2, log=tmp_path / "log")


def test_what_is_in_memory_is_refused_with_the_way_out(frame: pd.DataFrame, path: Path) -> None:
    with pytest.raises(TypeError, match="write it to Parquet first"):
        evergrove.train(PARAMS, frame, "income", workers=2)
    with pytest.raises(TypeError, match=r"write it to Parquet first.*valid"):
        evergrove.train(PARAMS, path, "income", valid=[frame], workers=2)
    with pytest.raises(TypeError, match="by its name"):
        evergrove.train(PARAMS, path, frame["income"], workers=2)
    with pytest.raises(TypeError, match="no names of their own"):
        evergrove.train(PARAMS, path, "income", valid={"old": path}, workers=2)


@pytest.mark.parametrize("workers", [0, -1, 65, 1.5, True])
def test_a_number_of_workers_that_cannot_be_is_refused(workers: Any, path: Path) -> None:
    with pytest.raises(ValueError, match="workers must be"):
        evergrove.train(PARAMS, path, "income", workers=workers)


def test_callbacks_are_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="Callbacks"):
        evergrove.train(PARAMS, path, "income", workers=1, callbacks=[print])


def test_what_is_wrong_with_the_data_is_said_as_always(path: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        evergrove.train(PARAMS, tmp_path / "absent.parquet", "income", workers=2)
    with pytest.raises(ValueError, match="salary"):
        evergrove.train(PARAMS, path, "salary", workers=2)


def test_a_command_that_is_not_there_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGROVE", "/nowhere/evergrove")
    with pytest.raises(FileNotFoundError):
        evergrove.train(PARAMS, path, "income", workers=1)
