# SPDX-License-Identifier: Apache-2.0
"""Speed of batch scoring beside LightGBM and XGBoost, into docs/scoring_benchmarks.md.

    .venv/bin/python -m bench.compare.scoring              # some minutes on a quiet machine
    .venv/bin/python -m bench.compare.scoring --quick --out build/scoring.md

A million rows of 28 float32 columns, 500 trees of 63 leaves, each library's own model of the same
training rows. A fresh process that may use only as many cores as it has threads loads the model,
then scores the matrix a few times; the libraries take turns. Ours is also timed as the command,
from Parquet to Parquet.
"""

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from bench.compare import higgs_like, machine, outcome
from bench.compare.data import CACHE
from bench.compare.job import Job
from bench.compare.outcome import ROOT
from bench.compare.process import run_measured
from bench.compare.results import begin, options, save
from bench.compare.settings import Settings
from examples.fraud import split

TITLES = {
    "evergrove": "**Evergrove**, Python",
    "command": "**Evergrove**, command, Parquet to Parquet",
    "lightgbm": "LightGBM, Python",
    "xgboost": "XGBoost, Python",
}
SETTINGS = Settings(trees=500, leaves=63, learning_rate=0.05, min_rows=20)
TRAIN_ROWS = 200_000
CALLS = 3


def main() -> int:
    arguments = parse()
    settings, rows = SETTINGS, arguments.rows
    if arguments.quick:
        settings, rows = replace(SETTINGS, trees=50), min(rows, 100_000)
        arguments.repetitions = 1
    files = make_data(rows, arguments.seed)
    label = pq.read_table(files[1], columns=[higgs_like.LABEL])[higgs_like.LABEL].to_numpy()
    results = begin(
        rows=rows,
        repetitions=arguments.repetitions,
        settings=settings,
        threads=arguments.threads,
    )
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            train=str(files[0]),
            test=str(files[1]),
            label=higgs_like.LABEL,
            task="binary",
            scores=f"{folder}/scores.npy",
            settings=settings,
            seed=arguments.seed,
        )
        for repetition in range(arguments.repetitions):
            for threads in arguments.threads:
                for name in TITLES:
                    place = f"{repetition + 1}/{arguments.repetitions}, {threads} threads"
                    run_once(name, replace(job, threads=threads), arguments, label, results, place)
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
    job: Job,
    arguments: argparse.Namespace,
    label: Any,
    results: dict[str, Any],
    place: str,
) -> None:
    folder = Path(job.scores).parent
    model = folder / f"{'evergrove' if name == 'command' else name}.model"
    try:
        if name == "command":
            seconds, scores = score_by_command(arguments.evergrove, model, job)
        else:
            answer, scores = score_in_python(name, model, job, arguments.evergrove)
            results["versions"][name], seconds = answer["version"], answer["seconds"]
    except RuntimeError as error:
        results["failures"].append(f"{TITLES[name]}, {job.threads} threads: {error}")
        print(f"{place}: {TITLES[name]}: {error}", flush=True)
        return
    run = {"seconds": min(seconds), "roc_auc": split.roc_auc(scores, label != 0)}
    results["runs"][str(job.threads)].setdefault(name, []).append(run)
    print(f"{place}: {TITLES[name]}: {run['seconds']:.3f} s", flush=True)


def score_in_python(name: str, model: Path, job: Job, evergrove: Path) -> tuple[Any, Any]:
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


def write_page(results: dict[str, Any]) -> str:
    settings = results["settings"]
    lines = [
        "# Batch scoring beside other libraries",
        "",
        "Made by `.venv/bin/python -m bench.compare.scoring`; do not edit.",
        "",
        f"{results['rows']:,} rows of 28 float32 columns as a matrix in memory, "
        f"{settings['trees']} trees of {settings['leaves']} leaves, each library's own model of "
        "the same training rows, a probability a row. A fresh process that may use only as many "
        f"cores as it has threads scores {CALLS} times, of which the best counts; the libraries "
        f"take turns. Repetitions: {results['repetitions']}; medians, with the least and the most "
        "in brackets. The command reads the rows from Parquet and writes the scores to Parquet; "
        "its time is that of the whole process.",
    ]
    for threads, runs in results["runs"].items():
        lines += ["", f"## {threads} thread{'s' if threads != '1' else ''}", ""]
        lines += ["| | seconds | rows a second | ROC AUC |", "|---|---|---|---|"]
        for name, values in runs.items():
            seconds = [value["seconds"] for value in values]
            middle = statistics.median(seconds)
            lines.append(
                f"| {TITLES[name]} | {middle:.3f} ({min(seconds):.3f} to {max(seconds):.3f}) "
                f"| {results['rows'] / middle:,.0f} | {values[0]['roc_auc']:.4f} |"
            )
        if "evergrove" in runs and "lightgbm" in runs:
            ratios = [
                theirs["seconds"] / ours["seconds"]
                for ours, theirs in zip(runs["evergrove"], runs["lightgbm"], strict=False)
            ]
            lines += [
                "",
                f"LightGBM takes {statistics.median(ratios):.2f} times as long as Evergrove, "
                f"repetition by repetition {min(ratios):.2f} to {max(ratios):.2f}.",
            ]
    version = f"{results['versions'].get('evergrove', 'missing')} ({results['commit']})"
    lines += ["", machine.sentence(results["machine"], version)]
    if failures := sorted(set(results["failures"])):
        lines += ["", "What did not run:", "", *(f"- {failure}" for failure in failures)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
