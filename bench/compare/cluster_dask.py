# SPDX-License-Identifier: Apache-2.0
"""One training by XGBoost or LightGBM, in this process or on a Dask LocalCluster, timed.

    build/peers_venv/bin/python -m bench.compare.cluster_dask JOB.json

Prints one line of JSON: seconds of reading and training together, seconds a tree between the first
and the last of them, trees. Importing and starting the cluster are not counted.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.compare import settings
from bench.compare.interruptions_progress import (
    FOLDER_VARIABLE,
    WORKER_VARIABLE,
    XGBoostProgress,
    lightgbm_progress,
    read,
)


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    with tempfile.TemporaryDirectory() as folder:
        os.environ[FOLDER_VARIABLE] = folder
        os.environ[WORKER_VARIABLE] = "all"
        train = {
            ("xgboost", 1): train_xgboost,
            ("xgboost", 2): train_xgboost_dask,
            ("lightgbm", 1): train_lightgbm,
            ("lightgbm", 2): train_lightgbm_dask,
        }[job["library"], job["processes"]]
        seconds = train(job)
        rounds = read(Path(folder))
    trees = max(r.round_index for r in rounds) + 1
    first = max(r.time for r in rounds if r.round_index == 0)
    last = max(r.time for r in rounds)
    a_tree = (last - first) / (trees - 1)
    print(json.dumps({"whole": seconds, "a_tree": a_tree, "trees": trees}), flush=True)


def parameters(job: dict[str, Any], threads: int) -> dict[str, Any]:
    wanted = settings.Settings(trees=job["trees"], leaves=job["leaves"])
    make = {"xgboost": settings.xgboost, "lightgbm": settings.lightgbm}[job["library"]]
    return make(wanted, "binary", 1, threads)


def train_xgboost(job: dict[str, Any]) -> float:
    import pandas as pd
    import xgboost

    begin = time.perf_counter()
    frame = pd.read_parquet(job["data"])
    matrix = xgboost.QuantileDMatrix(
        frame.drop(columns=job["label"]), frame[job["label"]], nthread=2, max_bin=255
    )
    xgboost.train(parameters(job, 2), matrix, job["trees"], callbacks=[XGBoostProgress()])
    return time.perf_counter() - begin


def train_lightgbm(job: dict[str, Any]) -> float:
    import lightgbm
    import pandas as pd

    begin = time.perf_counter()
    frame = pd.read_parquet(job["data"])
    known = parameters(job, 2)
    data = lightgbm.Dataset(frame.drop(columns=job["label"]), frame[job["label"]], params=known)
    lightgbm.train(known, data, job["trees"], callbacks=[lightgbm_progress])
    return time.perf_counter() - begin


def connect() -> Any:
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    client = Client(cluster)
    client.wait_for_workers(2)
    return client


def read_dask(job: dict[str, Any]) -> tuple[Any, Any]:
    import dask.dataframe as dd
    from distributed import wait

    frame = dd.read_parquet(job["data"], split_row_groups=True).persist()
    wait(frame)
    return frame.drop(columns=job["label"]), frame[job["label"]]


def train_xgboost_dask(job: dict[str, Any]) -> float:
    from xgboost import dask as dxgb

    client = connect()
    begin = time.perf_counter()
    columns, label = read_dask(job)
    matrix = dxgb.DaskQuantileDMatrix(client, columns, label, max_bin=255)
    known = parameters(job, 1)
    dxgb.train(client, known, matrix, job["trees"], callbacks=[XGBoostProgress()])
    return time.perf_counter() - begin


def train_lightgbm_dask(job: dict[str, Any]) -> float:
    from lightgbm import DaskLGBMClassifier

    client = connect()
    begin = time.perf_counter()
    columns, label = read_dask(job)
    known = parameters(job, 1) | {"n_estimators": job["trees"]}
    known.pop("objective")
    DaskLGBMClassifier(client=client, **known).fit(columns, label, callbacks=[lightgbm_progress])
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
