# SPDX-License-Identifier: Apache-2.0
"""What a Dask cluster or its data cannot do is said at once, in words, and nothing stays behind."""

import contextlib
import gc
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import evergrove
from tests import data_sets

pytest.importorskip("distributed")

import dask
import dask.array as da
import dask.dataframe as dd

import evergrove.dask
from tests.process.dask_cluster import Cluster, DaskRun, left_behind, local_cluster
from tests.process.dask_processes import DaskProcesses

DATA = data_sets.adult_like()
FEW = {"n_estimators": 5}
SOON_SECONDS = 20.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with local_cluster(n_workers=2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def digest() -> str:
    return evergrove.train(FEW, DATA.frame, DATA.label, progress=False).digest


def frame() -> Any:
    return dd.from_pandas(DATA.frame, npartitions=4, sort=False)


def of_unknown_divisions() -> Any:
    """Without an index that Dask knows, as read_parquet and many others give them."""
    found = dd.from_delayed(frame().to_delayed(), meta=frame()._meta)
    assert not found.known_divisions
    return found


def train(client: Any, data: Any, label: Any = DATA.label, **how: Any) -> str:
    how.setdefault("progress", False)
    return evergrove.dask.train(client, FEW, data, label, **how).digest


@contextlib.contextmanager
def refused(client: Any, error: type[Exception], words: str) -> Iterator[None]:
    """Soon, in these words, and the cluster is as it was."""
    before = tasks_of(client)
    begin = time.monotonic()
    with pytest.raises(error, match=words):
        yield
    assert time.monotonic() < begin + SOON_SECONDS
    assert left_behind(client) == []
    while tasks_of(client) != before:  # the client says a moment later what it lets go of
        assert time.monotonic() < begin + 2 * SOON_SECONDS, "tasks are left at the scheduler"
        gc.collect()
        time.sleep(0.05)
    assert all(run["is_settled"] for run in evergrove.dask.runs(client).values())


def tasks_of(client: Any) -> list[str]:
    return sorted(client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks)))


def parts(*values: list[Any], column: str = "x") -> list[Any]:
    return [dask.delayed(pd.DataFrame)({column: each, "y": [0, 1]}) for each in values]


def test_empty_partitions(cluster: Cluster, digest: str) -> None:
    some = frame().to_delayed()
    for place in (0, 2, len(some)):
        some.insert(place, dask.delayed(DATA.frame.iloc[:0]))
    assert train(cluster.client, some) == digest
    with refused(cluster.client, ValueError, r"all of its partitions are empty \(partitions: 2\)"):
        train(cluster.client, [dask.delayed(DATA.frame.iloc[:0])] * 2)


def test_partitions_of_differing_types(cluster: Cluster) -> None:
    words = r"agree on what a column holds; .*\(column: x, in partition 0: int64, in partition 1: "
    with refused(cluster.client, ValueError, words):
        train(cluster.client, parts([1, 2], ["a", "b"]), "y")
    words = r"same columns, .*\(column: z, in: partition 1, not in: partition 0\)"
    with refused(cluster.client, ValueError, words):
        train(cluster.client, parts([1, 2]) + parts([1, 2], column="z"), "y")
    with refused(cluster.client, ValueError, r"a frame .*\(type: NoneType"):
        train(cluster.client, [dask.delayed(lambda: None)()], "y")


def test_unknown_divisions(cluster: Cluster, digest: str) -> None:
    unknown = of_unknown_divisions()
    assert train(cluster.client, unknown) == digest
    X, y = unknown.drop(columns=[DATA.label]), unknown[DATA.label]
    assert train(cluster.client, X, y) == digest
    words = r"one value a row \(label: \d+, rows: \d+\)"
    with refused(cluster.client, ValueError, words):
        train(cluster.client, X, y[unknown["age"] > 30])
    with refused(cluster.client, ValueError, "repartition one of them"):
        train(cluster.client, X, y.repartition(npartitions=2))
    # Arrays of which Dask does not know how long they are.
    numbers = unknown.select_dtypes("number").to_dask_array()
    assert np.isnan(numbers.shape[0])
    classes = (y == DATA.frame[DATA.label].iloc[0]).astype(int).to_dask_array()
    alone = evergrove.train(FEW, numbers.compute(), classes.compute(), progress=False)
    assert train(cluster.client, numbers, classes) == alone.digest


