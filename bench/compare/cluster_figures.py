# SPDX-License-Identifier: Apache-2.0
"""What a cluster costs, measured with real processes on this machine, into docs/cluster_figures.md.

    script/campaign cluster_figures                         all parts; about 25 minutes, quiet
    script/campaign cluster_figures --parts loss bytes      these only; the rest stays as it was
    script/campaign cluster_figures --small                 to see that it runs; writes build/

overhead: 2 workers of 1 thread beside one process of 2, in turn. peers: the same of XGBoost and
LightGBM with Dask. loss: a worker killed, one added, and one killed a minute. bytes: what the
busiest of 2, 4, 8, 16 workers sends and receives. scale: the model of evergrove-sim.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.compare import cluster_figures_page, data, higgs_like
from bench.compare.cluster_run import ClusterRun, Look, Status
from bench.compare.figure_parts import Figures, measure_parts, parse_parts, part_parser
from examples.fraud import features

ROOT = Path(__file__).resolve().parents[2]
PEERS_PYTHON = ROOT / "build/peers_venv/bin/python"
SIMULATION = ROOT / "build/release/sim/evergrove-sim"
FOLDER = ROOT / "build/bench-data/cluster"
ROW_GROUPS = 64
LOSS_TREES = 200  # of a run that loses a worker, or gets one
FIRST_TREES = 40  # after a worker came: many, for the status page is not asked for each
PARTS = ("overhead", "peers", "loss", "bytes", "scale")
FRAUD = next(case for case in data.CASES if case.name == "fraud")


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    data: Path
    label: str
    leaves: int
    trees: int


@dataclass(frozen=True)
class Plan:
    evergrove: Path
    simulation: Path
    rows: int
    trees: int
    repetitions: int
    peer_repetitions: int
    minutes: float
    workers: list[int]
    scale: list[int]

    def cases(self) -> list[Case]:
        shape = f"{self.rows:,} x 28, 255 leaves"
        all_cases = [Case("dense", shape, dense(self.rows), higgs_like.LABEL, 255, self.trees)]
        if (missing := FRAUD.missing()) or self.trees < 100:
            print(f"without the fraud data: {missing or 'they are not small'}", file=sys.stderr)
            return all_cases
        # A week of it takes a sixth of a second: there one sees what starting costs.
        for name, title, path in (
            ("fraud", "Handbook fraud data, 31 leaves", whole_fraud()),
            ("fraud week", "a week of it, as the book trains on", fraud_week()),
        ):
            all_cases.append(Case(name, title, path, features.LABEL, 31, self.trees))
        return all_cases


def main() -> int:
    arguments = parse()
    plan = make_plan(arguments)
    parts: dict[str, Callable[[Plan], Figures]] = {
        "overhead": measure_overhead,
        "peers": measure_peers,
        "loss": measure_loss,
        "bytes": measure_bytes,
        "scale": measure_scale,
    }
    measure_parts(
        {name: partial(measure, plan) for name, measure in parts.items()},
        arguments.parts,
        arguments.out,
        cluster_figures_page.write,
        starts_anew=arguments.small,
    )
    return 0


def parse() -> argparse.Namespace:
    parser = part_parser("cluster_figures", PARTS)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--peer-repetitions", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=4, help="of the run with a loss a minute")
    parser.add_argument("--simulation", type=Path, default=SIMULATION)
    return parse_parts(parser, "cluster_figures")


def make_plan(arguments: argparse.Namespace) -> Plan:
    small = arguments.small
    return Plan(
        arguments.evergrove,
        arguments.simulation,
        rows=500_000 if small else 1_000_000,
        trees=20 if small else 100,
        repetitions=1 if small else arguments.repetitions,
        peer_repetitions=1 if small else arguments.peer_repetitions,
        minutes=0.3 if small else arguments.minutes,
        workers=[2, 4] if small else [2, 4, 8, 16],
        scale=[1, 2, 4] if small else [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000],
    )


# ---- data


def dense(rows: int) -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"dense_{rows}.parquet"
    if not path.exists():
        higgs_like.write(path.with_suffix(".drawn"), row_count=rows, seed=1)
        write(pq.read_table(path.with_suffix(".drawn")), path)
        path.with_suffix(".drawn").unlink()
    return path


def write(table: pa.Table, path: Path) -> None:
    """In so many row groups that 16 workers have some each."""
    data.write_table(path, table, len(table) // ROW_GROUPS + 1)


def fraud_week() -> Path:
    """The training rows of the quality bench, without what is not learnt from."""
    path = FOLDER / "fraud_week.parquet"
    if not path.exists():
        write(learnt_from(pq.read_table(FRAUD.files(1)[0])), path)
    return path


def whole_fraud() -> Path:
    """All transactions, with their features."""
    path = FOLDER / "fraud.parquet"
    if not path.exists():
        write(learnt_from(pa.Table.from_pandas(FRAUD.load(), preserve_index=False)), path)
    return path


def learnt_from(table: pa.Table) -> pa.Table:
    return table.select([name for name in table.column_names if name not in FRAUD.exclude])


# ---- overhead


def measure_overhead(plan: Plan) -> Figures:
    runs: dict[str, list[dict[str, Any]]] = {}
    for repetition in range(plan.repetitions):
        for case in plan.cases():
            for workers in (0, 2):
                took = run_train(plan.evergrove, case, workers)
                runs.setdefault(case.name, []).append({"workers": workers, **took})
                print(f"overhead {repetition + 1}: {case.name}, {workers} workers: {took}")
    titles = {case.name: case.title for case in plan.cases()}
    return {"titles": titles, "runs": runs, "summary": {n: ratios(r) for n, r in runs.items()}}


def run_train(evergrove: Path, case: Case, workers: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        command = [str(evergrove), "train", "--data", str(case.data), "--label", case.label]
        command += ["--threads", "2", "--model", f"{folder}/model", "--json", "--set"]
        command += [f"n_estimators={case.trees}", f"max_leaves={case.leaves}"]
        command += ["--workers", str(workers)] if workers else []
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        whole = time.perf_counter() - begin
    report = json.loads(done.stdout)
    a_tree = report["seconds"]["train"] / report["trees"]
    return {"whole": round(whole, 3), "a_tree": a_tree, "digest": report["digest"]}


def ratios(runs: list[dict[str, Any]]) -> Figures:
    one = [run for run in runs if run["workers"] == 0]
    two = [run for run in runs if run["workers"] == 2]
    if len({run.get("digest") for run in runs}) != 1:
        raise RuntimeError("the digests differ")
    answer: Figures = {}
    for what in ("whole", "a_tree"):
        answer[what] = {
            "one": statistics.median(run[what] for run in one),
            "two": statistics.median(run[what] for run in two),
            "ratio": statistics.median(b[what] / a[what] for a, b in zip(one, two, strict=True)),
        }
    return answer


def measure_peers(plan: Plan) -> Figures:
    if not PEERS_PYTHON.exists():
        raise SystemExit("build/peers_venv is not there; script/campaign peers makes it")
    runs: dict[str, list[dict[str, Any]]] = {}
    for repetition in range(plan.peer_repetitions):
        for case in plan.cases():
            for library in ("xgboost", "lightgbm"):
                for processes in (1, 2):
                    took = run_peer(case, library, processes)
                    workers = 0 if processes == 1 else processes
                    name = f"{library}, {case.name}"
                    runs.setdefault(name, []).append({"workers": workers, **took})
                    print(f"peers {repetition + 1}: {name}, {processes} processes: {took}")
    return {"runs": runs, "summary": {name: ratios(each) for name, each in runs.items()}}


def run_peer(case: Case, library: str, processes: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        job.write_text(
            json.dumps(
                {
                    "library": library,
                    "processes": processes,
                    "data": str(case.data),
                    "label": case.label,
                    "trees": case.trees,
                    "leaves": case.leaves,
                }
            )
        )
        command = [str(PEERS_PYTHON), "-m", "bench.compare.cluster_dask", str(job)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        raise RuntimeError(f"{library} with {processes} processes: {done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


# ---- a loss, a newcomer, a loss a minute


def count_members(status: Status) -> int:
    return sum(w["is_member"] for w in status["workers"])


def a_tree(looks: list[Look], begin: float, end: float) -> float:
    """Seconds a tree between two times, from the first to the last tree that was seen to end."""
    ends = [
        (after.time, after.trees)
        for before, after in itertools.pairwise(looks)
        if after.trees > before.trees and begin <= after.time <= end
    ]
    if len(ends) < 2:
        return float("nan")
    return (ends[-1][0] - ends[0][0]) / (ends[-1][1] - ends[0][1])


def measure_loss(plan: Plan) -> Figures:
    case = plan.cases()[0]
    settings = {"n_estimators": LOSS_TREES, "max_leaves": case.leaves}
    # In turn, so that whatever else the machine does is in both.
    losses: dict[int, list[Figures]] = {0: [], 1: []}
    for _ in range(plan.repetitions):
        for replicas in losses:
            losses[replicas].append(lose_one(plan, case, settings, replicas))
    return {
        "rows": plan.rows,
        "trees": LOSS_TREES,
        "losses": losses[0],
        "losses_with_replicas": losses[1],
        "joins": [add_one(plan, case, settings) for _ in range(plan.repetitions)],
        "minutes": [lose_one_a_minute(plan, case, replicas) for replicas in losses],
    }


def start(
    plan: Plan,
    folder: str,
    case: Case,
    settings: dict[str, Any],
    count: int,
    *options: str,
    over_tls: bool = False,
) -> ClusterRun:
    run = ClusterRun(
        plan.evergrove, Path(folder), case.data, case.label, settings, *options, over_tls=over_tls
    )
    for _ in range(count):
        run.add_worker()
    return run


def lose_one(plan: Plan, case: Case, settings: dict[str, Any], replicas: int) -> Figures:
    """The run's own clock says what is lost: from where the round at hand began, which is done
    again, until the run is where it was; that is `dropped` of each member, and `recovery`."""
    options = ("--replicas", str(replicas))
    with (
        tempfile.TemporaryDirectory() as folder,
        start(plan, folder, case, settings, 4, *options) as run,
    ):
        run.wait_until(lambda s: count_members(s) == 4)
        wanted = (1 + replicas) * len(run.status()["shards"])
        run.wait_until(lambda s: sum(w["shards_held"] for w in s["workers"]) >= wanted)
        members_at = run.status()["trees"]
        # A few trees with four, then in the middle of one.
        run.wait_until(lambda s: s["trees"] >= max(members_at, 2) + LOSS_TREES // 8)
        killed_at = time.time()
        rows = run.kill_worker()
        report = run.end()
        looks = run.looks
    loss = report["cluster"]["losses"][0]
    begin = next(look.time for look in looks if look.members == 4)
    settled = killed_at + loss["recovery_seconds"] + 1
    with_four = a_tree(looks, begin, killed_at)
    answer = {
        "seconds_lost": loss["dropped_seconds"] / loss["members"] + loss["recovery_seconds"],
        "rows_of_the_lost": rows,
        "a_tree_with_four": with_four,
        "a_tree_with_three": a_tree(looks, settled, float("inf")),
        "work_lost_seconds": report["cluster"]["work_lost_seconds"],
        "work_seconds": report["cluster"]["work_seconds"],
        "loss": loss,
        "digest": report["digest"],
    }
    print(f"loss, {replicas} replicas: {answer}")
    return answer


def add_one(plan: Plan, case: Case, settings: dict[str, Any]) -> Figures:
    """When it came and when it counted rows is told by the run's events, by its clock."""
    with tempfile.TemporaryDirectory() as folder, start(plan, folder, case, settings, 1) as run:
        run.wait_until(lambda s: s["trees"] >= LOSS_TREES // 8)
        began = run.started_at()
        started_at = time.time()
        run.add_worker()
        status = run.wait_until(lambda s: len(find(s, "active")) == 2)
        run.end()
        looks = run.looks
    joined, active = find(status, "joined")[1], find(status, "active")[1]
    answer = {
        "seconds_until_it_joins": began + joined["seconds"] - started_at,
        "seconds_until_it_takes_part": began + active["seconds"] - started_at,
        "trees_until_it_takes_part": active["trees"] - joined["trees"],
        "a_tree_before": a_tree(looks, 0, started_at),
        "first_trees": FIRST_TREES,
        "a_tree_of_the_first": a_tree(
            [look for look in looks if look.trees <= active["trees"] + 1 + FIRST_TREES],
            began + active["seconds"],
            float("inf"),
        ),
        "a_tree_after": a_tree(looks, began + active["seconds"] + 1, float("inf")),
    }
    print(f"join: {answer}")
    return answer


def find(status: Status, event: str) -> list[dict[str, Any]]:
    return [each for each in status["events"] if each["event"] == event]


def lose_one_a_minute(plan: Plan, case: Case, replicas: int) -> Figures:
    settings = {"n_estimators": 100_000, "max_leaves": case.leaves, "learning_rate": 0.01}
    every = 60.0 if plan.minutes >= 1 else 6.0
    options = ("--replicas", str(replicas))
    with (
        tempfile.TemporaryDirectory() as folder,
        start(plan, folder, case, settings, 4, *options) as run,
    ):
        run.wait_until(lambda s: count_members(s) == 4)
        begin = time.time()
        kills = 0
        while time.time() - begin < plan.minutes * 60:
            time.sleep(max(0.0, begin + (kills + 0.5) * every - time.time()))
            run.kill_worker()
            run.add_worker()
            kills += 1
            time.sleep(max(0.0, begin + kills * every - time.time()))
        status = run.status()
    work, lost = status["work_seconds"], status["work_lost_seconds"]
    answer = {
        "replicas": replicas,
        "seconds": time.time() - begin,
        "kills": kills,
        "trees": status["trees"],
        "work_seconds": work,
        "work_lost_seconds": lost,
        "share_lost": lost / work,
        "recovery_seconds": status["recovery_seconds"],
    }
    print(f"a loss every {every:.0f} s, {replicas} replicas: {answer}")
    return answer


# ---- bytes, and the model


def measure_bytes(plan: Plan) -> Figures:
    case = plan.cases()[0]
    few, many = case.trees // 4, case.trees
    found = []
    for count in plan.workers:
        # The first trees are made while workers are still reading: what they cost falls out.
        fewer, more = (bytes_of_run(plan, case, count, trees) for trees in (few, many))
        a_tree = {name: (more[name] - fewer[name]) / (many - few) for name in more}
        found.append({"workers": count, **a_tree})
        print(f"bytes: {found[-1]}")
    model = simulate(plan, plan.workers, "--rows", str(plan.rows), "--threads", "1")
    return {"rows": plan.rows, "trees": many - few, "measured": found, "modelled": model}


def bytes_of_run(plan: Plan, case: Case, count: int, trees: int) -> dict[str, int]:
    settings = {"n_estimators": trees, "max_leaves": case.leaves}
    with (
        tempfile.TemporaryDirectory() as folder,
        start(plan, folder, case, settings, count, over_tls=True) as run,
    ):
        cluster = run.end()["cluster"]
        each = run.bytes_of_workers()
    return {
        "in_bytes": max(received for received, _ in each),
        "out_bytes": max(sent for _, sent in each),
        "coordinator_in_bytes": cluster["received_bytes"],
        "coordinator_out_bytes": cluster["sent_bytes"],
    }


def measure_scale(plan: Plan) -> Figures:
    large = [count for count in plan.scale if count > 16]
    return {
        "now": simulate(plan, plan.scale),
        # As it would be if every member sent to the owner itself.
        "straight": simulate(plan, large, "--fan-in", "1000000") if large else [],
    }


def simulate(plan: Plan, workers: list[int], *more: str) -> list[Figures]:
    counts = ",".join(map(str, workers))
    command = [str(plan.simulation), "--scale", counts, "--json", *more]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout, end="")
    return [json.loads(line) for line in done.stdout.splitlines()]


if __name__ == "__main__":
    sys.exit(main())
