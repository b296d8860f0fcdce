# SPDX-License-Identifier: Apache-2.0
"""Which worker finished which round and when: a line of JSON a round, a file a worker.

The libraries call `Progress` on the worker that trains, whose environment names the folder and the
worker; the observer reads the files. It is the only thing that is added to a training.

    note(round_index=17)             # on the worker
    read(folder)[-1].round_index     # 17
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from xgboost.callback import TrainingCallback

FOLDER_VARIABLE = "EVERGROVE_PEERS_FOLDER"
WORKER_VARIABLE = "EVERGROVE_PEERS_WORKER"


@dataclass(frozen=True, order=True)
class Round:
    time: float  # since the epoch, when it was finished
    worker: str
    pid: int
    round_index: int


def note(round_index: int) -> None:
    worker = os.environ[WORKER_VARIABLE]
    line = json.dumps([time.time(), worker, os.getpid(), round_index])
    with (Path(os.environ[FOLDER_VARIABLE]) / f"{worker}.rounds").open("a") as file:
        file.write(line + "\n")


def read(folder: Path) -> list[Round]:
    """Returns the rounds of all workers in the order of time, without a half-written line."""
    rounds = []
    for file in folder.glob("*.rounds"):
        for line in file.read_text().split("\n")[:-1]:
            rounds.append(Round(*json.loads(line)))
    return sorted(rounds)


class XGBoostProgress(TrainingCallback):  # type: ignore[misc, unused-ignore]  # if not installed
    def after_iteration(self, model: object, epoch: int, evals_log: object) -> bool:
        note(epoch)
        return False


def lightgbm_progress(environment: object) -> None:
    note(environment.iteration)  # type: ignore[attr-defined]
