# SPDX-License-Identifier: Apache-2.0
"""Held-out quality of Evergrove beside LightGBM, XGBoost, CatBoost and YDF at equal settings.

    .venv/bin/python -m bench.compare.quality             # all, into docs/quality.md
    .venv/bin/python -m bench.compare.quality --quick --cases adult --out build/quality

Five seeds: each splits the rows anew (fraud: by time, always the same, so there it takes twenty to
tell luck from skill) and is every library's own seed, which draws the 80 % of rows that a tree
learns from. All train from the same Parquet files and are measured by the same functions.
"""

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from bench.compare import machine, measures
from bench.compare.data import CASES, ROOT, Case
from bench.compare.job import Job
from bench.compare.outcome import DEFAULT_EVERGROVE, run_ours, run_peer
from bench.compare.results import save
from bench.compare.settings import Settings

LIBRARIES = ("evergrove", "lightgbm", "xgboost", "catboost", "ydf")
SETTINGS = Settings(trees=200, leaves=31, learning_rate=0.1, min_rows=20, subsample=0.8)
OWN_SETTINGS = {  # where 200 trees of 31 leaves would be far too many or too few
    "fraud": Settings(trees=100, leaves=15, learning_rate=0.1, min_rows=20, subsample=0.8),
    "higgs_7k": Settings(trees=100, leaves=15, learning_rate=0.1, min_rows=20, subsample=0.8),
    "abalone": Settings(trees=100, leaves=15, learning_rate=0.05, min_rows=20, subsample=0.8),
    "seven_class": Settings(trees=100, leaves=31, learning_rate=0.1, min_rows=20, subsample=0.8),
}
SEEDS = 5  # and more where a case says so (seed_factor)
HEADING = (
    "| data | measure | Evergrove | LightGBM | XGBoost | CatBoost | YDF | within | difference |",
    "|---|---|---|---|---|---|---|---|---|",
)
Values = dict[str, dict[str, list[float]]]  # by measure and library, one a seed


