# SPDX-License-Identifier: Apache-2.0
"""Time and memory of training beside LightGBM, XGBoost and CatBoost, into docs/benchmarks.md.

    .venv/bin/python -m bench.compare.speed                # an hour on a quiet machine
    .venv/bin/python -m bench.compare.speed --quick --out build/speed.md

A million rows of 28 float32 columns (higgs_like.py), 100 trees of 255 leaves, 255 bins. Each
training is a fresh process that may use only as many cores as it has threads. All libraries take
turns, and the turns are repeated, so that what else the machine does hits all alike; a repetition's
ratio compares neighbours in time.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.compare import higgs_like, machine
from bench.compare.data import CACHE
from bench.compare.outcome import Outcome, run_ours, run_peer
from bench.compare.results import begin, options, save
from bench.compare.settings import PEERS, Settings
from bench.compare.worker import Job
from examples.fraud import split

OURS = "evergrove"
LIBRARIES = (
    OURS,
    "lightgbm",
    "lightgbm-quantised",
    "xgboost",
    "catboost-fast",
    "catboost-symmetric",
)
SETTINGS = Settings(trees=100, leaves=255, learning_rate=0.1, min_rows=20, min_hessian=100)
TEST_ROWS = 100_000
Runs = dict[str, list[dict[str, float]]]  # by library, one a repetition


@dataclass(frozen=True)
class Plan:
    rows: int
    settings: Settings
    threads: list[int]
    repetitions: int
    libraries: list[str]
    seed: int
    evergrove: Path


def main() -> int:
    arguments = parse()
    plan = make_plan(arguments)
    files = make_data(plan)
    results = begin(
        rows=plan.rows,
        repetitions=plan.repetitions,
        settings=plan.settings,
        threads=plan.threads,
    )
    for repetition in range(plan.repetitions):
        for threads in plan.threads:
            for name in plan.libraries:
                run_once(plan, files, name, threads, repetition, results)
    page = write_page(results)
    save(results, arguments.out, page)
    print(page)
    return 0


def parse() -> argparse.Namespace:
    parser = options(
        "Compares time and memory of training.",
        quick="100,000 rows, 20 trees, once",
        out="docs/benchmarks.md",
    )
    parser.add_argument("--trees", type=int, default=SETTINGS.trees)
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    return parser.parse_args()


def make_plan(arguments: argparse.Namespace) -> Plan:
    trees, rows, repetitions = arguments.trees, arguments.rows, arguments.repetitions
    if arguments.quick:
        trees, rows, repetitions = min(trees, 20), min(rows, 100_000), 1
    settings = Settings(**asdict(SETTINGS) | {"trees": trees})
    return Plan(
        rows,
        settings,
        arguments.threads,
        repetitions,
        arguments.libraries,
        arguments.seed,
        arguments.evergrove,
    )


def make_data(plan: Plan) -> tuple[Path, Path]:
    """Returns the files of training and test rows, made on first use."""
    folder = CACHE / "speed"
    folder.mkdir(parents=True, exist_ok=True)
    train = folder / f"train_{plan.rows}_{plan.seed}.parquet"
    test = folder / f"test_{TEST_ROWS}_{plan.seed}.parquet"
    for path, rows, seed in ((train, plan.rows, plan.seed), (test, TEST_ROWS, plan.seed + 10_000)):
        if not path.exists():
            higgs_like.write(path, row_count=rows, seed=seed)
    return train, test


def run_once(
    plan: Plan,
    files: tuple[Path, Path],
    name: str,
    threads: int,
    repetition: int,
    results: dict[str, Any],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            train=str(files[0]),
            test=str(files[1]),
            label=higgs_like.LABEL,
            task="binary",
            scores=f"{folder}/scores.npy",
            settings=plan.settings,
            seed=plan.seed + repetition,
            threads=threads,
        )
        outcome = train(plan, name, job, Path(folder))
    place = f"{repetition + 1}/{plan.repetitions}, {threads} threads: {outcome.title}"
    if outcome.error:
        results["failures"].append(f"{outcome.title}, {threads} threads: {outcome.error}")
        print(f"{place}: {outcome.error}", flush=True)
        return
    assert outcome.scores is not None
    label = pq.read_table(files[1], columns=[higgs_like.LABEL])[higgs_like.LABEL].to_numpy()
    run = outcome.seconds | {
        "peak_rss_bytes": outcome.peak_rss_bytes,
        "roc_auc": split.roc_auc(outcome.scores, label != 0),
    }
    results["versions"][name] = outcome.version
    results["runs"][str(threads)].setdefault(name, []).append(run)
    print(
        f"{place}: {run['fit']:.2f} s of training, {run['whole']:.2f} s from Parquet, "
        f"{run['peak_rss_bytes'] / 2**20:.0f} MiB, ROC AUC {run['roc_auc']:.4f}",
        flush=True,
    )


def train(plan: Plan, name: str, job: Job, folder: Path) -> Outcome:
    if name == OURS:
        return run_ours(plan.evergrove, job, folder, pin=True)
    return run_peer(name, job, folder, pin=True)


def write_page(results: dict[str, Any]) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in results["settings"].items())
    lines = [
        "# Time and memory beside other libraries",
        "",
        "Made by `.venv/bin/python -m bench.compare.speed`; do not edit.",
        "",
        f"{results['rows']:,} rows of 28 float32 columns, made by `bench/compare/higgs_like.py`, "
        f"as Parquet. Settings: {settings}; in each library's own words in "
        "`bench/compare/settings.py`. Each training is a fresh process that may use only as many "
        f"cores as it has threads; the libraries take turns. Repetitions: "
        f"{results['repetitions']}; medians, with the least and the most in brackets.",
        "",
        "Training: the trees alone, from bins to the last tree. From Parquet: reading, bins and "
        "training. Process: from its start to the trained model, with the import of a library "
        "into Python, and with ours the model file. Peak memory: resident, of that process. "
        "ROC AUC: on 100,000 rows that nobody saw.",
    ]
    for threads, runs in results["runs"].items():
        lines += ["", f"## {threads} thread{'s' if threads != '1' else ''}", "", *section(runs)]
    lines += ["", machine.sentence(results["machine"], f"{ours_version(results)}")]
    if failures := sorted(set(results["failures"])):
        lines += ["", "What did not run:", "", *(f"- {failure}" for failure in failures)]
    return "\n".join(lines) + "\n"


def section(runs: Runs) -> list[str]:
    lines = [
        "| | training | from Parquet | process | peak memory | ROC AUC |",
        "|---|---|---|---|---|---|",
    ]
    for name, values in runs.items():
        cells = [
            title(name),
            spread(values, "fit", seconds),
            spread(values, "whole", seconds),
            spread(values, "process", seconds),
            spread(values, "peak_rss_bytes", mebibytes),
            spread(values, "roc_auc", lambda value: f"{value:.4f}"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, "", *verdict(runs)]


def verdict(runs: Runs) -> list[str]:
    """Says how ours stands to the fastest other and to the one with the least memory."""
    peers = [name for name in runs if name != OURS]
    if OURS not in runs or not peers:
        return []
    lines = []
    for what, measure in (("Training", "fit"), ("From Parquet", "whole")):
        fastest = min(peers, key=lambda name: median(runs[name], measure))
        ratios = [
            theirs[measure] / ours[measure]
            for ours, theirs in zip(runs[OURS], runs[fastest], strict=False)
        ]
        lines.append(
            f"{what}: the fastest other is {title(fastest)}; it takes "
            f"{statistics.median(ratios):.2f} times as long as Evergrove, repetition by repetition "
            f"{min(ratios):.2f} to {max(ratios):.2f}."
        )
    least = min(peers, key=lambda name: median(runs[name], "peak_rss_bytes"))
    share = median(runs[OURS], "peak_rss_bytes") / median(runs[least], "peak_rss_bytes")
    lines.append(f"Peak memory: {share:.2f} times that of {title(least)}, the least of the others.")
    return [f"- {line}" for line in lines]


def spread(values: list[dict[str, float]], name: str, show: Callable[[float], str]) -> str:
    numbers = [value[name] for value in values]
    middle = show(statistics.median(numbers))
    if len(numbers) == 1:
        return middle
    return f"{middle} ({show(min(numbers))} to {show(max(numbers))})"


def median(values: list[dict[str, float]], name: str) -> float:
    return statistics.median(value[name] for value in values)


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def mebibytes(value: float) -> str:
    return f"{value / 2**20:.0f} MiB"


def title(name: str) -> str:
    return "**Evergrove**" if name == OURS else PEERS[name][2]


def ours_version(results: dict[str, Any]) -> str:
    version = results["versions"].get(OURS, "missing")
    return f"{version} ({results['commit']})" if results["commit"] else str(version)


if __name__ == "__main__":
    sys.exit(main())
