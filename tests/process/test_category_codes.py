# SPDX-License-Identifier: Apache-2.0
"""Categories that look like numbers: a model must know them again, whatever rows come with them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evergrove
from tests.process import command


def run(*arguments: object) -> dict[str, Any]:
    answer = command.evergrove(*arguments, "--json")
    assert answer.code == command.DONE, answer
    return answer.json


def write_csv(path: Path, codes: list[str], seed: int) -> None:
    """The label depends on the code alone: every second one is mostly 1."""
    random = np.random.default_rng(seed)
    place = random.integers(0, len(codes), 2_000)
    label = (random.random(2_000) < np.where(place % 2 == 1, 0.9, 0.1)).astype(int)
    rows = [f"{codes[p]},{y}" for p, y in zip(place, label, strict=True)]
    path.write_text("\n".join(["code,label", *rows]) + "\n")


def auc(model: Path, data: Path) -> float:
    told = run("evaluate", "--model", model, "--data", data, "--metrics", "auc")
    return float(told["metrics"]["data"]["auc"])


def test_a_type_that_was_said_in_training_holds_in_scoring(tmp_path: Path) -> None:
    write_csv(tmp_path / "data.csv", [f"{place:04d}" for place in range(12)], seed=1)
    model = tmp_path / "model.evergrove"
    trained = run(
        *("train", "--data", tmp_path / "data.csv", "--label", "label", "--type", "code=text"),
        *("--model", model),
    )
    assert auc(model, tmp_path / "data.csv") == trained["metrics"]["train"]["auc"] > 0.85


@pytest.mark.parametrize("command", ["evaluate", "validate"])
def test_codes_are_text_where_no_letter_shows_it(command: str, tmp_path: Path) -> None:
    digits = [f"{place:04d}" for place in range(12)]
    write_csv(tmp_path / "train.csv", [*digits, "A7", "B9"], seed=1)
    write_csv(tmp_path / "day.csv", digits, seed=2)
    model = tmp_path / "model.evergrove"
    trained = run(
        *("train", "--data", tmp_path / "train.csv", "--label", "label"),
        *("--valid", tmp_path / "day.csv", "--model", model),
    )
    if command == "evaluate":
        assert auc(model, tmp_path / "day.csv") > 0.85
    else:
        assert trained["metrics"]["valid"]["auc"] > 0.85


def test_numbers_as_categories_are_known_by_their_value(tmp_path: Path) -> None:
    write_csv(tmp_path / "data.csv", [f"{place:04d}" for place in range(12)], seed=1)
    write_csv(tmp_path / "plain.csv", [str(place) for place in range(12)], seed=1)
    model = tmp_path / "model.evergrove"
    run(
        *("train", "--data", tmp_path / "data.csv", "--label", "label", "--categorical", "code"),
        *("--model", model),
    )
    assert auc(model, tmp_path / "data.csv") == auc(model, tmp_path / "plain.csv") > 0.85


def test_python_knows_them_again_too(tmp_path: Path) -> None:
    digits = [f"{place:04d}" for place in range(12)]
    write_csv(tmp_path / "train.csv", [*digits, "A7"], seed=1)
    write_csv(tmp_path / "day.csv", digits, seed=2)
    model = evergrove.train(
        {"n_estimators": 20}, tmp_path / "train.csv", "label", valid=tmp_path / "day.csv"
    )
    assert model.metrics["valid"]["auc"][-1] > 0.85
    assert model.evaluate(tmp_path / "day.csv", ["auc"])["auc"] > 0.85
