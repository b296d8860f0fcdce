# SPDX-License-Identifier: Apache-2.0
"""Dask's frames, arrays and delayed frames: trained on where they lie, scored lazily."""

import gc
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evergrove
from tests import data_sets

pytest.importorskip("distributed")

import dask
import dask.array as da
import dask.dataframe as dd

import evergrove.dask
from tests.process.dask_cluster import Cluster, DaskRun, left_behind, local_cluster

PARAMS = {"n_estimators": 20, "max_leaves": 16}
DATA = data_sets.adult_like()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with local_cluster(n_workers=3) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def one() -> evergrove.Model:
    return evergrove.train(PARAMS, DATA.frame, DATA.label, progress=False)


def frame() -> Any:
    return dd.from_pandas(DATA.frame, npartitions=7, sort=False)


def train(cluster: Cluster, data: Any, label: Any = DATA.label, **how: Any) -> evergrove.Model:
    how.setdefault("progress", False)
    return evergrove.dask.train(cluster.client, PARAMS, data, label, **how)


def test_a_frame_and_delayed_frames(cluster: Cluster, one: evergrove.Model) -> None:
    assert train(cluster, frame()).digest == one.digest
    assert train(cluster, frame().to_delayed()).digest == one.digest
    assert train(cluster, frame().persist()).digest == one.digest
    assert left_behind(cluster.client) == []
    # The client lets go of what it persisted when Python does, and says so a moment later.
    deadline = time.monotonic() + 10
    while cluster.client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
        assert time.monotonic() < deadline, "tasks are left at the scheduler"
        gc.collect()
        time.sleep(0.05)


def test_labels_weights_and_validation_sets_beside_the_frame(cluster: Cluster) -> None:
    X, y = DATA.frame.drop(columns=[DATA.label]), DATA.frame[DATA.label]
    w = pd.Series(np.arange(len(y)) % 3 + 1.0, name="w")
    alone = evergrove.train(PARAMS, X, y, weight=w, valid=[(X, y)], progress=False)
    parts = {"npartitions": 5, "sort": False}
    dX, dy, dw = (dd.from_pandas(one, **parts) for one in (X, y, w))
    many = train(cluster, dX, dy, weight=dw, valid=[(dX, dy)])
    assert (many.digest, many.label) == (alone.digest, alone.label)
    assert many.metrics.keys() == alone.metrics.keys()


def test_arrays(cluster: Cluster) -> None:
    data = data_sets.seven_class()
    X, y = data.frame.drop(columns=[data.label]).to_numpy(), data.frame[data.label].to_numpy()
    alone = evergrove.train(PARAMS, X, y, progress=False)
    dX, dy = da.from_array(X, chunks=(1000, 5)), da.from_array(y, chunks=1000)
    many = train(cluster, dX, dy)
    assert many.digest == alone.digest
    for kind in ("probability", "margin", "class", "leaf"):
        scores = evergrove.dask.predict(many, dX, kind)
        assert isinstance(scores, da.Array)
        computed = scores.compute()
        assert (computed == alone.predict(X, kind)).all()
        assert (scores.shape, scores.dtype) == (computed.shape, computed.dtype)


@pytest.mark.parametrize("kind", ["probability", "class", "leaf", "probabilities"])
def test_frames_are_scored_lazily(kind: str, cluster: Cluster, one: evergrove.Model) -> None:
    scores = evergrove.dask.predict(one, frame(), kind)
    assert scores.npartitions == 7
    computed = scores.compute()
    assert list(computed.index) == list(DATA.frame.index)
    if kind == "probabilities":
        assert (computed[one.classes[1]] == one.predict(DATA.frame)).all()
    elif kind == "class":
        assert (computed.astype(str) == one.predict(DATA.frame, kind)).all()
    else:
        assert (computed.to_numpy() == one.predict(DATA.frame, kind)).all()
    [part, *_] = evergrove.dask.predict(one, frame().to_delayed(), "margin")
    assert len(part.compute()) == len(frame().partitions[0])


