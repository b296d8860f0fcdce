# SPDX-License-Identifier: Apache-2.0
"""Scores a matrix with one library's model, in a process of its own, and says what it took.

    python -m bench.compare.scoring_worker lightgbm job.json      # calls: 3

Trains the model first if its file is not there. A call takes a float32 matrix, row by row as users
have it, and gives a probability a row.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.compare import settings
from bench.compare.job import Job
from bench.compare.outcome import train_command
from bench.compare.process import run_measured
from bench.compare.rows import load

MODULES = {"evergrove": "evergrove", "lightgbm": "lightgbm", "xgboost": "xgboost"}
Score = Callable[[Any, int], Any]  # of a matrix, by so many threads


def main() -> int:
    name, path = sys.argv[1], Path(sys.argv[2])
    values = json.loads(path.read_text())
    calls, model, evergrove = values.pop("calls"), Path(values.pop("model")), values.pop("command")
    job = Job(**values | {"settings": settings.Settings(**values["settings"])})
    library = importlib.import_module(MODULES[name])
    if not model.exists():
        TRAIN[name](library, job, model, Path(evergrove))
    score = OPEN[name](library, model)
    matrix = load(job.test, job.label, job.exclude).features
    seconds = []
    scores = None
    for _ in range(calls):
        start = time.perf_counter()
        scores = score(matrix, job.threads)
        seconds.append(time.perf_counter() - start)
    np.save(job.scores, np.asarray(scores, np.float64))
    print(json.dumps({"seconds": seconds, "version": library.__version__}))
    return 0


def train_evergrove(library: Any, job: Job, model: Path, evergrove: Path) -> None:
    measured = run_measured(train_command(evergrove, job, model, quiet=True))
    if measured.returncode != 0:
        raise RuntimeError(measured.explain())


def train_lightgbm(library: Any, job: Job, model: Path, evergrove: Path) -> None:
    rows = load(job.train, job.label, job.exclude)
    parameters = settings.lightgbm(job.settings, job.task, job.seed, job.threads)
    data = library.Dataset(rows.features, rows.label, params=parameters)
    library.train(parameters, data, job.settings.trees).save_model(model)


def train_xgboost(library: Any, job: Job, model: Path, evergrove: Path) -> None:
    rows = load(job.train, job.label, job.exclude)
    parameters = settings.xgboost(job.settings, job.task, job.seed, job.threads)
    data = library.QuantileDMatrix(rows.features, rows.label, max_bin=job.settings.bins)
    library.train(parameters, data, job.settings.trees).save_model(model.with_suffix(".ubj"))
    model.with_suffix(".ubj").rename(model)


def open_evergrove(library: Any, path: Path) -> Score:
    model = library.load(path)
    return lambda matrix, threads: model.predict(matrix, threads=threads)


def open_lightgbm(library: Any, path: Path) -> Score:
    booster = library.Booster(model_file=path)
    return lambda matrix, threads: booster.predict(matrix, num_threads=threads)


def open_xgboost(library: Any, path: Path) -> Score:
    booster = library.Booster(model_file=path)

    def score(matrix: Any, threads: int) -> Any:
        booster.set_param({"nthread": threads})
        return booster.inplace_predict(matrix)

    return score


TRAIN = {"evergrove": train_evergrove, "lightgbm": train_lightgbm, "xgboost": train_xgboost}
OPEN = {"evergrove": open_evergrove, "lightgbm": open_lightgbm, "xgboost": open_xgboost}

if __name__ == "__main__":
    sys.exit(main())
