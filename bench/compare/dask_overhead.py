# SPDX-License-Identifier: Apache-2.0
"""What evergrove.dask costs beside `evergrove train --workers`, and beside its peers on Dask, into
docs/dask_figures.md.

    script/campaign dask_figures                     all parts; about 35 minutes, quiet
    script/campaign dask_figures --parts overhead    these only; the rest stays as it was
    script/campaign dask_figures --small             to see that it runs; writes build/

overhead: evergrove.dask.train on 2 workers of 1 thread beside `evergrove train --workers 2`, in
turn, on runs of a minute or more; and that command while a Dask cluster of as many workers is
there and has nothing to do, which tells what the engine takes by itself. peers: the same trees by
xgboost.dask and lightgbm.dask, all from Dask's memory. rows: CPU and memory of the client and of
the scheduler, processes of their own, by the number of rows.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.compare import cluster_figures, dask_figures_page, dask_train
from bench.compare.cluster_figures import Case, run_peer, run_train
from bench.compare.figure_parts import Figures, measure_parts, parse_parts, part_parser
from bench.compare.process_figures import ProcessFigures
from examples.fraud import features
from tests.process.dask_processes import DaskProcesses

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("overhead", "peers", "rows")
WORKERS = 2
PROBE_TREES = 300


@dataclass(frozen=True)
class Plan:
    evergrove: Path
    cases: list[Case]
    seconds: float  # of a run of the overhead, at least
    repetitions: int
    rows: list[int]
    rows_trees: int


def main() -> int:
    arguments = parse()
    plan = make_plan(arguments)
    parts: dict[str, Callable[[Plan], Figures]] = {
        "overhead": measure_overhead,
        "peers": measure_peers,
        "rows": measure_rows,
    }
    measure_parts(
        {name: partial(measure, plan) for name, measure in parts.items()},
        arguments.parts,
        arguments.out,
        dask_figures_page.write,
        starts_anew=arguments.small,
    )
    return 0


def parse() -> argparse.Namespace:
    parser = part_parser("dask_figures", PARTS)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=75, help="of a run of the overhead")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 4_000_000])
    return parse_parts(parser, "dask_figures")


def make_plan(arguments: argparse.Namespace) -> Plan:
    small = arguments.small
    size = 100_000 if small else 1_000_000
    shape = f"dense: {size:,} x 28, 255 leaves"
    trees = 20 if small else 100
    cases = [Case("dense", shape, cluster_figures.dense(size), "label", 255, trees)]
    if missing := cluster_figures.FRAUD.missing():
        say(f"without the fraud data: {missing}")
    else:
        title, path = "fraud: Handbook data, 31 leaves", cluster_figures.whole_fraud()
        cases.append(Case("fraud", title, path, features.LABEL, 31, trees))
    return Plan(
        arguments.evergrove,
        cases,
        seconds=5 if small else arguments.seconds,
        repetitions=1 if small else arguments.repetitions,
        rows=[50_000, 100_000] if small else arguments.rows,
        rows_trees=50,
    )


# ---- overhead


def measure_overhead(plan: Plan) -> Figures:
    runs: dict[str, list[dict[str, Any]]] = {}
    for case in plan.cases:
        probe = run_train(plan.evergrove, with_trees(case, PROBE_TREES), WORKERS)
        trees = max(PROBE_TREES, math.ceil(plan.seconds / probe["a_tree"]))
        longer = with_trees(case, trees)
        for repetition in range(plan.repetitions):
            command = run_train(plan.evergrove, longer, WORKERS)
            with dask_train.connected({"scheduler": "", "workers": WORKERS}):
                beside = run_train(plan.evergrove, longer, WORKERS)
            dask = run_dask(longer)
            took = {"command": command, "beside": beside, "dask": dask}
            runs.setdefault(case.name, []).append({"trees": trees, **took})
            say(f"overhead {repetition + 1}: {case.name}, {trees} trees: {took}")
            if command["digest"] != dask["digest"]:
                raise RuntimeError("the digests differ")
    return {"titles": titles(plan), "runs": runs}


def with_trees(case: Case, trees: int) -> Case:
    return Case(case.name, case.title, case.data, case.label, case.leaves, trees)


def run_dask(
    case: Case, *, is_frame: bool = False, scheduler: str = "", is_watched: bool = True
) -> dict[str, Any]:
    """In a process of its own; with a cluster in it, if there is no scheduler."""
    job = {
        **{"data": str(case.data), "label": case.label, "trees": case.trees},
        **{"leaves": case.leaves, "workers": WORKERS, "scheduler": scheduler},
        **{"is_frame": is_frame, "is_watched": is_watched},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job))
        command = [sys.executable, "-m", "bench.compare.dask_train", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        raise RuntimeError(f"evergrove.dask: {done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


# ---- peers


def measure_peers(plan: Plan) -> Figures:
    if not cluster_figures.PEERS_PYTHON.exists():
        raise SystemExit("build/peers_venv is not there; script/campaign peers makes it")
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for repetition in range(plan.repetitions):
        for case in plan.cases:
            took = {
                "evergrove.dask, from a frame": run_dask(case, is_frame=True),
                "evergrove.dask, from paths": run_dask(case),
                "xgboost.dask": run_peer(case, "xgboost", WORKERS),
                "lightgbm.dask": run_peer(case, "lightgbm", WORKERS),
            }
            for name, each in took.items():
                runs.setdefault(case.name, {}).setdefault(name, []).append(each)
                say(f"peers {repetition + 1}: {case.name}, {name}: {each}")
    return {"titles": titles(plan), "trees": plan.cases[0].trees, "runs": runs}


# ---- client and scheduler by the number of rows


def measure_rows(plan: Plan) -> Figures:
    runs: list[dict[str, Any]] = []
    for rows in plan.rows:
        case = Case("dense", "", cluster_figures.dense(rows), "label", 31, plan.rows_trees)
        for is_frame in (False, True):
            each = [run_apart(case, is_frame) for _ in range(plan.repetitions)]
            middle = {name: statistics.median(run[name] for run in each) for name in each[0]}
            runs.append({"rows": rows, "is_frame": is_frame, **middle})
            say(f"rows: {runs[-1]}")
    return {"trees": plan.rows_trees, "runs": runs}


def run_apart(case: Case, is_frame: bool) -> dict[str, float]:
    """Scheduler, workers and client are processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        options = ("--nthreads", "1", "--memory-limit", "0")
        with DaskProcesses(Path(folder), workers=WORKERS, worker_options=options) as cluster:
            scheduler = ProcessFigures(cluster.scheduler.pid)
            took = run_dask(case, is_frame=is_frame, scheduler=cluster.address, is_watched=False)
            of_scheduler = scheduler.since_start()
    return {
        "seconds": took["whole"],
        "client_cpu_seconds": took["cpu_seconds"],
        "client_memory_bytes": took["memory_bytes"],
        "scheduler_cpu_seconds": of_scheduler["cpu_seconds"],
        "scheduler_memory_bytes": of_scheduler["memory_bytes"],
    }


def titles(plan: Plan) -> dict[str, str]:
    return {case.name: case.title for case in plan.cases}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
