# SPDX-License-Identifier: Apache-2.0
"""Several small runs at once on one Dask cluster, as searches and pipelines make them: each makes
the model that one machine makes, and none sees another."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import evergrove
from tests import data_sets

pytest.importorskip("distributed")

import dask.dataframe as dd
from distributed import Client, worker_client
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import evergrove.dask
from tests.process.dask_cluster import Cluster, left_behind, local_cluster

DATA = data_sets.adult_like()
TRIALS = [{"n_estimators": 20, "max_leaves": leaves, "seed": leaves} for leaves in (4, 8, 16, 31)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with local_cluster(n_workers=2, threads_per_worker=2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    DATA.frame.to_parquet(path, row_group_size=500)
    return path


@pytest.fixture(scope="module")
def alone(rows: Path) -> list[str]:
    """The digests of one machine."""
    how: dict[str, Any] = {"valid_fraction": 0.2, "progress": False}
    return [evergrove.train(params, rows, DATA.label, **how).digest for params in TRIALS]


def train(client: Any, params: dict[str, Any], data: Any) -> Any:
    how: dict[str, Any] = {"valid_fraction": 0.2, "progress": False, "threads_per_worker": 1}
    return evergrove.dask.train(client, params, data, DATA.label, **how)


def frame() -> Any:
    return dd.from_pandas(DATA.frame, npartitions=4, sort=False)


@pytest.mark.parametrize("kind", ["paths", "frame"])
def test_four_at_once_by_threads_of_a_client(
    kind: str, cluster: Cluster, rows: Path, alone: list[str]
) -> None:
    data = frame() if kind == "frame" else rows
    with ThreadPoolExecutor(5) as pool:
        # One of them is wrong, which is nothing to the others.
        wrong = pool.submit(evergrove.dask.train, cluster.client, {}, data, "salary")
        models = pool.map(lambda params: train(cluster.client, params, data), TRIALS)
        assert [model.digest for model in models] == alone
        with pytest.raises(ValueError, match="salary"):
            wrong.result()
    assert left_behind(cluster.client) == []


@pytest.mark.parametrize("kind", ["paths", "frame"])
def test_four_at_once_as_tasks(kind: str, cluster: Cluster, rows: Path, alone: list[str]) -> None:
    """More than the cluster has threads for, were they not lent: a task that waits takes none."""

    def trial(params: dict[str, Any], data: Any) -> str:
        with worker_client() as client:
            return str(train(client, params, data).digest)

    data = frame() if kind == "frame" else str(rows)
    futures = [cluster.client.submit(trial, params, data) for params in TRIALS]
    assert cluster.client.gather(futures) == alone
    assert left_behind(cluster.client) == []


def test_four_at_once_of_an_asynchronous_client(
    cluster: Cluster, rows: Path, alone: list[str]
) -> None:
    async def search(address: str) -> list[str]:
        async with Client(address, asynchronous=True) as client:
            models = await asyncio.gather(*(train(client, params, rows) for params in TRIALS))
            return [model.digest for model in models]

    assert asyncio.run(search(cluster.cluster.scheduler_address)) == alone
    assert left_behind(cluster.client) == []


def test_of_several_clients(cluster: Cluster, rows: Path, alone: list[str]) -> None:
    address = cluster.cluster.scheduler_address
    with (
        Client(address, set_as_default=False) as one,
        Client(address, set_as_default=False) as two,
        ThreadPoolExecutor(4) as pool,
    ):
        models = pool.map(train, [one, two, one, two], TRIALS, [rows] * 4)
        assert [model.digest for model in models] == alone
    assert left_behind(cluster.client) == []


def test_an_optuna_study(cluster: Cluster, rows: Path, alone: list[str]) -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: Any) -> float:
        leaves = trial.suggest_categorical("max_leaves", [4, 8, 16, 31])
        params = {"n_estimators": 20, "max_leaves": leaves, "seed": leaves}
        model = train(cluster.client, params, rows)
        trial.set_user_attr("digest", model.digest)
        return float(model.metrics["valid"]["log_loss"])

    study = optuna.create_study(
        sampler=optuna.samplers.GridSampler({"max_leaves": [4, 8, 16, 31]}), direction="minimize"
    )
    study.optimize(objective, n_trials=4, n_jobs=4)
    found = {trial.params["max_leaves"]: trial.user_attrs["digest"] for trial in study.trials}
    assert found == {
        params["max_leaves"]: digest for params, digest in zip(TRIALS, alone, strict=True)
    }
    assert left_behind(cluster.client) == []


def test_a_grid_search_whose_fits_are_tasks(cluster: Cluster) -> None:
    """scikit-learn's own search, through joblib: each fit is a task of one worker."""
    import joblib

    data = data_sets.regression().frame
    X, y = data.drop(columns=["target"]), data["target"]
    grid = {"max_leaves": [4, 16], "seed": [1, 2]}
    search = GridSearchCV(evergrove.Regressor(n_estimators=10, n_jobs=1), grid, cv=2)
    with joblib.parallel_config("dask", client=cluster.client):
        search.fit(X, y)
    here = GridSearchCV(evergrove.Regressor(n_estimators=10, n_jobs=1), grid, cv=2).fit(X, y)
    assert search.best_params_ == here.best_params_
    scores = "mean_test_score"
    assert search.cv_results_[scores].tolist() == here.cv_results_[scores].tolist()
    assert search.best_estimator_.model_.digest == here.best_estimator_.model_.digest


def test_a_pipeline_of_dask_frames(cluster: Cluster) -> None:
    """As dask_ml has them: steps that take Dask's frames and give some."""
    settings: dict[str, Any] = {"n_estimators": 20, "max_leaves": 16}
    X, y = frame().drop(columns=[DATA.label]), frame()[DATA.label]
    last = evergrove.dask.DaskClassifier(client=cluster.client, **settings)
    pipeline = make_pipeline(FunctionTransformer(with_a_ratio), last).fit(X, y)
    here = make_pipeline(FunctionTransformer(with_a_ratio), evergrove.Classifier(**settings))
    here.fit(X.compute(), y.compute())
    assert pipeline[-1].model_.digest == here[-1].model_.digest
    lazy = pipeline.predict_proba(X)
    assert lazy.npartitions == X.npartitions
    assert (lazy.compute().to_numpy() == here.predict_proba(X.compute())).all()


def with_a_ratio(rows: Any) -> Any:
    return rows.assign(ratio=rows["gain"] / (rows["hours"] + 1))
