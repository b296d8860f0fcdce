# SPDX-License-Identifier: Apache-2.0
"""Scores a matrix with one library's model, in a process of its own, and says what it took.

    python -m bench.compare.scoring_worker lightgbm job.json      # calls: 3

Trains the model first if its file is not there. A call takes the rows in the form that the library
likes best, which is made before (LightGBM, XGBoost: a float32 matrix, row by row as users have it;
ours: Arrow columns, and the matrix too), and gives a probability a row.
"""

import importlib
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.compare import settings
from bench.compare.job import Job
from bench.compare.outcome import train_command
from bench.compare.process import run_measured
from bench.compare.rows import Rows, load


@dataclass(frozen=True)
class Opened:
    """A model: how it likes its rows, and how it scores them."""

    prepare: Callable[[Any, int], Any]  # of a matrix, by so many threads
    score: Callable[[Any, int], Any]


def main() -> int:
    name, path = sys.argv[1], Path(sys.argv[2])
    values = json.loads(path.read_text())
    calls, model, evergrove = values.pop("calls"), Path(values.pop("model")), values.pop("command")
    job = Job(**values | {"settings": settings.Settings(**values["settings"])})
    adapter = ADAPTERS[name]
    library = importlib.import_module(adapter.module)
    if not model.exists():
        adapter.train(library, job, model, Path(evergrove))
    opened = adapter.open(library, model)
    rows = opened.prepare(load(job.test, job.label, job.exclude).features, job.threads)
    seconds = []
    scores = None
    for _ in range(calls):
        start = time.perf_counter()
        scores = opened.score(rows, job.threads)
        seconds.append(time.perf_counter() - start)
    np.save(job.scores, np.asarray(scores, np.float64))
    version = getattr(library, "__version__", "") or importlib.metadata.version(adapter.module)
    print(json.dumps({"seconds": seconds, "version": version}))
    return 0


def as_it_is(matrix: Any, threads: int) -> Any:
    return matrix


def train_evergrove(library: Any, job: Job, model: Path, evergrove: Path) -> None:
    measured = run_measured(train_command(evergrove, job, model, quiet=True))
    if measured.returncode != 0:
        raise RuntimeError(measured.explain())


def open_evergrove(library: Any, path: Path) -> Opened:
    model = library.load(path)
    return Opened(as_it_is, lambda rows, threads: model.predict(rows, threads=threads))


def open_evergrove_columns(library: Any, path: Path) -> Opened:
    model = library.load(path)

    def prepare(matrix: Any, threads: int) -> Any:
        return pa.table(list(by_column(matrix).values()), names=model.feature_names)

    return Opened(prepare, lambda rows, threads: model.predict(rows, threads=threads))


def read_rows(job: Job) -> Rows:
    return load(job.train, job.label, job.exclude)


def train_lightgbm(library: Any, job: Job, model: Path, evergrove: Path) -> None:
    rows = read_rows(job)
    parameters = settings.lightgbm(job.settings, job.task, job.seed, job.threads)
    data = library.Dataset(rows.features, rows.label, params=parameters)
    library.train(parameters, data, job.settings.trees).save_model(model)


def open_lightgbm(library: Any, path: Path) -> Opened:
    booster = library.Booster(model_file=path)
    return Opened(as_it_is, lambda matrix, threads: booster.predict(matrix, num_threads=threads))


def train_lleaves(library: Any, job: Job, model: Path, evergrove: Path) -> None:
    train_lightgbm(importlib.import_module("lightgbm"), job, model, evergrove)


def open_lleaves(library: Any, path: Path) -> Opened:
    """LightGBM's model, compiled; it computes in doubles."""
    model = library.Model(model_file=str(path))
    model.compile(cache=str(path.with_suffix(".compiled")))
    return Opened(
        lambda matrix, threads: matrix.astype(np.float64),
        lambda matrix, threads: model.predict(matrix, n_jobs=threads),
    )


def train_xgboost(library: Any, job: Job, model: Path, evergrove: Path) -> None:
    rows = read_rows(job)
    parameters = settings.xgboost(job.settings, job.task, job.seed, job.threads)
    data = library.QuantileDMatrix(rows.features, rows.label, max_bin=job.settings.bins)
    library.train(parameters, data, job.settings.trees).save_model(model.with_suffix(".ubj"))
    model.with_suffix(".ubj").rename(model)


def open_xgboost(library: Any, path: Path) -> Opened:
    booster = library.Booster(model_file=path)

    def score(matrix: Any, threads: int) -> Any:
        booster.set_param({"nthread": threads})
        return booster.inplace_predict(matrix)

    return Opened(as_it_is, score)


def train_catboost(library: Any, job: Job, model: Path, evergrove: Path) -> None:
    rows = read_rows(job)
    words = settings.catboost_fast if job.settings.growth == "leaf" else settings.catboost_symmetric
    by_leaf = replace(job.settings, growth="leaf", depth=0)
    trained = library.CatBoost(words(by_leaf, job.task, job.seed, job.threads))
    trained.fit(library.Pool(rows.features, rows.label, thread_count=job.threads))
    trained.save_model(str(model))


def open_catboost(library: Any, path: Path) -> Opened:
    model = library.CatBoost().load_model(str(path))

    def score(pool: Any, threads: int) -> Any:
        return model.predict(pool, prediction_type="Probability", thread_count=threads)[:, 1]

    return Opened(lambda matrix, threads: library.Pool(matrix, thread_count=threads), score)


def train_ydf(library: Any, job: Job, model: Path, evergrove: Path) -> None:
    library.verbose(0)
    rows = read_rows(job)
    parameters = settings.ydf(job.settings, job.task, job.seed, job.threads)
    parameters["task"] = getattr(library.Task, parameters["task"])
    learner = library.GradientBoostedTreesLearner(label=job.label, **parameters)
    learner.train(by_column(rows.features) | {job.label: rows.label}).save(str(model))


def open_ydf(library: Any, path: Path) -> Opened:
    model = library.load_model(str(path))
    is_turned = list(model.label_classes()) != ["0", "1"]

    def score(columns: Any, threads: int) -> Any:
        scores = model.predict(columns, num_threads=threads)
        return 1 - scores if is_turned else scores

    return Opened(lambda matrix, threads: by_column(matrix), score)


def by_column(matrix: Any) -> dict[str, Any]:
    return {f"f{i}": np.ascontiguousarray(matrix[:, i]) for i in range(matrix.shape[1])}


@dataclass(frozen=True)
class Adapter:
    module: str
    train: Callable[[Any, Job, Path, Path], None]
    open: Callable[[Any, Path], Opened]


MATRIX = Adapter("evergrove", train_evergrove, open_evergrove)
COLUMNS = Adapter("evergrove", train_evergrove, open_evergrove_columns)
ADAPTERS = {
    "evergrove": COLUMNS,
    "evergrove-symmetric": COLUMNS,
    "matrix": MATRIX,
    "matrix-symmetric": MATRIX,
    "lightgbm": Adapter("lightgbm", train_lightgbm, open_lightgbm),
    "lleaves": Adapter("lleaves", train_lleaves, open_lleaves),
    "xgboost": Adapter("xgboost", train_xgboost, open_xgboost),
    "catboost": Adapter("catboost", train_catboost, open_catboost),
    "ydf": Adapter("ydf", train_ydf, open_ydf),
}

if __name__ == "__main__":
    sys.exit(main())
