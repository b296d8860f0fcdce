# SPDX-License-Identifier: Apache-2.0
"""Work done twice on a Dask cluster that loses a worker a minute, and one digest in the end.

A LocalCluster of 3 workers with nannies trains for some minutes; every minute one of its workers is
killed by SIGKILL, in turn one that has rows alone and the one that hosts the coordinator, and its
nanny starts another. How many trees that takes is found by a run that is stopped. Work is worker
time; what a member that is lost had under way, what is done again for it, and what a lost
coordinator had not in its log yet, is done twice (docs/cluster.md, docs/reference/status.md).

    script/campaign dask_losses                                        3 runs of 3 minutes
    script/campaign dask_losses --runs 1 --seconds 30 --apart 10       a short one; no page
"""

import argparse
import json
import logging
import os
import shutil
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import evergrove
from tests import data_sets
from tests.campaigns.report import table, write_page
from tests.process.dask_cluster import DaskRun, left_behind, local_cluster, tree_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "campaign-dask_losses"
SHARE_MAX = 0.03
SECONDS, APART, RUNS, ROWS = 180.0, 60.0, 3, 200_000
PROBE_SECONDS = 15.0
WORKERS = 3
PARAMS = {"max_leaves": 63, "subsample": 0.8}
LABEL = "income"


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/campaign dask_losses")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a run, about")
    parser.add_argument("--apart", type=float, default=APART, help="seconds between two losses")
    parser.add_argument("--rows", type=int, default=ROWS)
    arguments = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.ERROR)
    rows = prepare(arguments.rows)
    speed = trees_a_second(rows)
    params = {**PARAMS, "n_estimators": max(10, round(speed * arguments.seconds))}
    say(f"{speed:.1f} trees a second; runs of {params['n_estimators']} trees")
    alone = evergrove.train(params, rows, LABEL, valid_fraction=0.1, progress=False).digest
    results = []
    for number in range(1, arguments.runs + 1):
        results.append(one_run(rows, params, arguments.apart))
        is_equal = results[-1]["digest"] == alone
        results[-1]["is_equal"] = is_equal
        say(f"run {number}: {json.dumps(results[-1])}")
    page = page_of(results, params, arguments)
    if arguments == parser.parse_args([]):
        command = " ".join(["script/campaign dask_losses", *sys.argv[1:]])
        write_page("dask_losses", "Work done twice on Dask", command, page)
    else:
        print(page)
    is_good = all(result["is_equal"] and not result["left"] for result in results)
    median = statistics.median(result["share"] for result in results)
    print(f"median share of work done twice: {median:.2%}; equal digests: {is_good}")
    return 0 if is_good and median < SHARE_MAX else 1


def one_run(rows: Path, params: dict[str, Any], apart: float) -> dict[str, Any]:
    with local_cluster(n_workers=WORKERS) as cluster:
        begin = time.monotonic()
        run = DaskRun(cluster.client, rows, LABEL, params, valid_fraction=0.1)
        run.wait_for_tree(1)
        due = time.monotonic() + apart / 2
        killed: list[str] = []
        while run.thread.is_alive():
            run.thread.join(max(0.0, due - time.monotonic()))
            if not run.thread.is_alive() or not is_well(run):
                continue
            what = "a worker" if len(killed) % 2 == 0 else "the coordinator's worker"
            place = run.another() if len(killed) % 2 == 0 else run.coordinator()
            os.kill(run.processes()[place], signal.SIGKILL)
            killed.append(what)
            due += apart
        seconds = time.monotonic() - begin
        costs = run.view()["costs"]
        return {
            "digest": run.model().digest,
            "seconds": seconds,
            "killed": killed,
            "work_seconds": costs["work_seconds"],
            "work_lost_seconds": costs["work_lost_seconds"],
            "share": costs["work_lost_seconds"] / costs["work_seconds"],
            "rows_moved": costs["rows_moved"],
            "left": left_behind(cluster.client),
        }


def is_well(run: DaskRun) -> bool:
    """Whether all workers are there again, and hold rows, so that losing one costs something."""
    view = run.view()
    time.sleep(0.1)
    return (
        view["state"] == "running"
        and len(view["workers"]) == WORKERS
        and view["progress"].get("phase") == "training"
    )


def trees_a_second(rows: Path) -> float:
    """Of an undisturbed run."""
    with local_cluster(n_workers=WORKERS) as cluster:
        params = {**PARAMS, "n_estimators": 1_000_000}
        run = DaskRun(cluster.client, rows, LABEL, params, valid_fraction=0.1)
        run.wait_for_tree(10)
        first, begin = tree_of(run.view()), time.monotonic()
        time.sleep(PROBE_SECONDS)
        speed = (tree_of(run.view()) - first) / (time.monotonic() - begin)
        run.stop()
        return speed


def prepare(row_count: int) -> Path:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    path = FOLDER / "rows.parquet"
    table = pa.Table.from_pandas(data_sets.adult_like(row_count).frame, preserve_index=False)
    pq.write_table(table, path, row_group_size=max(1, row_count // 40))
    return path


def page_of(
    results: list[dict[str, Any]], params: dict[str, Any], arguments: argparse.Namespace
) -> str:
    shares = [result["share"] for result in results]
    body = f"{__doc__}".split("\n\n")[1].replace("\n", " ")
    lines = [
        [
            str(number),
            "yes" if result["is_equal"] else "NO",
            f"{result['seconds']:.0f} s",
            ", ".join(result["killed"]),
            f"{result['work_seconds']:.0f} s",
            f"{result['work_lost_seconds']:.2f} s",
            f"{result['share']:.2%}",
            f"{result['rows_moved']:,.0f}",
        ]
        for number, result in enumerate(results, start=1)
    ]
    header = ["run", "equal digest", "time", "killed", "work", "done twice", "share", "rows moved"]
    return (
        f"{body}\n\n{arguments.rows:,} rows, {params['n_estimators']:,} trees of "
        f"{params['max_leaves']} leaves, a loss every {arguments.apart:.0f} s. The median share "
        f"of work done twice is **{statistics.median(shares):.2%}** (the largest "
        f"{max(shares):.2%}).\n\n" + table(header, lines)
    )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
