# SPDX-License-Identifier: Apache-2.0
"""The page of bench.compare.scoring: tables, and how many times as long the fastest other takes."""

import statistics
from typing import Any

from bench.compare import machine

CALLS = 3
GOAL = 4.0
TITLES = {
    "evergrove": "**Evergrove**",
    "matrix": "**Evergrove**, of a matrix row by row",
    "command": "**Evergrove**, command, Parquet to Parquet",
    "evergrove-symmetric": "**Evergrove**, symmetric",
    "matrix-symmetric": "**Evergrove**, symmetric, of a matrix row by row",
    "command-symmetric": "**Evergrove**, symmetric, command, Parquet to Parquet",
    "lightgbm": "LightGBM",
    "lleaves": "lleaves (LightGBM's model, compiled)",
    "xgboost": "XGBoost",
    "catboost": "CatBoost",
    "ydf": "YDF",
}
SHAPES = {
    "leaves": (
        "Trees of 63 leaves",
        "Grown leaf by leaf (CatBoost: Lossguide).",
    ),
    "depth": (
        "Trees of depth 6",
        "Grown level by level; CatBoost's trees are symmetric (one split a level), as is its "
        "default, and ours are too where it is said.",
    ),
}


def write_page(results: dict[str, Any]) -> str:
    lines = [
        "# Batch scoring beside other libraries",
        "",
        "Made by `.venv/bin/python -m bench.compare.scoring`; do not edit.",
        "",
        f"{results['rows']:,} rows of 28 float32 columns in memory, {results['settings']['trees']} "
        "trees, each library's own model of the same training rows, a probability a row. A fresh "
        f"process that may use only as many cores as it has threads scores {CALLS} times, of which "
        "the best counts; the libraries take turns. The rows are in the form that a library likes "
        "best, made before the time is taken: a matrix row by row, of doubles for lleaves; a "
        "`Pool` for CatBoost; columns for YDF and for ours. "
        "Who takes more than three times as long as the fastest other is measured once. "
        f"Repetitions: {results['repetitions']}; medians, with the least and the most in brackets. "
        "The command reads the rows from Parquet and writes the scores to Parquet; its time is "
        "that of the whole process.",
    ]
    for shape, (title, about) in SHAPES.items():
        lines += ["", f"## {title}", "", about]
        for threads, runs in results["runs"][shape].items():
            lines += table(threads, runs, results["rows"])
            lines += ["", *verdicts(runs)]
    version = f"{results['versions'].get('evergrove', 'missing')} ({results['commit']})"
    lines += ["", machine.sentence(results["machine"], version)]
    if failures := sorted(set(results["failures"])):
        lines += ["", "What did not run:", "", *(f"- {failure}" for failure in failures)]
    return "\n".join(lines) + "\n"


def table(threads: str, runs: dict[str, Any], rows: int) -> list[str]:
    lines = [
        "",
        f"| {threads} thread{'s' if threads != '1' else ''} | seconds | rows a second | ROC AUC |",
        "|---|---|---|---|",
    ]
    for name in (name for name in TITLES if name in runs):
        seconds = seconds_of(runs, name)
        middle = statistics.median(seconds)
        lines.append(
            f"| {TITLES[name]} | {middle:.3f} ({min(seconds):.3f} to {max(seconds):.3f}) "
            f"| {rows / middle:,.0f} | {runs[name][0]['roc_auc']:.4f} |"
        )
    return lines


def seconds_of(runs: dict[str, Any], name: str) -> list[float]:
    return [run["seconds"] for run in runs[name]]


def verdicts(runs: dict[str, Any]) -> list[str]:
    """How many times as long the fastest other takes as ours; symmetric trees are compared with
    all, others with those that are not symmetric as well."""
    others = [name for name in runs if not name.startswith(("evergrove", "matrix", "command"))]
    lines = []
    for ours in ("evergrove", "evergrove-symmetric"):
        alike = [name for name in others if name != "catboost" or ours.endswith("symmetric")]
        if "evergrove-symmetric" not in runs:
            alike = others
        if ours not in runs or not alike:
            continue
        fastest = min(alike, key=lambda name: statistics.median(seconds_of(runs, name)))
        ratios = [
            theirs / own
            for own, theirs in zip(seconds_of(runs, ours), seconds_of(runs, fastest), strict=False)
        ]
        ratio = statistics.median(ratios)
        met = "met" if ratio >= GOAL else "**not met**"
        lines.append(
            f"- {met}: {TITLES[fastest]} takes {ratio:.2f} times as long as {TITLES[ours]}, "
            f"repetition by repetition {min(ratios):.2f} to {max(ratios):.2f}; the goal is {GOAL}."
        )
    return lines
