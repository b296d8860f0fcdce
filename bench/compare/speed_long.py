# SPDX-License-Identifier: Apache-2.0
"""The long case: more rows than a small machine's memory, ours alone, under limits of the kernel.

part = measure(load_case("long"), evergrove=path)
part["runs"]["2 GiB"]["digest"] == part["runs"]["unlimited"]["digest"]

A run that is refused, ends by itself for lack of memory or is killed is a result, and is written
down as such: `error` then says what it said last, or which signal ended it.
"""

import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.compare.case import Case
from bench.compare.case_data import job_of
from bench.compare.job import Job
from bench.compare.memory_limit import LimitWay, limit_way
from bench.compare.outcome import read_answer, train_command
from bench.compare.process import run_measured

THREADS = 2
LIMITS = {"unlimited": 0, "2 GiB": 2 << 30, "300 MiB": 300 << 20}
LIMIT_SECONDS = 1_800
Part = dict[str, Any]


def measure(case: Case, evergrove: Path) -> Part:
    way = limit_way()
    job = replace(
        job_of(case, scores="", seed=1, threads=THREADS),
        parameters=case.ours | {"n_estimators": case.settings.trees},
    )
    runs = {}
    for name, limit_bytes in LIMITS.items():
        runs[name] = run_once(job, evergrove, limit_bytes, way)
        print(f"  long, {name}: {runs[name]}", file=sys.stderr, flush=True)
    return {
        "rows": case.rows,
        "about": case.about,
        "limited_threads": THREADS,
        "file_bytes": Path(job.train).stat().st_size,
        "how": way.sentence,
        "runs": runs,
    }


def run_once(job: Job, evergrove: Path, limit_bytes: int, way: LimitWay) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        command = train_command(evergrove, job, Path(folder) / "model", quiet=True)
        if limit_bytes:
            command = [*way.words(limit_bytes), *command, "--memory", str(limit_bytes)]
        measured = run_measured(
            command, threads=job.threads, pin=True, timeout_seconds=LIMIT_SECONDS
        )
    run = {"seconds": measured.seconds, "peak_rss_bytes": measured.peak_rss_bytes}
    if measured.returncode == 0:
        return run | {"error": "", "digest": read_answer(measured).answer["digest"]}
    if measured.returncode < 0 and not measured.timed_out:
        words = f"ended by {signal.Signals(-measured.returncode).name}"
        last = measured.explain()
        return run | {"error": words + (f", having said: {last}" if measured.errors else "")}
    return run | {"error": f"exit {measured.returncode}: {measured.explain()}"}