def main() -> int:
    arguments = parse()
    evergrove: Path = arguments.evergrove
    results: dict[str, Any] = {"machine": machine.describe(), "cases": {}, "failures": []}
    for case in CASES:
        if arguments.cases and case.name not in arguments.cases:
            continue
        if reason := case.missing():
            say(f"{case.name}: left out, {reason}")
            results["failures"].append(f"{case.title}: left out, {reason}")
            continue
        settings = OWN_SETTINGS.get(case.name, SETTINGS)
        if arguments.quick:
            settings = dataclasses.replace(settings, trees=max(5, settings.trees // 10))
        values = run_case(case, settings, evergrove, arguments, results)
        results["cases"][case.name] = {
            "title": case.title,
            "settings": settings.__dict__,
            "seeds": max(
                (len(v) for by_library in values.values() for v in by_library.values()), default=0
            ),
            "values": values,
        }
    page = write_page(results)
    save(results, arguments.out, page)
    say(page)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares held-out quality at equal settings.")
    names = [case.name for case in CASES]
    parser.add_argument("--cases", nargs="+", choices=names, help="default: all")
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--quick", action="store_true", help="two seeds, a tenth of the trees")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--evergrove", type=Path, default=DEFAULT_EVERGROVE)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/quality.md", help="page and JSON")
    return parser.parse_args()


def run_case(
    case: Case,
    settings: Settings,
    evergrove: Path,
    arguments: argparse.Namespace,
    results: dict[str, Any],
) -> Values:
    seeds = min(arguments.seeds, 2) if arguments.quick else arguments.seeds * case.seed_factor
    values: Values = {name: {} for name in case.measures}
    for seed in range(1, seeds + 1):
        train, test = case.files(seed)
        table = pq.read_table(test)
        label = table[case.label].to_numpy()
        for library in arguments.libraries:
            with tempfile.TemporaryDirectory() as folder:
                job = Job(
                    train=str(train),
                    test=str(test),
                    label=case.label,
                    task=case.task,
                    scores=f"{folder}/scores.npy",
                    settings=settings,
                    class_count=case.class_count,
                    exclude=case.exclude,
                    seed=seed,
                    threads=arguments.threads,
                )
                if library == "evergrove":
                    outcome = run_ours(evergrove, job, Path(folder))
                else:
                    outcome = run_peer(library, job, Path(folder))
            if outcome.error:
                say(f"{case.name} seed {seed}: {outcome.title} {outcome.error}")
                results["failures"].append(f"{case.title}, {outcome.title}: {outcome.error}")
                continue
            if library == "evergrove":
                results["evergrove"] = outcome.version
            assert outcome.scores is not None
            words = []
            for name in case.measures:
                value = measures.measure(name, outcome.scores, label, table)
                values[name].setdefault(library, []).append(value)
                words.append(f"{name} {value:.4f}")
            seconds = outcome.seconds["whole"]
            say(f"{case.name} seed {seed}: {outcome.title:<10} {', '.join(words)}  {seconds:.1f} s")
    return values


def write_page(results: dict[str, Any]) -> str:
    lines = [
        "# Quality beside other libraries",
        "",
        "Made by `.venv/bin/python -m bench.compare.quality`; do not edit. Mean and standard",
        "deviation over seeds, on rows that no library saw. Each seed is the library's own and",
        "draws the 80 % of rows that a tree learns from; but for fraud, which is split by time, it",
        "splits the rows too. The settings, equal for all, are said in each library's words in",
        "`bench/compare/settings.py`.",
        "",
        "Bold: the best of the other libraries. Within: our mean is better, or no further away",
        "than that one's standard deviation over seeds. Difference: to the best one, seed by seed,",
        "mean and standard deviation; above 0 ours is better.",
        "",
        *HEADING,
    ]
    for case in results["cases"].values():
        for name, values in case["values"].items():
            lines.append(row(case["title"], name, values))
    lines += few_seeds(results["cases"])
    lines += ["", "Settings:", ""]
    for case in results["cases"].values():
        settings = ", ".join(f"{name} {value}" for name, value in case["settings"].items())
        lines.append(f"- {case['title']}: {case['seeds']} seeds, {settings}")
    lines += ["", machine.sentence(results["machine"], results.get("evergrove", "missing"))]
    failures = sorted(set(results["failures"]))
    if failures:
        lines += ["", "What did not run:", "", *(f"- {failure}" for failure in failures)]
    return "\n".join(lines) + "\n"


def few_seeds(cases: dict[str, Any]) -> list[str]:
    """Returns what the usual number of seeds says of the cases that are given more."""
    lines: list[str] = []
    for case in cases.values():
        if case["seeds"] <= SEEDS:
            continue
        lines += [
            "",
            f"The same of {case['title']}, the first {SEEDS} of its {case['seeds']} seeds alone, "
            "as many as the other data get:",
            "",
            *HEADING,
        ]
        for name, values in case["values"].items():
            few = {library: of_seeds[:SEEDS] for library, of_seeds in values.items()}
            lines.append(row(case["title"], name, few))
    return lines


def row(title: str, name: str, values: dict[str, list[float]]) -> str:
    arrow = "↑" if name in measures.LARGER_IS_BETTER else "↓"
    cells = [title, f"{measures.TITLES[name]} {arrow}"]
    peers = [library for library in LIBRARIES[1:] if values.get(library)]
    sign = 1 if name in measures.LARGER_IS_BETTER else -1
    best = max(peers, key=lambda peer: sign * np.mean(values[peer]), default=None)
    for library in LIBRARIES:
        cell = spread(values[library]) if values.get(library) else "-"
        cells.append(f"**{cell}**" if library == best else cell)
    ours = values.get("evergrove", [])
    if best is None or len(ours) != len(values[best]):
        return "| " + " | ".join([*cells, "-", "-"]) + " |"
    difference = sign * (np.array(ours) - np.array(values[best]))
    verdict = "yes" if difference.mean() >= -deviation(values[best]) else "**no**"
    cells += [verdict, f"{difference.mean():+.4f} ± {deviation(difference):.4f}"]
    return "| " + " | ".join(cells) + " |"


def spread(values: list[float]) -> str:
    return f"{np.mean(values):.4f} ± {deviation(values):.4f}"


def deviation(values: Any) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
