# SPDX-License-Identifier: Apache-2.0
"""One training by evergrove.dask.train in this process, timed, as a client of a cluster.

    .venv/bin/python -m bench.compare.dask_train JOB.json

The job names the data and settings, and a scheduler; without one it starts a LocalCluster of
`workers` processes of one thread. Prints one line of JSON: seconds of reading and training
together, seconds a tree, trees, digest, and this process' CPU and memory meanwhile. Importing,
starting the cluster and connecting to it are not counted.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import evergrove.dask
from bench.compare.process_figures import ProcessFigures

LOOK_EVERY_SECONDS = 2.0  # each is a call of the scheduler
RUN = "figures"


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    import dask.dataframe  # noqa: F401, so that loading it is no part of what is measured

    with connected(job) as client:
        watch = ProcessFigures("self")
        looks: list[tuple[float, int]] = []
        ends = threading.Event()
        thread = threading.Thread(target=look, args=(client, looks, ends), daemon=True)
        if job["is_watched"]:
            thread.start()
        begin = time.perf_counter()
        settings = {"n_estimators": job["trees"], "max_leaves": job["leaves"]}
        model = evergrove.dask.train(
            client, settings, rows(job), job["label"], run_id=RUN, progress=False
        )
        whole = time.perf_counter() - begin
        ends.set()
        figures = watch.since_start()
    answer = {"whole": whole, "a_tree": a_tree(looks), "trees": job["trees"]}
    answer |= {"digest": model.digest, **figures}
    print(json.dumps(answer), flush=True)


@contextmanager
def connected(job: dict[str, Any]) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    if job["scheduler"]:
        with Client(job["scheduler"]) as client:
            yield client
        return
    workers = {"n_workers": job["workers"], "threads_per_worker": 1, "processes": True}
    with LocalCluster(**workers, dashboard_address=":0") as cluster, Client(cluster) as client:
        client.wait_for_workers(job["workers"])
        yield client


def rows(job: dict[str, Any]) -> Any:
    if not job["is_frame"]:
        return job["data"]
    import dask.dataframe as dd

    # As the peers read it (bench/compare/cluster_dask.py).
    return dd.read_parquet(job["data"], split_row_groups=True).persist()


def look(client: Any, looks: list[tuple[float, int]], ends: threading.Event) -> None:
    while not ends.wait(LOOK_EVERY_SECONDS):
        view = evergrove.dask.runs(client).get(RUN, {})
        looks.append((time.perf_counter(), int(view.get("progress", {}).get("iteration", 0))))


def a_tree(looks: list[tuple[float, int]]) -> float:
    """Between the first and the last that were seen; not a number if too few were."""
    seen = [each for each in looks if each[1] > 0]
    if not seen or seen[-1][1] == seen[0][1]:
        return float("nan")
    # The last look may be long after the last tree.
    last = next(each for each in seen if each[1] == seen[-1][1])
    return (last[0] - seen[0][0]) / (last[1] - seen[0][1])


if __name__ == "__main__":
    main()
