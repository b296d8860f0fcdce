# SPDX-License-Identifier: Apache-2.0
"""What losing a worker costs, as the run itself says it, with real processes."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.process.command import DONE, evergrove, finish, start
from tests.process.rows import LABEL, small_rows, write
from tests.process.watched_run import WatchedRun

SETTINGS = ("--set", "n_estimators=100", "max_leaves=127", "min_rows=5")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Five shards, for a shard has no fewer rows than a block.
    return write(small_rows(300_000), tmp_path_factory.mktemp("data") / "rows.parquet", 65_536)


def test_a_quiet_run_loses_exactly_nothing(rows: Path, tmp_path: Path) -> None:
    cluster = evergrove(
        *("train", "--data", rows, "--label", LABEL, "--workers", "2", "--json"),
        *("--model", tmp_path / "model", *SETTINGS),
    ).json["cluster"]
    assert cluster["work_lost_seconds"] == 0
    assert cluster["recovery_seconds"] == 0
    assert cluster["losses"] == []
    assert cluster["work_seconds"] > 0


def test_the_end_says_what_a_loss_has_cost(rows: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    began = time.monotonic()
    process = start(
        *("train", "--data", rows, "--label", LABEL, "--workers", "2", "--json", "--log", log),
        *("--model", tmp_path / "model", *SETTINGS),
    )
    while not sum(path.stat().st_size for path in log.glob("run*.log")) > 20_000:
        assert process.poll() is None
        assert time.monotonic() - began < 60
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 2
    os.kill(int(children[0]), signal.SIGKILL)
    answer = finish(process)
    took = time.monotonic() - began
    assert answer.code == DONE, answer
    cluster = answer.json["cluster"]
    assert cluster["lost"] == 1
    (loss,) = cluster["losses"]
    lost = loss["dropped_seconds"] + loss["redone_seconds"]
    assert cluster["work_lost_seconds"] == pytest.approx(lost)
    assert 0 < cluster["work_lost_seconds"] < cluster["work_seconds"] <= 2 * took
    assert 0 < cluster["recovery_seconds"] == loss["recovery_seconds"] < took


def test_every_loss_is_told_while_the_run_goes_on(rows: Path, tmp_path: Path) -> None:
    endless = ("n_estimators=1000000", "max_leaves=127", "min_rows=5")
    with WatchedRun(tmp_path, rows, *endless) as run:
        began = time.monotonic()
        run.start_worker()
        run.start_worker()
        for kill in range(1, 4):
            trees = run.status()["trees"]
            run.wait_until(
                lambda s, trees=trees: (  # type: ignore[misc]
                    s["trees"] > trees + 3
                    and sum(worker["rows_active"] > 0 for worker in s["workers"]) == 2
                )
            )
            run.workers[-1].kill()
            run.start_worker()
            run.wait_until(lambda s, kill=kill: s["lost"] == kill)  # type: ignore[misc]
        status = run.wait_until(lambda s: all(loss["is_made_good"] for loss in s["losses"]))
        took = time.monotonic() - began
    assert [event["event"] for event in status["events"]].count("lost") == 3
    # Where the machine has much else to do a worker may be overtaken as well, which costs the same.
    assert [loss["seconds"] for loss in status["losses"]] == [
        event["seconds"] for event in status["events"] if event["event"] in ("lost", "overtaken")
    ]
    lost = sum(loss["dropped_seconds"] + loss["redone_seconds"] for loss in status["losses"])
    assert status["work_lost_seconds"] == pytest.approx(lost)
    assert 0 < status["work_lost_seconds"] < status["work_seconds"] <= 2 * took
    assert 0 < status["recovery_seconds"] <= took
    for loss in status["losses"]:
        assert loss["members"] == (2 if loss["rounds"] > 0 else 0)
        assert loss["standing_seconds"] <= loss["recovery_seconds"]
