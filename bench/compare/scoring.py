# SPDX-License-Identifier: Apache-2.0
"""Speed of batch scoring beside other libraries, into docs/scoring_benchmarks.md.

    .venv/bin/python -m bench.compare.scoring              # half an hour on a quiet machine
    .venv/bin/python -m bench.compare.scoring --quick --out build/scoring.md

A million rows of 28 float32 columns, 500 trees of 63 leaves and 500 trees of depth 6, each
library's own model of the same training rows. A fresh process that may use only as many cores as
it has threads loads the model, then scores the rows a few times; the libraries take turns. Ours is
also timed as the command, from Parquet to Parquet.
"""

import argparse
import importlib.util
import json
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from bench.compare import higgs_like, outcome
from bench.compare.data import CACHE
from bench.compare.job import Job
from bench.compare.outcome import ROOT
from bench.compare.process import run_measured
from bench.compare.results import begin, options, save
from bench.compare.scoring_page import CALLS, TITLES, write_page
from bench.compare.scoring_worker import ADAPTERS
from bench.compare.settings import Settings, evergrove
from examples.fraud import split

LEAVES = Settings(trees=500, leaves=63, learning_rate=0.05, min_rows=20)
SHAPES = {
    "leaves": LEAVES,
    "depth": replace(LEAVES, leaves=64, depth=6, growth="depth"),
}
TRAIN_ROWS = 200_000
OURS = ("evergrove", "matrix", "command")  # the last two with the model of the first


def main() -> int:
    arguments = parse()
    rows, trees = arguments.rows, LEAVES.trees
    if arguments.quick:
        rows, trees = min(rows, 100_000), 50
        arguments.repetitions = 1
    files = make_data(rows, arguments.seed)
    label = pq.read_table(files[1], columns=[higgs_like.LABEL])[higgs_like.LABEL].to_numpy()
    results = begin(
        rows=rows,
        repetitions=arguments.repetitions,
        settings=replace(LEAVES, trees=trees),
        threads=arguments.threads,
    )
    results["runs"] = {shape: {str(count): {} for count in arguments.threads} for shape in SHAPES}
    with tempfile.TemporaryDirectory() as folder:
        for repetition in range(arguments.repetitions):
            for shape, settings in SHAPES.items():
                (Path(folder) / shape).mkdir(exist_ok=True)
                for threads in arguments.threads:
                    job = Job(
                        train=str(files[0]),
                        test=str(files[1]),
                        label=higgs_like.LABEL,
                        task="binary",
                        scores=f"{folder}/{shape}/scores.npy",
                        settings=replace(settings, trees=trees),
                        seed=arguments.seed,
                        threads=threads,
                    )
                    place = f"{repetition + 1}/{arguments.repetitions}, {shape}, {threads} threads"
                    for name in names_of(shape):
                        if is_slow(name, results["runs"][shape][str(threads)]):
                            continue
                        run_once(name, shape, job, arguments, label, results, place)
    page = write_page(results)
    save(results, arguments.out, page)
    print(page)
    return 0


def parse() -> argparse.Namespace:
    return options(
        "Compares the speed of batch scoring.",
        quick="100,000 rows, 50 trees, once",
        out="docs/scoring_benchmarks.md",
    ).parse_args()


def names_of(shape: str) -> list[str]:
    return [name for name in TITLES if shape == "depth" or not name.endswith("symmetric")]


def is_slow(name: str, runs: dict[str, Any]) -> bool:
    """Whether it took three times as long as the fastest other before: that is measured once."""
    best = {
        other: min(run["seconds"] for run in runs[other]) for other in runs if other in ADAPTERS
    }
    others = [best[other] for other in best if ADAPTERS[other].module != "evergrove"]
    if name not in best or ADAPTERS[name].module == "evergrove":
        return False
    return bool(best[name] > 3 * min(others))


def make_data(rows: int, seed: int) -> tuple[Path, Path]:
    folder = CACHE / "scoring"
    folder.mkdir(parents=True, exist_ok=True)
    train, test = folder / f"train_{seed}.parquet", folder / f"test_{rows}_{seed}.parquet"
    for path, row_count, seed_here in ((train, TRAIN_ROWS, seed), (test, rows, seed + 10_000)):
        if not path.exists():
            higgs_like.write(path, row_count=row_count, seed=seed_here)
    return train, test


def run_once(
    name: str,
    shape: str,
    job: Job,
    arguments: argparse.Namespace,
    label: Any,
    results: dict[str, Any],
    place: str,
) -> None:
    is_symmetric = name.endswith("symmetric")
    kind = name.removesuffix("-symmetric")
    file = f"{'evergrove' if kind in OURS else kind}{'-symmetric' if is_symmetric else ''}.model"
    model = Path(job.scores).parent / file
    if is_symmetric:
        growth = {"growth": "symmetric", "max_leaves": job.settings.leaves}
        job = replace(job, parameters=evergrove(job.settings, job.task) | growth)
    try:
        if kind == "command":
            seconds, scores = score_by_command(arguments.evergrove, model, job)
        else:
            answer, scores = score_in_python(name, model, job, arguments.evergrove)
            results["versions"][name], seconds = answer["version"], answer["seconds"]
    except RuntimeError as error:
        results["failures"].append(f"{TITLES[name]}, {job.threads} threads: {error}")
        print(f"{place}: {TITLES[name]}: {error}", flush=True)
        return
    run = {"seconds": min(seconds), "roc_auc": split.roc_auc(scores, label != 0)}
    results["runs"][shape][str(job.threads)].setdefault(name, []).append(run)
    print(f"{place}: {TITLES[name]}: {run['seconds']:.3f} s", flush=True)


def score_in_python(name: str, model: Path, job: Job, evergrove: Path) -> tuple[Any, Any]:
    if importlib.util.find_spec(ADAPTERS[name].module) is None:
        raise RuntimeError("not installed (pip install -r requirements/bench.txt)")
    path = model.with_suffix(".json")
    path.write_text(
        json.dumps(
            asdict(job) | {"calls": CALLS, "model": str(model), "command": str(evergrove.resolve())}
        )
    )
    command = [sys.executable, "-m", "bench.compare.scoring_worker", name, str(path)]
    measured = run_measured(command, threads=job.threads, pin=True, folder=ROOT)
    if measured.returncode != 0:
        raise RuntimeError(f"failed: {measured.explain()}")
    return json.loads(measured.output.splitlines()[-1]), np.load(job.scores)


def score_by_command(evergrove: Path, model: Path, job: Job) -> tuple[list[float], Any]:
    scores = Path(job.scores).with_suffix(".parquet")
    command = [str(evergrove), "predict", "--model", str(model), "--data", job.test]
    command += ["--out", str(scores), "--threads", str(job.threads)]
    seconds = []
    for _ in range(CALLS):
        measured = run_measured(command, threads=job.threads, pin=True)
        if measured.returncode != 0:
            raise RuntimeError(f"failed: {measured.explain()}")
        seconds.append(measured.seconds)
    return seconds, outcome.read_scores(scores)


if __name__ == "__main__":
    sys.exit(main())
