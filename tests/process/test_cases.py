# SPDX-License-Identifier: Apache-2.0
"""Every scenario of tests/cases with real processes: the digest of one machine, and the counts."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.process.case_file import FOLDER, Case, WrongCaseError, read_case, write_data
from tests.process.case_run import CaseRun, TooFastError, settings
from tests.process.command import DONE, evergrove

FILES = sorted(FOLDER.glob("*.toml"))
COUNTS = ("joined", "lost", "left", "overtaken")
TRIES_MAX = 4


def test_there_are_cases() -> None:
    assert len(FILES) >= 12


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_digest_is_that_of_one_machine(path: Path, tmp_path: Path) -> None:
    case = read_case(path)
    data = write_data(case, tmp_path / "data")
    alone = evergrove("train", *settings(case, data), "--model", tmp_path / "alone", "--json")
    assert alone.code == DONE, alone
    stops_early = alone.json["iterations"] < case.parameters["n_estimators"]
    assert stops_early == case.expect.stops_early
    for attempt in itertools.count(1):
        try:
            with CaseRun(case, data, tmp_path / f"run{attempt}") as run:
                report = run.run()
        except TooFastError:
            assert attempt < TRIES_MAX, "the run ends before its events: give it more iterations"
            continue
        # Whatever became of the events, the model is the same.
        assert report["digest"] == alone.json["digest"]
        wrong, is_early = compare(case, report["cluster"])
        if not wrong:
            return
        assert is_early and attempt < TRIES_MAX, wrong


def compare(case: Case, cluster: dict[str, Any]) -> tuple[str, bool]:
    """What is not as expected; and whether the run may have ended before it came to that."""
    wrong, is_early = "", True
    for name in COUNTS:
        wanted = getattr(case.expect, name)
        if wanted is not None and cluster[name] != wanted:
            wrong += f"{name} {cluster[name]}, the case expects {wanted}; "
            is_early = is_early and cluster[name] < wanted
    return wrong, is_early


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[data]\nrow = 3\n", "data: there is no key row; there are rows, shards"),
        ("[[event]]\nat = 3\n", "event 1: there is no key at"),
        ("[[event]]\nworker = 3\n", "event 1: .*'do'"),
        ("[[worker]]\nspeed = 3\n", "worker: there is no key speed"),
        ("[expect]\nloss = 3\n", "expect: there is no key loss"),
    ],
)
def test_wrong_files_are_refused_with_the_place(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(WrongCaseError, match=rf"wrong\.toml: {says}"):
        read_case(path)
