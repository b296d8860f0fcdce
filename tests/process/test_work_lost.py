# SPDX-License-Identifier: Apache-2.0
"""What losing a worker costs, as the run itself prints it, with real processes."""

import time
from pathlib import Path

import pytest

from tests.process.command import evergrove
from tests.process.rows import LABEL, small_rows, write
from tests.process.watched_run import WatchedRun

SETTINGS = ("n_estimators=120", "max_leaves=63", "min_rows=5")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(small_rows(60_000), tmp_path_factory.mktemp("data") / "rows.parquet", 2000)


def test_a_quiet_run_loses_exactly_nothing(rows: Path, tmp_path: Path) -> None:
    cluster = evergrove(
        *("train", "--data", rows, "--label", LABEL, "--workers", "2", "--json"),
        *("--model", tmp_path / "model", "--set", *SETTINGS),
    ).json["cluster"]
    assert cluster["work_lost_seconds"] == 0
    assert cluster["recovery_seconds"] == 0
    assert cluster["losses"] == []
    assert cluster["work_seconds"] > 0


def test_a_loss_costs_no_more_than_it_took(rows: Path, tmp_path: Path) -> None:
    with WatchedRun(tmp_path, rows, *SETTINGS) as run:
        for _ in range(2):
            run.start_worker()
        run.wait_until(lambda s: s["trees"] > 5 and sum(w["is_member"] for w in s["workers"]) == 2)
        began = time.monotonic()
        for kill in range(1, 4):
            # Each in the middle of trees of its own.
            trees = run.status()["trees"]
            run.workers[-1].kill()
            run.start_worker()
            run.wait_until(lambda s, kill=kill: s["lost"] == kill)  # type: ignore[misc]
            run.wait_until(
                lambda s, trees=trees: (  # type: ignore[misc]
                    s["trees"] > trees + 3 and sum(w["is_member"] for w in s["workers"]) == 2
                )
            )
        took = time.monotonic() - began
        status = run.status()
        report = run.report()
    cluster = report["cluster"]
    assert cluster["lost"] == 3
    assert len(cluster["losses"]) == 3
    assert [event["event"] for event in status["events"]].count("lost") == 3
    lost = sum(loss["dropped_seconds"] + loss["redone_seconds"] for loss in cluster["losses"])
    assert cluster["work_lost_seconds"] == pytest.approx(lost, abs=1e-9)
    assert 0 < cluster["work_lost_seconds"] < cluster["work_seconds"]
    assert cluster["work_lost_seconds"] <= 2 * took  # two workers, as long as that
    assert 0 < cluster["recovery_seconds"] <= took
    for loss in cluster["losses"]:
        assert loss["is_made_good"]
        assert loss["standing_seconds"] <= loss["recovery_seconds"]
    one = evergrove(
        *("train", "--data", rows, "--label", LABEL, "--valid-fraction", "0.2", "--json"),
        *("--model", tmp_path / "one", "--set", *SETTINGS),
    ).json
    assert report["digest"] == one["digest"]
