# SPDX-License-Identifier: Apache-2.0
"""pandas writes a frame's index into Parquet as a column; it must not become a feature."""

from pathlib import Path

import numpy as np

from tests import data_sets
from tests.process import command


def test_an_index_is_not_learnt_from(tmp_path: Path) -> None:
    frame = data_sets.regression(rows=400).frame
    plain, indexed = tmp_path / "plain.parquet", tmp_path / "indexed.parquet"
    frame.to_parquet(plain, index=False)
    frame.set_index(np.arange(400)[::-1] ** 2).to_parquet(indexed)  # no range of numbers
    answers = []
    for data in (plain, indexed):
        answer = command.evergrove(
            *("train", "--data", data, "--label", "target", "--model", tmp_path / "model"),
            *("--set", "n_estimators=3", "--log", tmp_path / data.stem, "--resume", "--json"),
        )
        assert answer.code == command.DONE, answer
        answers.append(answer)
    assert answers[0].json["digest"] == answers[1].json["digest"]
    assert "__index_level_0__ is pandas' index" in answers[1].err
