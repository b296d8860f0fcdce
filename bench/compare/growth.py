# SPDX-License-Identifier: Apache-2.0
"""How the cost of ours grows with rows, columns, leaves, classes and bins, into docs/benchmarks.md.

    .venv/bin/python -m bench.compare.growth                    # some minutes on a quiet machine
    .venv/bin/python -m bench.compare.growth --curves rows bins --quick

A curve changes one thing and leaves the others as they are. The cost is said per row, column and
level of a tree, where a tree of L leaves has log2(L) levels: were each row added once to each
column's histogram on each level, it could not be below the bound of one read-modify-write; building
only the smaller child of two and subtracting halves that at best. One more training of each point,
with `--profile`, says what the time goes to.
"""

import argparse
import math
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.compare import blocks, speed_page
from bench.compare.case_data import group_rows
from bench.compare.data import CACHE
from bench.compare.figure_parts import measure_parts, read_figures
from bench.compare.generators import wide
from bench.compare.job import Job
from bench.compare.outcome import DEFAULT_EVERGROVE, Outcome, read_answer, train_command
from bench.compare.process import run_measured
from bench.compare.settings import Settings

QUICK_SHARE = 20  # so many times fewer rows
SEED = 1
# What the phases of `--profile` are of, in the page.
PARTS = {
    "histograms": ("histogram",),
    "search": ("search", "subtract"),
    "rows": ("partition", "gradients", "leaves"),
}


@dataclass(frozen=True)
class Point:
    rows: int = 500_000
    columns: int = 20
    leaves: int = 255
    classes: int = 2
    bins: int = 255
    trees: int = 10

    @property
    def trees_in_all(self) -> int:
        return self.trees * (self.classes if self.classes > 2 else 1)

    def ns(self, seconds: float) -> float:
        """Returns nanoseconds per row, column and level."""
        adds = self.rows * self.columns * math.log2(self.leaves) * self.trees_in_all
        return seconds * 1e9 / adds


CURVES = {
    "rows": [Point(rows=rows) for rows in (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)],
    "columns": [
        Point(rows=100_000, columns=columns, trees=5)
        for columns in (10, 30, 100, 300, 1_000, 2_000)
    ],
    "leaves": [Point(leaves=leaves) for leaves in (15, 31, 63, 127, 255, 511, 1_023)],
    "classes": [
        Point(rows=200_000, leaves=63, classes=count, trees=5) for count in (2, 3, 5, 10, 20)
    ],
    "bins": [Point(bins=bins) for bins in (3, 7, 15, 31, 63, 127, 255)],
}


def main() -> int:
    arguments = parse()
    out = speed_page.result_file(arguments.out, arguments.quick)
    parts = {f"growth/{name}": partial(measure, CURVES[name], arguments) for name in CURVES}
    names = [f"growth/{name}" for name in arguments.curves]
    measure_parts(parts, names, out, speed_page.write, starts_anew=False)
    for name in names:
        for point in read_figures(out)[name]["points"]:
            print(f"{name}: {point}")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures how the cost of training grows.")
    parser.add_argument("--curves", nargs="+", choices=CURVES, default=list(CURVES))
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the rows, once")
    parser.add_argument("--evergrove", type=Path, default=DEFAULT_EVERGROVE)
    parser.add_argument("--out", type=Path, help="JSON, and a page beside it")
    return parser.parse_args()


def measure(points: list[Point], arguments: argparse.Namespace) -> dict[str, Any]:
    """The points take turns, as many times as there are repetitions."""
    if arguments.quick:
        points = [replace(point, rows=point.rows // QUICK_SHARE, trees=2) for point in points]
    repetitions = 1 if arguments.quick else arguments.repetitions
    seconds: list[list[float]] = [[] for _ in points]
    for _ in range(repetitions):
        for point, taken in zip(points, seconds, strict=True):
            taken.append(train(point, arguments).seconds["fit"])
            print(f"  {point}: {taken[-1]:.2f} s", file=sys.stderr, flush=True)
    return {
        "points": [
            describe(point, statistics.median(taken), arguments)
            for point, taken in zip(points, seconds, strict=True)
        ],
        "growth_threads": arguments.threads,
        "repetitions": repetitions,
    }


def describe(point: Point, seconds: float, arguments: argparse.Namespace) -> dict[str, Any]:
    phases = train(point, arguments, "--profile").answer["profile"]["phases"]
    threads = arguments.threads
    parts = {
        part: point.ns(sum(phases[name]["seconds"] for name in names if name in phases) / threads)
        for part, names in PARTS.items()
    }
    return {**point.__dict__, "seconds": seconds, "ns": point.ns(seconds), "parts_ns": parts}


def train(point: Point, arguments: argparse.Namespace, *options: str) -> Outcome:
    """`seconds` has the trees alone as fit."""
    settings = Settings(
        trees=point.trees, leaves=point.leaves, bins=point.bins, min_rows=20, min_hessian=1
    )
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            train=str(data(point)),
            test="",
            label=wide.LABEL,
            task="binary" if point.classes == 2 else "multiclass",
            scores="",
            settings=settings,
            class_count=point.classes if point.classes > 2 else 0,
            threads=arguments.threads,
            seed=SEED,
        )
        command = train_command(arguments.evergrove, job, Path(folder) / "model", quiet=True)
        measured = run_measured([*command, *options], threads=arguments.threads, pin=True)
        outcome = read_answer(measured)
    if outcome.error:
        raise RuntimeError(f"{point}: {outcome.error}")
    return outcome


def data(point: Point) -> Path:
    folder = CACHE / "growth"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{point.rows}_{point.columns}_{point.classes}.parquet"
    if not path.exists():
        draw = wide.make_draw(columns=point.columns, classes=point.classes)
        size = group_rows(point.columns)
        blocks.write(path, draw, row_count=point.rows, seed=SEED, group_rows=size)
    return path


if __name__ == "__main__":
    sys.exit(main())
