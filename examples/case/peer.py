# SPDX-License-Identifier: Apache-2.0
"""xgboost.dask as people run it on machines that come and go: begin again when it fails.

    python -m examples.case.peer JOB.json

With `slice` 0 each attempt begins with the first tree. With `slice` k it trains k trees at a time
and keeps the model in the object store; an attempt goes on from what is there. The model goes to
JOB's `model`. It says that it is ready, waits for a line of standard input, and then writes a line
of JSON an attempt: begin, end, trees, error.

Workers note each round in a file, for the curve; the observer reads them.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import xgboost
from distributed import Client, wait
from xgboost import dask as dxgb

from examples.case import store
from examples.case.rounds import note
from examples.fraud import features


class Rounds(xgboost.callback.TrainingCallback):
    """Tells how far training is, from where it runs."""

    def __init__(self, done: int) -> None:
        self.done = done

    def after_iteration(self, model: object, epoch: int, evals_log: object) -> bool:
        # A round's number counts the trees that were given, too.
        note(epoch + 1 if epoch >= self.done else epoch + 1 + self.done)
        return False


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    client = connect(job)
    # Imported and connected, as Evergrove's client is, before the machines and the clock start.
    print("ready", flush=True)
    sys.stdin.readline()
    kept: xgboost.Booster | None = None
    while True:
        done = kept.num_boosted_rounds() if kept else 0
        attempt: dict[str, Any] = {"begin": time.time(), "from": done, "error": ""}
        try:
            if client.status == "closed":  # it gave up a scheduler that did not answer
                client = connect(job)
            kept = train(client, job, kept)
        except Exception as error:  # a worker was lost, or something that follows from it
            attempt["error"] = f"{type(error).__name__}: {error}"[:300]
            if job["slice"]:
                kept = read_kept(job["kept"])
        attempt |= {"end": time.time(), "trees": kept.num_boosted_rounds() if kept else 0}
        print(json.dumps(attempt), flush=True)
        if attempt["error"]:
            time.sleep(job["pause"])
        elif kept is not None and kept.num_boosted_rounds() >= job["trees"]:
            break
    kept.save_model(job["model"])


def connect(job: dict[str, Any]) -> Client:
    return Client(job["address"], timeout=60)


def train(client: Client, job: dict[str, Any], kept: "xgboost.Booster | None") -> xgboost.Booster:
    client.wait_for_workers(1, timeout=60)
    files = job["files"]
    frame = dd.from_map(store.read_frame, files, meta=store.read_frame(files[0]).iloc[:0]).persist()
    wait(frame, timeout=60)
    rows = dxgb.DaskDMatrix(client, frame[features.FEATURES], frame[features.LABEL])
    while kept is None or kept.num_boosted_rounds() < job["trees"]:
        done = kept.num_boosted_rounds() if kept else 0
        left = job["trees"] - done
        answer = dxgb.train(
            client,
            job["params"],
            rows,
            num_boost_round=min(left, job["slice"] or left),
            xgb_model=kept,
            callbacks=[Rounds(done)],
        )
        kept = answer["booster"]
        if job["slice"]:
            write_kept(kept, job["kept"])
    return kept


def write_kept(model: xgboost.Booster, path: str) -> None:
    with store.file_system().open_output_stream(path, compression=None) as stream:
        stream.write(bytes(model.save_raw("ubj")))


def read_kept(path: str) -> "xgboost.Booster | None":
    try:
        with store.file_system().open_input_file(path) as file:
            return xgboost.Booster(model_file=bytearray(file.read()))
    except FileNotFoundError:
        return None


if __name__ == "__main__":
    main()
