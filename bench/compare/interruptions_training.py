# SPDX-License-Identifier: Apache-2.0
"""One training on a running cluster, as a user of that library would write it: the program whose
end, or want of one, interruptions.py watches.

    python -m bench.compare.interruptions_training JOB.json

Prints one line of JSON a run: whether it was trained, the trees of the model, the exception.
"""

import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from bench.compare.higgs_like import LABEL

MAX_DEPTH = 8


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    connect, train = {
        "xgboost.dask": (connect_dask, train_xgboost_dask),
        "lightgbm.dask": (connect_dask, train_lightgbm_dask),
        "xgboost.spark": (connect_spark, train_xgboost_spark),
    }[job["library"]]
    session = connect(job)
    failed = False
    for _ in range(job["runs"]):
        answer: dict[str, Any] = {"begin": time.time()}
        try:
            answer["trees"] = train(session, job)
        except Exception as error:
            failed = True
            kind = type(error)
            answer["exception"] = f"{kind.__module__}.{kind.__qualname__}"
            answer["message"] = str(error)
            traceback.print_exc()
        print(json.dumps(answer | {"end": time.time()}), flush=True)
    sys.exit(failed)


def connect_dask(job: dict[str, Any]) -> Any:
    from distributed import Client

    client = Client(job["address"], timeout=30)
    client.wait_for_workers(job["workers"], timeout=60)
    return client


def read_dask(job: dict[str, Any]) -> tuple[Any, Any]:
    import dask.dataframe as dd
    from distributed import wait

    frame = dd.read_parquet(job["data"]).persist()
    wait(frame)
    return frame.drop(columns=LABEL), frame[LABEL]


def train_xgboost_dask(client: Any, job: dict[str, Any]) -> int:
    from xgboost import dask as dxgb
    from xgboost.collective import Config

    from bench.compare.interruptions_progress import XGBoostProgress

    columns, label = read_dask(job)
    answer = dxgb.train(
        client,
        {"objective": "binary:logistic", "tree_method": "hist", "max_depth": MAX_DEPTH},
        dxgb.DaskDMatrix(client, columns, label),
        num_boost_round=job["rounds"],
        callbacks=[XGBoostProgress()],
        coll_cfg=Config(**job["collective"]) if job["collective"] else None,
    )
    return int(answer["booster"].num_boosted_rounds())


def train_lightgbm_dask(client: Any, job: dict[str, Any]) -> int:
    from lightgbm import DaskLGBMClassifier

    from bench.compare.interruptions_progress import lightgbm_progress

    columns, label = read_dask(job)
    settings = {"n_estimators": job["rounds"], "num_leaves": 2**MAX_DEPTH - 1, "verbose": 1}
    model = DaskLGBMClassifier(client=client, **settings, **job["parameters"])
    model.fit(columns, label, callbacks=[lightgbm_progress])
    return int(model.booster_.num_trees())


def connect_spark(job: dict[str, Any]) -> Any:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(job["address"]).appName("peers")
    for name, value in job["spark"].items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    # The driver counts as one; barrier stages are refused while there are fewer slots than tasks.
    deadline = time.time() + 60
    while session.sparkContext._jsc.sc().getExecutorMemoryStatus().size() <= job["machines"]:
        if time.time() > deadline:
            raise TimeoutError("the executors did not come")
        time.sleep(0.2)
    return session


def train_xgboost_spark(session: Any, job: dict[str, Any]) -> int:
    from xgboost.collective import Config
    from xgboost.spark import SparkXGBClassifier

    from bench.compare.interruptions_progress import XGBoostProgress

    frame = session.read.parquet(job["data"])
    classifier = SparkXGBClassifier(
        features_col=[name for name in frame.columns if name != LABEL],
        label_col=LABEL,
        num_workers=job["workers"],
        n_estimators=job["rounds"],
        max_depth=MAX_DEPTH,
        tree_method="hist",
        callbacks=[XGBoostProgress()],
        **({"coll_cfg": Config(**job["collective"])} if job["collective"] else {}),
    )
    return int(classifier.fit(frame).get_booster().num_boosted_rounds())


if __name__ == "__main__":
    main()