def test_tasks_that_fail(cluster: Cluster) -> None:
    with refused(cluster.client, ValueError, "invalid literal .*'no number'"):
        train(cluster.client, [dask.delayed(int)("no number")])
    with refused(cluster.client, ValueError, "2-D array; reshape it"):
        train(cluster.client, da.ones((4, 4, 4)), da.ones(4))


def test_a_worker_without_evergrove(tmp_path: Path, digest: str) -> None:
    rows = tmp_path / "rows.parquet"
    DATA.frame.to_parquet(rows)
    hidden = tmp_path / "hidden" / "evergrove"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('hidden')\n")
    without = {"PYTHONPATH": str(hidden.parent)}
    with DaskProcesses(tmp_path, workers=0, environment=without) as cluster:
        # The scheduler needs none.
        with_it = cluster.start_worker(PYTHONPATH="")
        cluster.client.wait_for_workers(1, timeout=60)
        assert train(cluster.client, rows) == digest
        assert train(cluster.client, frame()) == digest
        model = evergrove.dask.train(cluster.client, FEW, frame(), DATA.label, progress=False)
        scores = evergrove.dask.predict(model, frame()).compute()
        assert (scores.to_numpy() == model.predict(DATA.frame)).all()
        cluster.start_worker()
        cluster.client.wait_for_workers(2, timeout=60)
        words = r"The worker tcp://127\.0\.0\.1:\d+ has no Evergrove that can be imported"
        with refused(cluster.client, ImportError, words):
            train(cluster.client, rows)
        with_it.kill()
        with_it.wait()
        while len(cluster.client.scheduler_info()["workers"]) > 1:
            time.sleep(0.05)
        for data in (rows, frame()):
            with refused(cluster.client, ImportError, words):
                train(cluster.client, data)


def test_a_worker_of_another_version(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    DATA.frame.to_parquet(tmp_path / "rows.parquet")
    monkeypatch.setattr(evergrove._core, "__version__", "9.9.9")
    words = r"The worker .*tcp://.* has Evergrove .*, but the client 9\.9\.9; install the same"
    for data in (tmp_path / "rows.parquet", frame()):
        with refused(cluster.client, ValueError, words):
            train(cluster.client, data)


def test_a_cluster_without_workers(
    digest: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with local_cluster(n_workers=0) as cluster, caplog.at_level(logging.INFO, logger="evergrove"):
        words = r"No worker came for 2 s; start some, such as with cluster\.scale\(4\)"
        with pytest.raises(TimeoutError, match=words):
            train(cluster.client, frame(), wait_seconds=2.0, progress=True)
        assert "No worker is there; waits for one" in caplog.text
        assert "evergrove: No worker is there; waits for one" in capfd.readouterr().err
        run = DaskRun(cluster.client, frame(), DATA.label, FEW)
        while "No worker is there" not in caplog.text:
            time.sleep(0.05)
        cluster.cluster.scale(1)
        assert run.model().digest == digest


def test_a_memory_limit_too_small_for_the_rows(tmp_path: Path) -> None:
    """The worker has room for half of the rows: 80 MiB, while a row takes some 155 bytes."""
    rows = tmp_path / "rows.parquet"
    values = np.random.default_rng(1).integers(0, 100, (1_000_000, 29), dtype=np.int8)
    columns = [f"c{place}" for place in range(28)]
    table = pa.Table.from_arrays([pa.array(each) for each in values.T], [*columns, "target"])
    pq.write_table(table, rows, row_group_size=100_000)

    def resident_bytes() -> int:
        import evergrove.engines.host  # noqa: F401, as the run does

        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    with local_cluster(n_workers=1) as cluster:
        [used] = cluster.client.run(resident_bytes).values()
    limit = int((used + (80 << 20)) / 0.6)
    with local_cluster(n_workers=1, memory_limit=limit) as cluster:
        run = DaskRun(cluster.client, rows, "target", FEW)
        run.wait_until(lambda view: "cannot hold all rows" in str(view.get("notes")))
        words = r"memory limits leave too little room .* add workers \(\d+ MiB more are needed\)"
        with refused(cluster.client, MemoryError, words):
            run.model()
