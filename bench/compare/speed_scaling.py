# SPDX-License-Identifier: Apache-2.0
"""How ours goes from one thread to two, and how it fares beside a busy process on each core.

part = measure(load_case("dense"), repetitions=5, evergrove=path)
speed_up(part), busy_factor(part)      # 1.95, 2.05

The three take turns; a busy process counts up and nothing else, one pinned to each core.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.compare.case import Case
from bench.compare.trial import OURS, train_once

BUSY = "while True: pass"
Part = dict[str, Any]


def measure(case: Case, repetitions: int, evergrove: Path) -> Part:
    runs: dict[str, list[float]] = {"1": [], "2": [], "busy": []}
    digests = set()
    for repetition in range(repetitions):
        for name, values in runs.items():
            with busy_processes(2 if name == "busy" else 0):
                figures = train_once(
                    case,
                    OURS,
                    threads=1 if name == "1" else 2,
                    seed=1,
                    stages=[],
                    evergrove=evergrove,
                )
            values.append(figures["fit"])
            digests.add(figures["digest"])
            print(
                f"  {repetition + 1}/{repetitions} {name}: {figures['fit']:.2f} s", file=sys.stderr
            )
    assert len(digests) == 1, f"The digest depends on threads or on other work: {digests}"
    return {"title": case.title, "rows": case.rows, "runs": runs, "digest": digests.pop()}


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    cores = sorted(os.sched_getaffinity(0))[:count]
    processes = []
    try:
        for core in cores:
            command = ["taskset", "--cpu-list", str(core), sys.executable, "-c", BUSY]
            processes.append(subprocess.Popen(command))
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def speed_up(part: Part) -> float:
    runs: dict[str, list[float]] = part["runs"]
    return statistics.median(one / two for one, two in zip(runs["1"], runs["2"], strict=True))


def busy_factor(part: Part) -> float:
    runs: dict[str, list[float]] = part["runs"]
    return statistics.median(busy / two for busy, two in zip(runs["busy"], runs["2"], strict=True))