def test_estimators(cluster: Cluster) -> None:
    from sklearn.base import clone

    X, y = frame().drop(columns=[DATA.label]), frame()[DATA.label]
    settings = {"client": cluster.client, "n_estimators": 20, "max_leaves": 16}
    classifier = clone(evergrove.dask.DaskClassifier(**{**settings, "client": None}))
    classifier.set_params(**settings)
    assert classifier.get_params()["max_leaves"] == 16
    classifier.fit(X, y)
    alone = evergrove.Classifier(n_estimators=20, max_leaves=16).fit(X.compute(), y.compute())
    assert classifier.model_.digest == alone.model_.digest
    assert list(classifier.classes_) == list(alone.classes_)
    assert (
        classifier.predict_proba(X).compute().to_numpy() == alone.predict_proba(X.compute())
    ).all()
    assert (classifier.predict(X).compute().astype(str) == alone.predict(X.compute())).all()
    rows = data_sets.regression().frame
    X, y = dd.from_pandas(rows.drop(columns=["target"]), npartitions=3), None
    y = dd.from_pandas(rows["target"], npartitions=3)
    regressor = evergrove.dask.DaskRegressor(**settings).fit(X, y)
    direct = evergrove.Regressor(n_estimators=20, max_leaves=16).fit(X.compute(), y.compute())
    assert regressor.model_.digest == direct.model_.digest


def test_partitions_that_are_lost_are_made_again(one: evergrove.Model) -> None:
    params = {"n_estimators": 600, "max_leaves": 31}
    rows = data_sets.adult_like(20_000).frame
    alone = evergrove.train(params, rows, DATA.label, progress=False)
    with local_cluster(n_workers=3) as cluster:
        parts = dd.from_pandas(rows, npartitions=12, sort=False)
        run = DaskRun(cluster.client, parts, DATA.label, params)
        run.wait_for_tree(5)
        os.kill(run.processes()[run.another()], signal.SIGKILL)
        assert run.model().digest == alone.digest


def test_partitions_that_change_when_they_are_made_again_are_refused(tmp_path: Path) -> None:
    """Each partition is read from a file that changes after the run has begun."""
    params = {"n_estimators": 100_000, "max_leaves": 31}
    places = [tmp_path / f"{part}.parquet" for part in range(6)]
    for place, rows in zip(places, np.array_split(np.arange(len(DATA.frame)), 6), strict=True):
        DATA.frame.iloc[rows].to_parquet(place)
    with local_cluster(n_workers=2) as cluster:
        parts = [dask.delayed(pd.read_parquet)(place) for place in places]
        run = DaskRun(cluster.client, parts, DATA.label, params)
        run.wait_for_tree(5)
        for place in places:
            pd.read_parquet(place).iloc[::-1].to_parquet(place)
        os.kill(run.processes()[run.another()], signal.SIGKILL)
        with pytest.raises(ValueError, match="other values than when the run began"):
            run.model()
        assert left_behind(cluster.client) == []


def test_what_cannot_be_is_refused(cluster: Cluster, one: evergrove.Model) -> None:
    with pytest.raises(TypeError, match=r"dask\.dataframe\.from_pandas"):
        train(cluster, DATA.frame)
    with pytest.raises(ValueError, match="all of its partitions are empty"):
        train(cluster, dd.from_pandas(DATA.frame.iloc[:0], npartitions=1))
    with pytest.raises(ValueError, match="repartition one of them"):
        train(cluster, frame(), dd.from_pandas(DATA.frame[DATA.label], npartitions=3))
    with pytest.raises(ValueError, match="one value a row"):
        label = dd.from_pandas(DATA.frame[DATA.label].iloc[1:], npartitions=7, sort=False)
        train(cluster, frame().drop(columns=[DATA.label]), label)
    with pytest.raises(ValueError, match="salary"):
        train(cluster, frame(), "salary")
    parts = [
        dask.delayed(pd.DataFrame)({"x": values, "y": [0, 1]}) for values in ([1, 2], ["a", "b"])
    ]
    with pytest.raises(ValueError, match="partition"):
        train(cluster, parts, "y")
    failing = [dask.delayed(int)("no number")]
    with pytest.raises(ValueError, match="no number"):
        train(cluster, failing)
    with pytest.raises(TypeError, match=r"model\.predict"):
        evergrove.dask.predict(one, DATA.frame)
    assert left_behind(cluster.client) == []


def test_empty_partitions_are_no_rows(cluster: Cluster, one: evergrove.Model) -> None:
    parts = frame().to_delayed()
    parts.insert(2, dask.delayed(DATA.frame.iloc[:0]))
    assert train(cluster, parts).digest == one.digest
