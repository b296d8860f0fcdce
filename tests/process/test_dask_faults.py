# SPDX-License-Identifier: Apache-2.0
"""A Dask cluster whose workers are killed, stopped, retired and replaced while they train."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

import evergrove

pytest.importorskip("distributed")

from tests.process.dask_cluster import (
    Cluster,
    DaskRun,
    left_behind,
    local_cluster,
    own_logs,
    write_adult_rows,
)
from tests.process.dask_deeds import DEEDS, adapt, scale_down_and_up

LABEL = "income"
PARAMS = {"max_leaves": 31}
TREES, TREES_WHEN_WORKERS_COME = 600, 5000


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adult_rows(tmp_path_factory.mktemp("rows") / "rows.parquet")


@functools.cache
def digest_of_one_machine(rows: Path, trees: int) -> str:
    params = {**PARAMS, "n_estimators": trees}
    return evergrove.train(params, rows, LABEL, valid_fraction=0.1, progress=False).digest


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_the_model_is_that_of_a_quiet_machine(
    deed: Callable[[Cluster, DaskRun], None], rows: Path
) -> None:
    trees = TREES_WHEN_WORKERS_COME if deed in (scale_down_and_up, adapt) else TREES
    params = {**PARAMS, "n_estimators": trees}
    with local_cluster() as cluster:
        run = DaskRun(cluster.client, rows, LABEL, params, valid_fraction=0.1)
        run.wait_for_tree(5)
        deed(cluster, run)
        assert run.model().digest == digest_of_one_machine(rows, trees)
        assert left_behind(cluster.client) == []


def test_a_cluster_that_is_closed_leaves_nothing(rows: Path) -> None:
    with local_cluster(n_workers=2) as cluster:
        run = DaskRun(cluster.client, rows, LABEL, {**PARAMS, "n_estimators": 100_000})
        run.wait_for_tree(5)
    with pytest.raises(OSError, match="scheduler does not answer"):
        run.model()
    assert own_logs(run.run_id) == []
