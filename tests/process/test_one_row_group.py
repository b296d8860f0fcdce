# SPDX-License-Identifier: Apache-2.0
"""A file as most writers make it, all of its rows in one row group: several workers share it."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.process.command import evergrove
from tests.process.rows import LABEL, replaced, small_rows, write
from tests.process.watched_run import WatchedRun

ROWS = 300_000
SETTINGS = ("--valid-fraction", "0.2", "--set", "n_estimators=10", "max_leaves=31")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = small_rows(ROWS)
    # More texts than fit into a page's dictionary, so that some pages have them and some do not.
    names = [f"a rather long name of a merchant, number {i * i % 70_001}" for i in range(ROWS)]
    return write(replaced(table, merchant=names), tmp_path_factory.mktemp("data") / "rows.parquet")


def test_each_worker_holds_its_share(rows: Path, tmp_path: Path) -> None:
    with WatchedRun(tmp_path, rows, "n_estimators=1000000") as run:
        run.start_worker()
        run.start_worker()
        status = run.wait_until(
            lambda s: s["trees"] > 0 and all(worker["rows_active"] > 0 for worker in s["workers"])
        )
    held = [worker["rows_active"] for worker in status["workers"]]
    assert len(held) == 2
    assert sum(held) == ROWS
    assert max(held) <= 0.6 * ROWS


def test_the_model_is_that_of_small_row_groups(rows: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.parquet"
    pq.write_table(pq.read_table(rows), small, row_group_size=7_000)

    def digest(data: Path, *options: str) -> object:
        model = tmp_path / "model"
        return evergrove(
            *("train", "--data", data, "--label", LABEL, "--model", model, "--json"),
            *SETTINGS,
            *options,
        ).json["digest"]

    one = digest(small)
    assert digest(rows) == one
    assert digest(rows, "--workers", "2") == one
    assert digest(rows, "--threads", "1", "--memory", "150MiB") == one
