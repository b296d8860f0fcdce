# SPDX-License-Identifier: Apache-2.0
"""evergrove.dask: the model of one machine, from what Dask's workers read and hold."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import evergrove
from tests import data_sets

pytest.importorskip("distributed")

import evergrove.dask
from tests.process.dask_cluster import Cluster, DaskRun, left_behind, local_cluster

PARAMS = {"n_estimators": 20, "max_leaves": 16, "metrics": ["auc", "log_loss"], "subsample": 0.8}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with local_cluster() as cluster:
        yield cluster


def written(data: data_sets.DataSet, folder: Path) -> list[Path]:
    """The rows in two files of several row groups."""
    paths = [folder / f"{data.name}-{part}.parquet" for part in (1, 2)]
    table = pa.Table.from_pandas(data.frame, preserve_index=False)
    middle = table.num_rows // 3
    pq.write_table(table[:middle], paths[0], row_group_size=500)
    pq.write_table(table[middle:], paths[1], row_group_size=500)
    return paths


@pytest.fixture(scope="module")
def adult(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return written(data_sets.adult_like(), tmp_path_factory.mktemp("adult"))


@pytest.mark.parametrize("make", [data_sets.adult_like, data_sets.fraud_small])
def test_paths_give_the_model_of_one_machine(make: Any, cluster: Cluster, tmp_path: Path) -> None:
    data = make()
    paths = written(data, tmp_path)
    how: dict[str, Any] = {"exclude": data.exclude, "valid": [paths[1]], "valid_fraction": 0.2}
    one = evergrove.train(PARAMS, paths, data.label, **how)
    many = evergrove.dask.train(cluster.client, PARAMS, paths, data.label, **how, progress=False)
    assert many.digest == one.digest
    assert many.metrics == one.metrics
    assert left_behind(cluster.client) == []


def test_a_run_takes_the_threads_it_was_told(cluster: Cluster, adult: list[Path]) -> None:
    one = evergrove.train(PARAMS, adult, "income")
    two = evergrove.dask.train(
        cluster.client, PARAMS, adult, "income", threads_per_worker=2, progress=False
    )
    assert two.digest == one.digest


def test_a_model_gets_more_trees_from_a_log_that_is_resumed(
    cluster: Cluster, adult: list[Path], tmp_path: Path
) -> None:
    more = {**PARAMS, "n_estimators": 30}
    train = evergrove.dask.train
    first = train(cluster.client, PARAMS, adult, "income", log=tmp_path / "log", progress=False)
    with pytest.raises(ValueError, match="holds a run already"):
        train(cluster.client, PARAMS, adult, "income", log=tmp_path / "log", progress=False)
    again = train(
        cluster.client, PARAMS, adult, "income", log=tmp_path / "log", resume=True, progress=False
    )
    assert again.digest == first.digest
    longer = train(cluster.client, more, adult, "income", continue_from=first, progress=False)
    alone = evergrove.train(more, adult, "income", continue_from=first)
    assert longer.digest == alone.digest


def test_several_runs_at_once_do_not_meet(cluster: Cluster, adult: list[Path]) -> None:
    seeds = [1, 2, 3]
    runs = [
        DaskRun(cluster.client, adult, "income", {**PARAMS, "seed": seed}, run_id=f"seed-{seed}")
        for seed in seeds
    ]
    for seed, run in zip(seeds, runs, strict=True):
        alone = evergrove.train({**PARAMS, "seed": seed}, adult, "income")
        assert run.model().digest == alone.digest
    assert left_behind(cluster.client) == []
