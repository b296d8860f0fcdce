# SPDX-License-Identifier: Apache-2.0
"""What workers say of their bytes, and the watched runs that docs/cluster_figures.md is made of."""

from pathlib import Path

import pytest

from bench.compare.cluster_run import ClusterRun
from tests.process.command import executable
from tests.process.rows import LABEL, small_rows, write


def test_what_all_have_sent_is_what_all_have_received(tmp_path: Path) -> None:
    data = write(small_rows(20_000), tmp_path / "rows.parquet", 1000)
    settings = {"n_estimators": 40, "max_leaves": 31, "min_rows": 5}
    with ClusterRun(Path(executable()), tmp_path, data, LABEL, settings) as run:
        for _ in range(2):
            run.add_worker()
        report = run.end()
        workers = run.bytes_of_workers()
    assert len(workers) == 2
    received = report["cluster"]["received_bytes"] + sum(each[0] for each in workers)
    sent = report["cluster"]["sent_bytes"] + sum(each[1] for each in workers)
    # What was said last may not be heard any more.
    assert received == pytest.approx(sent, rel=0.01)
    assert all(each[0] > 1000 and each[1] > 1000 for each in workers)
    assert run.looks[-1].trees <= 40
