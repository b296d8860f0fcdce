# SPDX-License-Identifier: Apache-2.0
"""Trains one library on one job, in a process of its own, and says what it took.

    python -m bench.compare.worker lightgbm job.json

The job (see job.py) names Parquet files for training and test, the label and the settings. The
scores of the test rows go to `scores` (.npy, float64: one column, or one a class) and the answer,
one JSON object, to standard output; progress goes to standard error.

Times and peak memory are those up to the model, in memory or in its file; the test rows are read
after that, unless they are watched, and then ours reads them too.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.compare.job import Job, Run, Trained
from bench.compare.measures import MEASURES
from bench.compare.peers import FORMS
from bench.compare.progress import Progress
from bench.compare.rows import load
from bench.compare.settings import PEERS


def main() -> int:
    name, job = sys.argv[1], Job.read(Path(sys.argv[2]))
    module, make_parameters, title = PEERS.get(name, (name, None, name))
    seconds = {}
    start = time.perf_counter()
    library = importlib.import_module(module)
    adapter = importlib.import_module(f"bench.compare.peers.{module}")
    seconds["import"] = time.perf_counter() - start
    start = time.perf_counter()
    pa.set_cpu_count(job.threads)
    train = load(job.train, job.label, job.exclude, form=job.form or FORMS.get(module, ""))
    seconds["read"] = time.perf_counter() - start
    curve: list[float] = []
    stamps: list[float] = []
    progress = Progress(title, job.settings.trees)

    def step(count: int, metric: float | None) -> None:
        stamps.append(time.perf_counter() - run.fit_start)
        if metric is not None:
            curve.append(metric)
        progress.show(count, metric)

    if job.parameters is not None:
        parameters = job.parameters
    else:
        assert make_parameters is not None
        parameters = make_parameters(job.settings, job.task, job.seed, job.threads)
    run = Run(job, library, parameters, train, step, seconds)
    if job.watch_metric:
        run.timed("read", lambda: run.test)
    trained = adapter.train(run)
    if job.model:
        run.timed("save", lambda: trained.save(job.model))
    end, cpu_seconds = time.perf_counter(), time.process_time()
    progress.close()
    stages = score(run, trained)
    run.seconds["after"] = time.perf_counter() - end
    answer = {
        "version": library.__version__,
        "seconds": run.seconds,
        "cpu_seconds": run.cpu_seconds | {"process": cpu_seconds},
        "peak_rss_bytes": run.peak_rss_bytes,
        "curve": curve,
        "stamps": stamps,
        "stages": stages,
        "parameters": parameters,
    }
    print(json.dumps(answer))
    return 0


def score(run: Run, trained: Trained) -> list[float]:
    """Writes the scores of the test rows. Returns how good they were after each stage's trees."""
    job = run.job
    prepared: Any = run.timed("predict", lambda: trained.prepare(run.test))
    trees = job.settings.trees
    scores = run.timed("predict", lambda: trained.predict(prepared, trees))
    np.save(job.scores, np.asarray(scores, np.float64))
    quality = {}
    for stage in sorted(job.stages, reverse=True):
        scores = np.asarray(trained.predict(prepared, stage), np.float64)
        quality[stage] = MEASURES[job.measure](scores, run.test.label)
    return [quality[stage] for stage in job.stages]


if __name__ == "__main__":
    sys.exit(main())
