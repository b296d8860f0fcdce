# SPDX-License-Identifier: Apache-2.0
"""Workers that stand still, and spare copies of rows, with real processes."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.process.command import evergrove
from tests.process.rows import LABEL, small_rows, write
from tests.process.watched_run import WatchedRun

LEASE_SECONDS = 10


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(small_rows(300_000), tmp_path_factory.mktemp("data") / "rows.parquet", 65_536)


def test_a_worker_that_stands_still_is_not_waited_for(rows: Path, tmp_path: Path) -> None:
    with WatchedRun(tmp_path, rows, "n_estimators=1000000", "max_leaves=31") as run:
        for _ in range(3):
            run.start_worker()
        before = run.wait_until(lambda s: s["trees"] > 60 and count_members(s) == 3)
        stopped = run.workers[1]
        began = time.monotonic()
        stopped.send_signal(signal.SIGSTOP)
        run.wait_until(lambda s: s["overtaken"] == 1)
        status = run.wait_until(lambda s: s["trees"] > before["trees"] + 100)
        took = time.monotonic() - began
        assert took < LEASE_SECONDS, "the others went on before it was taken for lost"
        assert status["lost"] == 0
        assert count_members(status) == 2
        overtaken = [event for event in status["events"] if event["event"] == "overtaken"]
        assert len(overtaken) == 1
        stopped.send_signal(signal.SIGCONT)
        status = run.wait_until(lambda s: count_members(s) == 3)
        assert status["joined"] == 3, "it has come back, and is nobody new"
        assert "evergrove_worker_overtaken_total 1" in run.get("/metrics").text


def test_the_model_is_the_same_when_one_stands_still(rows: Path, tmp_path: Path) -> None:
    settings = ("n_estimators=400", "max_leaves=31", "subsample=0.8")
    alone = evergrove(
        *("train", "--data", rows, "--label", LABEL, "--valid-fraction", "0.2", "--json"),
        *("--model", tmp_path / "alone", "--set", *settings),
    ).json
    with WatchedRun(tmp_path, rows, *settings, options=("--replicas", 1)) as run:
        for _ in range(3):
            run.start_worker()
        run.wait_until(lambda s: s["trees"] > 20 and count_members(s) == 3)
        run.workers[0].send_signal(signal.SIGSTOP)
        report = run.report()
    assert report["digest"] == alone["digest"]
    assert report["cluster"]["overtaken"] == 1
    assert report["cluster"]["lost"] == 1, "it did not come back"


def test_with_spare_copies_a_loss_costs_no_reading(rows: Path, tmp_path: Path) -> None:
    options = ("--replicas", 1)
    with WatchedRun(tmp_path, rows, "n_estimators=1000000", options=options) as run:
        for _ in range(3):
            run.start_worker()
        run.wait_until(lambda s: count_members(s) == 3 and least_copies(s) == 2)
        run.workers[2].kill()
        status = run.wait_until(
            lambda s: s["lost"] == 1 and all(loss["is_made_good"] for loss in s["losses"])
        )
        # Both of those that are left had all rows between them.
        assert status["losses"][0]["standing_seconds"] == 0
        run.start_worker()
        run.wait_until(lambda s: count_members(s) == 3 and least_copies(s) == 2)


def test_spare_copies_are_for_runs_with_workers(rows: Path, tmp_path: Path) -> None:
    answer = evergrove(
        *("train", "--data", rows, "--label", LABEL, "--replicas", "1"),
        *("--model", tmp_path / "model"),
    )
    assert answer.code == 2
    assert "--replicas is for runs with workers; add --workers" in answer.error


def count_members(status: dict[str, Any]) -> int:
    return sum(worker["rows_active"] > 0 for worker in status["workers"])


def least_copies(status: dict[str, Any]) -> int:
    """Of all shards: who counts it, and who holds it besides."""
    held = [worker["shards_held"] for worker in status["workers"]]
    return int(sum(held) // len(status["shards"]))
