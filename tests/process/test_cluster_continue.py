# SPDX-License-Identifier: Apache-2.0
"""--continue with workers: a model gets the trees, and the metrics, that one process gives it."""

from pathlib import Path

import numpy as np
import pytest

from tests.process.command import BAD_INPUT, DONE, Answer, evergrove
from tests.process.rows import LABEL, replaced, small_rows, write

WORKERS = ("--workers", "2")


def train(data: Path, model: Path, trees: int, *options: str | Path) -> Answer:
    return evergrove(
        *("train", "--data", data, "--label", LABEL, "--exclude", "weight", "--json"),
        *("--set", f"n_estimators={trees}", "max_leaves=15", "--model", model),
        *options,
    )


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("valid", ["none", "some rows"])
def test_a_model_gets_the_trees_that_one_process_gives_it(
    classes: int, valid: str, tmp_path: Path
) -> None:
    data = []
    for seed in (1, 2):
        rows = small_rows(4000, seed)
        if classes == 3:
            noise = np.random.default_rng(seed).integers(0, 2, 4000)
            rows = replaced(rows, **{LABEL: (rows["a"].to_numpy() > 0) + noise})
        data.append(write(rows, tmp_path / f"{seed}.parquet", 1000))
    first = tmp_path / "first"
    assert train(data[0], first, 4).code == DONE
    options: list[str | Path] = [
        "--continue",
        first,
        *(["--valid-fraction", "0.3"] if valid != "none" else []),
    ]
    one = train(data[1], tmp_path / "one", 9, *options)
    two = train(data[1], tmp_path / "two", 9, *options, *WORKERS, "--log", tmp_path / "log")
    assert one.code == two.code == DONE, two
    for key in ("digest", "metrics", "iterations", "resumed_iterations"):
        assert two.json[key] == one.json[key], key
    inspected = [evergrove("inspect", tmp_path / name, "--json").json for name in ("one", "two")]
    assert inspected[0]["metrics"] == inspected[1]["metrics"]
    # The log is enough to go on from, on one machine too.
    options = [*options[2:], "--log", tmp_path / "log", "--resume"]
    assert train(data[1], tmp_path / "again", 12, *options, *WORKERS).code == DONE
    longer = train(data[1], tmp_path / "longer", 12, "--continue", tmp_path / "one", *options[:-3])
    assert evergrove("digest", tmp_path / "again").out.split()[0] == longer.json["digest"]


def test_a_log_of_another_model_is_refused(tmp_path: Path) -> None:
    data = [write(small_rows(2000, seed), tmp_path / f"{seed}.parquet", 1000) for seed in (1, 2)]
    for rows in data:
        assert train(rows, tmp_path / f"of {rows.name}", 3).code == DONE
    log = ("--log", tmp_path / "log", "--resume", *WORKERS)
    right = ("--continue", tmp_path / f"of {data[0].name}")
    for trees in (5, 7):
        assert train(data[0], tmp_path / "model", trees, *right, *log).code == DONE
    wrong = ("--continue", tmp_path / f"of {data[1].name}")
    other = train(data[0], tmp_path / "model", 9, *wrong, *log)
    assert other.code == BAD_INPUT
    assert "did not go on from this model" in other.err
