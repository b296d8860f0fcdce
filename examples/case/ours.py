# SPDX-License-Identifier: Apache-2.0
"""Evergrove's part: one call, whatever becomes of the workers.

told = train(machines, files, settings, log="s3://bucket/log")
told.model, told.curve, told.work_lost_share
"""

import threading
from dataclasses import dataclass, field
from typing import Any

import dask.dataframe as dd
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from distributed import Client, wait

import evergrove
import evergrove.dask
from examples.case import store
from examples.case.machines import Machines
from examples.fraud import features

RUN = "fraud-case"
LOOK_EVERY_SECONDS = 0.25


@dataclass
class Told:
    model: evergrove.Model | None = None
    seconds: float = 0.0
    curve: list[tuple[float, int]] = field(default_factory=list)
    work_lost_share: float | None = None
    notes: list[str] = field(default_factory=list)


def train(machines: Machines, files: list[str], settings: dict[str, Any], log: str) -> Told:
    told = Told()
    over = threading.Event()

    def look() -> None:
        with Client(machines.address, timeout=30) as client:
            while not over.wait(LOOK_EVERY_SECONDS):
                view = evergrove.dask.runs(client).get(RUN)
                if view is None:
                    continue
                # A coordinator that was placed again reads first, and says nothing of trees.
                if view["progress"].get("phase") == "training":
                    told.curve.append((machines.seconds, int(view["progress"]["iteration"])))
                costs = view.get("costs") or view["progress"]
                if costs.get("work_seconds"):
                    told.work_lost_share = costs["work_lost_seconds"] / costs["work_seconds"]

    looker = threading.Thread(target=look, daemon=True)
    looker.start()
    try:
        told.model = evergrove.dask.train(
            machines.client,
            settings,
            [f"s3://{path}" for path in files],
            features.LABEL,
            objective="binary",
            threads_per_worker=1,
            log=log,
            run_id=RUN,
            progress=False,
        )
    finally:
        told.seconds = machines.seconds
        over.set()
        looker.join()
    told.curve.append((told.seconds, told.model.tree_count))
    return told


def score(
    machines: Machines, model: evergrove.Model, test_files: list[str], folder: str
) -> npt.NDArray[np.float64]:
    """Scores partition by partition on the cluster, to the store; returns what lies there."""
    frame = dd.from_map(store.read_frame, test_files, meta=store.read_frame(test_files[0]).iloc[:0])
    scores = evergrove.dask.predict(model, frame[features.FEATURES])
    written = [
        machines.client.submit(write_scores, part, f"{folder}/scores-{number:02d}.parquet")
        for number, part in enumerate(machines.client.compute(scores.to_delayed()))
    ]
    wait(written)
    paths = [future.result() for future in written]
    return np.concatenate([store.read_table(path)["score"].to_numpy() for path in paths])


def write_scores(scores: Any, path: str) -> str:
    return store.write_table(pa.table({"score": np.asarray(scores, dtype=np.float64)}), path)
