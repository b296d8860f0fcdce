# SPDX-License-Identifier: Apache-2.0
"""Real Dask clusters with random faults, and one digest in the end.

A seed draws the data (paths, a frame in the cluster's memory), the workers (3 or 4, of 1 or 2
threads) and 1 to 4 deeds: SIGKILL of a worker or of the coordinator's, retirement of either,
restart_workers, restart (with paths: it drops frames), scaling to 1 and back, adapting, SIGSTOP for
4 or 10 s of either. After each run nothing may be left: no task, plugin, thread or folder. A run
that does not end in time is hung. A seed fixes the deeds, not the instants.

    script/campaign dask_runs                  50 runs
    script/campaign dask_runs --seeds 7-7      one of them again; writes no page
"""

import argparse
import contextlib
import functools
import json
import logging
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import dask.dataframe as dd

import evergrove
from tests import data_sets
from tests.campaigns.report import deeds_counted, failures, seconds_of_runs, table, write_page
from tests.process.dask_cluster import (
    Cluster,
    DaskRun,
    left_behind,
    local_cluster,
    write_adult_rows,
)
from tests.process.dask_deeds import DEEDS, restart_all

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "campaign-dask_runs"
RUNS = 50
SECONDS_MAX = 240.0
PARAMS = {"n_estimators": 1500, "max_leaves": 31, "subsample": 0.8}
DATA = functools.cache(lambda: data_sets.adult_like(20_000))


def one_run(seed: int) -> dict[str, object]:
    """Returns what came of it, for main(): in a process of its own, so that nothing is shared."""
    logging.getLogger("distributed").setLevel(logging.ERROR)
    dice = random.Random(seed)
    begin = time.monotonic()
    is_frame = dice.random() < 0.4
    possible = [deed for deed in DEEDS if not (is_frame and deed is restart_all)]
    deeds = [dice.choice(possible) for _ in range(dice.randint(1, 4))]
    done: list[str] = []
    workers, threads = dice.randint(3, 4), dice.randint(1, 2)
    with local_cluster(n_workers=workers, threads_per_worker=threads) as cluster:
        data = dd.from_pandas(DATA().frame, npartitions=10, sort=False) if is_frame else rows()
        run = DaskRun(cluster.client, data, DATA().label, PARAMS, valid_fraction=0.1)
        run.wait_for_tree(dice.randint(1, 20))
        for deed in deeds:
            if not do(deed, cluster, run, dice):
                break
            done.append(deed.__name__)
        run.thread.join(SECONDS_MAX)
        outcome = run.outcome[0] if run.outcome else "hung"
        is_model = isinstance(outcome, evergrove.Model)
        result = outcome.digest if isinstance(outcome, evergrove.Model) else repr(outcome)
        left = left_behind(cluster.client) if is_model else []
        tasks = cluster.client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
        if is_model and (left or tasks):
            result = f"left behind: {left}, {tasks} tasks"
        costs = run.view().get("costs", {}) if is_model else {}
    return {
        "seed": seed,
        "result": result,
        "deeds": done,
        "data": "frame" if is_frame else "paths",
        "seconds": time.monotonic() - begin,
        "work_seconds": costs.get("work_seconds", 0.0),
        "work_lost_seconds": costs.get("work_lost_seconds", 0.0),
    }


def do(deed: object, cluster: Cluster, run: DaskRun, dice: random.Random) -> bool:
    """Whether the deed was done before the run was over."""
    assert callable(deed)
    time.sleep(dice.uniform(0.0, 1.5))
    if run.outcome:
        return False
    # What the deed waits for does not come any more when the run is over meanwhile.
    with contextlib.suppress(AssertionError, StopIteration, KeyError, ProcessLookupError):
        deed(cluster, run)
    return True


def rows() -> Path:
    return FOLDER / "rows.parquet"


def prepare() -> str:
    """Returns the digest of one machine."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    write_adult_rows(rows())
    alone = evergrove.train(PARAMS, rows(), DATA().label, valid_fraction=0.1, progress=False)
    return str(alone.digest)


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/campaign dask_runs")
    parser.add_argument("--seeds", default="", help=f"A-B: these; writes no page (1-{RUNS})")
    parser.add_argument("--minutes", type=float, default=1e9, help="start none after so long")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(one_run(arguments.one)))
        return 0
    first, _, last = (arguments.seeds or f"1-{RUNS}").partition("-")
    digest = prepare()
    begin = time.monotonic()
    answers: list[dict[str, object]] = []
    for seed in range(int(first), int(last or first) + 1):
        if time.monotonic() - begin > arguments.minutes * 60:
            break
        answers.append(answer_of(seed))
        words = "equal" if answers[-1]["result"] == digest else f"FAILED: {answers[-1]['result']}"
        seconds = answers[-1]["seconds"]
        print(f"seed {seed}: {words}, {seconds:.1f} s", file=sys.stderr, flush=True)
    page = page_of(answers, digest, time.monotonic() - begin)
    failed = sum(answer["result"] != digest for answer in answers)
    if arguments.seeds:
        print(page)
    else:
        command = " ".join(["script/campaign dask_runs", *sys.argv[1:]])
        write_page("dask_runs", "Real Dask clusters with random faults", command, page)
    print(f"{len(answers) - failed} passed, {failed} failed")
    return 1 if failed else 0


def answer_of(seed: int) -> dict[str, object]:
    command = [sys.executable, "-m", "tests.campaigns.dask_runs", "--one", str(seed)]
    begin = time.monotonic()
    with (FOLDER / f"seed-{seed}.err").open("wb") as errors:
        try:
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=errors, timeout=2 * SECONDS_MAX, check=True
            )
            answer: dict[str, object] = json.loads(done.stdout)
            return answer
        except (subprocess.SubprocessError, ValueError) as error:
            seconds = time.monotonic() - begin
            what = {"seed": seed, "result": repr(error), "deeds": [], "data": ""}
            return {**what, "seconds": seconds}


def page_of(answers: list[dict[str, object]], digest: str, seconds: float) -> str:
    failed = [answer for answer in answers if answer["result"] != digest]
    figures = [
        ["runs", str(len(answers))],
        ["equal to one machine, nothing left behind", str(len(answers) - len(failed))],
        ["hung", str(sum("hung" in str(answer["result"]) for answer in failed))],
        ["from a frame in memory", str(sum(answer["data"] == "frame" for answer in answers))],
        ["deeds", deeds_counted(answers)],
        ["seconds of a run", seconds_of_runs(answers)],
        ["work done twice, of a run's", work_lost(answers)],
        ["minutes in all", f"{seconds / 60:.1f}"],
    ]
    text = (
        f"{__doc__}".split("\n\n")[1].replace("\n", " ")
        + f"\n\nThe digest of one machine: `{digest}`; 20,000 rows, {PARAMS['n_estimators']} trees."
        " A LocalCluster with nannies; clusters without them, over TLS, without scheduler or client"
        " are in `tests/process/test_dask_processes.py`.\n\n" + table(["what", "n"], figures)
    )
    return text + failures("dask_runs", failed)


def work_lost(answers: list[dict[str, object]]) -> str:
    """The share: here losses are seconds apart; script/campaign dask_losses has them apart."""
    shares = [
        float(str(answer["work_lost_seconds"])) / float(str(answer["work_seconds"]))
        for answer in answers
        if float(str(answer.get("work_seconds", 0.0))) > 0
    ]
    if not shares:
        return "not known"
    return f"{statistics.median(shares):.1%} median, {max(shares):.1%} largest"


if __name__ == "__main__":
    sys.exit(main())
