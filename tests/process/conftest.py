# SPDX-License-Identifier: Apache-2.0
"""What tests of wrong use start from: a file of good rows, and a model that was trained on them."""

from pathlib import Path

import pytest

from tests.process.command import DONE, evergrove
from tests.process.rows import LABEL, small_rows, write


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(small_rows(), tmp_path_factory.mktemp("data") / "rows.parquet")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    model = tmp_path_factory.mktemp("model") / "model"
    answer = evergrove(
        *("train", "--data", data, "--label", LABEL, "--model", model),
        *("--set", "n_estimators=5", "min_rows=5"),
    )
    assert answer.code == DONE, answer
    return model
