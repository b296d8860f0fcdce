# SPDX-License-Identifier: Apache-2.0
"""What xgboost.dask, lightgbm.dask and xgboost.spark do when a worker is killed in mid-training
and when one is added: run for real, watched from outside, written to docs.

    script/campaign peers                      all cases, and the page
    script/campaign peers --only lightgbm      those whose name has the word; writes no page

Each case starts a cluster of processes of its own on this machine, trains, waits for a round, does
the deed, and waits for the end, at most --limit seconds.
"""

import argparse
import dataclasses
import json
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.compare import higgs_like, interruptions_page
from bench.compare.interruptions_cluster import (
    ROOT,
    Cluster,
    DaskCluster,
    SparkCluster,
    read_process,
)
from bench.compare.interruptions_progress import Round, read

FILES = 12
FILE_ROWS = 10_000
ROUNDS = 400
FAULT_ROUND = 80  # when every worker has finished this one
START_SECONDS_MAX = 90
LIMIT_SECONDS = 80.0
VICTIM = "w1"
NEWCOMER = "joined"

# Seconds after which the parts that wait could give up, where a user may set them.
DASK_KNOBS = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "15s",  # Dask refuses less than 11
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "10",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "15s",
    "DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT": "15s",
}
SPARK_SETTINGS = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.executor.cores": "1",
    "spark.executor.memory": "1g",
    "spark.ui.enabled": "false",
}
SPARK_KNOBS = {
    "spark.task.maxFailures": "8",
    "spark.stage.maxConsecutiveAttempts": "8",
    "spark.scheduler.barrier.maxConcurrentTasksCheck.interval": "5s",
    "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures": "4",
    "spark.executor.heartbeatInterval": "2s",
    "spark.network.timeout": "20s",
    "spark.network.timeoutInterval": "5s",
}
COLLECTIVE_KNOBS = {"timeout": 20, "retry": 5}
KNOBS_SET = "time-outs and retries set"


@dataclass(frozen=True)
class Case:
    """`event` is nothing, machine (all of its processes are killed), process (that which trains is
    killed, what watches over it lives), silent (all of its processes are stopped, none of its
    connections is closed) or join."""

    library: str
    event: str
    setting: str = "as it comes"
    machines: int = 3
    workers: int = 3  # that train
    nanny: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    spark: dict[str, str] = field(default_factory=dict)
    collective: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def times(self) -> int:
        """Returns how often it is run: which worker notices first, and so the end, is chance."""
        return 3 if (self.event, self.setting) == ("machine", "as it comes") else 1

    @property
    def name(self) -> str:
        return f"{self.library}, {self.event}, {self.setting}"


def dask_cases(library: str, more: dict[str, Any]) -> list[Case]:
    knobs: dict[str, Any] = {"setting": KNOBS_SET, "variables": DASK_KNOBS, **more}
    return [
        Case(library, "nothing"),
        Case(library, "machine"),
        Case(library, "machine", **knobs),
        Case(library, "process", "under a nanny", nanny=True),
        Case(library, "silent"),
        Case(library, "silent", **knobs),
        Case(library, "join", machines=2, workers=2),
    ]


def spark_cases() -> list[Case]:
    library = "xgboost.spark"
    knobs: dict[str, Any] = {"spark": SPARK_KNOBS, "collective": COLLECTIVE_KNOBS}
    return [
        Case(library, "nothing"),
        Case(library, "machine"),
        Case(library, "machine", f"{KNOBS_SET}, a spare machine waits", machines=4, **knobs),
        Case(library, "process"),
        Case(library, "silent"),
        Case(library, "silent", KNOBS_SET, **knobs),
        Case(library, "join", machines=2, workers=2),
    ]


CASES = [
    *dask_cases("xgboost.dask", {"collective": COLLECTIVE_KNOBS}),
    *dask_cases("lightgbm.dask", {"parameters": {"time_out": 1}}),
    *spark_cases(),
]


@dataclass
class Observed:
    """What came of a case. Rounds are counted from 1; seconds are since the deed, if there was one,
    else since the training began."""

    case: dict[str, Any]
    outcome: str = ""  # trained, failed, hangs
    seconds: float = 0
    round_at_deed: int = 0
    seconds_to_deed: float = 0  # since the first round
    last_round: int = 0
    rounds_again: list[int] = field(default_factory=list)  # done again, by each start from nothing
    last_progress_seconds: float = 0
    exception: str = ""
    message: str = ""
    last_words: list[str] = field(default_factory=list)  # of the killed one's companions
    joined_at_round: int = 0
    rounds_of_newcomer: int = 0
    rounds_of_newcomer_next_run: int = 0
    busy_cores: float = 0  # of all processes of a run that hangs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="cases whose name has this word")
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, help="seconds (%(default)g)")
    parser.add_argument("--resume", action="store_true", help="keep the cases that have been run")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/peers")
    arguments = parser.parse_args()
    data = arguments.folder / "data"
    make_data(data)
    results = arguments.folder / "results.json"
    before = json.loads(results.read_text()) if arguments.resume and results.exists() else []
    observed: list[dict[str, Any]] = []
    for number, case in enumerate(one for one in CASES for _ in range(one.times)):
        if arguments.only not in case.name:
            continue
        had = [one for one in before if one["case"] == dataclasses.asdict(case)]
        if had:
            observed.append(had[0])
            before.remove(had[0])
            continue
        folder = arguments.folder / f"case-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        begin = time.time()
        try:
            result = observe(case, folder, data, arguments.limit)
        except TimeoutError as error:  # the cluster did not come up, or no training began
            result = Observed(dataclasses.asdict(case), outcome="not run", message=str(error))
        observed.append(dataclasses.asdict(result))
        results.write_text(json.dumps(observed + before, indent=1))  # what is kept is kept
        print(f"{case.name}: {describe(result)} [{time.time() - begin:.0f} s]", file=sys.stderr)
    if not arguments.only:
        write_page(observed, arguments.limit)


def write_page(observed: list[dict[str, Any]], limit: float) -> None:
    rows = FILES * FILE_ROWS
    interruptions_page.write(observed, rows=rows, limit=limit, rounds=ROUNDS, fault=FAULT_ROUND)


def describe(result: Observed) -> str:
    return (
        f"{result.outcome} after {result.seconds:.0f} s, deed at round {result.round_at_deed}, "
        f"last round {result.last_round}, again {result.rounds_again}, {result.exception}"
    )


def make_data(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(FILES):
        file = folder / f"part-{index:02}.parquet"
        if not file.exists():
            higgs_like.write(file, row_count=FILE_ROWS, seed=index)


def observe(case: Case, folder: Path, data: Path, limit: float) -> Observed:
    observed = Observed(dataclasses.asdict(case))
    with make_cluster(case, folder) as cluster:
        for index in range(case.machines):
            cluster.add(f"w{index}")
        job = folder / "job.json"
        job.write_text(json.dumps(job_of(case, cluster, data)))
        module = "bench.compare.interruptions_training"
        training = cluster.start("driver", [sys.executable, "-m", module, str(job)])
        begin = deed = time.time()
        while reached(case, folder) < FAULT_ROUND and training.poll() is None:
            if time.time() - begin > START_SECONDS_MAX:
                raise TimeoutError(f"{case.name}: no round {FAULT_ROUND}; see {folder}")
            time.sleep(0.02)
        if not read(folder):
            raise TimeoutError(f"{case.name}: the training ended before a round; see {folder}")
        if case.event != "nothing":
            rounds = read(folder)
            observed.seconds_to_deed = time.time() - rounds[0].time
            deed = do(case, cluster)
            observed.round_at_deed = 1 + max(one.round_index for one in rounds if one.time <= deed)
        if case.event == "join":
            observed.joined_at_round = 1 + max(one.round_index for one in read(folder))
        while training.poll() is None and time.time() - deed < limit:
            time.sleep(0.05)
        if training.poll() is None:
            observed.outcome = "hangs"
            observed.seconds = time.time() - deed
            observed.busy_cores = busy_cores(cluster)
    fill(observed, case, folder, deed)
    return observed


def make_cluster(case: Case, folder: Path) -> Cluster:
    if case.library.endswith("dask"):
        return DaskCluster(folder, case.variables, nanny=case.nanny)
    return SparkCluster(folder, case.variables)


def job_of(case: Case, cluster: Cluster, data: Path) -> dict[str, Any]:
    return {
        "library": case.library,
        "address": cluster.address,
        "data": str(data),
        "machines": case.machines,
        "workers": case.workers,
        "rounds": ROUNDS,
        "runs": 2 if case.event == "join" else 1,
        "spark": SPARK_SETTINGS | case.spark,
        "collective": case.collective,
        "parameters": case.parameters,
    }


def reached(case: Case, folder: Path) -> int:
    """Returns the round that every training worker has finished."""
    last: dict[str, int] = {}
    for one in read(folder):
        last[one.worker] = one.round_index + 1
    return min(last.values()) if len(last) == case.workers else 0


def do(case: Case, cluster: Cluster) -> float:
    """Does the deed and returns when."""
    deed = time.time()
    if case.event == "join":
        cluster.add(NEWCOMER)
        return deed
    trainers = sorted({one.worker for one in read(cluster.folder)})
    victim = VICTIM if VICTIM in trainers else trainers[-1]
    if case.event == "machine":
        cluster.lose(victim)
    elif case.event == "silent":
        cluster.silence(victim)
    else:
        cluster.lose_trainer(victim)
    return deed


def busy_cores(cluster: Cluster) -> float:
    """Returns how many cores the processes keep busy, over three seconds."""

    def ticks() -> int:
        fields = [read_process(Path(f"/proc/{pid}/stat")) for pid in cluster.processes()]
        return sum(sum(map(int, one.rsplit(")", 1)[1].split()[11:13])) for one in fields if one)

    before = ticks()
    time.sleep(3)
    return round((ticks() - before) / 100 / 3, 2)


def fill(observed: Observed, case: Case, folder: Path, deed: float) -> None:
    """Reads what the training said and what the workers noted."""
    runs = answers(folder)
    rounds = read(folder)
    if runs:
        first = runs[0]
        observed.outcome = "failed" if "exception" in first else "trained"
        observed.seconds = first["end"] - (first["begin"] if case.event == "nothing" else deed)
        observed.exception = first.get("exception", "")
        observed.message = first.get("message", "")
        observed.last_words = last_words(folder)
    elif observed.outcome != "hangs":
        observed.outcome = "failed"
        observed.message = "the driver died; " + (folder / "driver.log").read_text()[-500:]
    end = runs[0]["end"] if runs else time.time()
    of_first = [one for one in rounds if one.time <= end]
    if of_first:
        observed.last_round = 1 + of_first[-1].round_index
        observed.last_progress_seconds = round(of_first[-1].time - deed, 1)
        observed.rounds_again = starts_again(of_first)
    newcomers = [one for one in rounds if one.worker == NEWCOMER]
    observed.rounds_of_newcomer = sum(one.time <= end for one in newcomers)
    observed.rounds_of_newcomer_next_run = sum(one.time > end for one in newcomers)


def starts_again(rounds: list[Round]) -> list[int]:
    """Returns for each new beginning with round 1 how many rounds had been finished before it."""
    lost, furthest = [], 0
    for one in rounds:
        if one.round_index == 0 and furthest > 1:
            lost.append(furthest)
            furthest = 0
        furthest = max(furthest, one.round_index + 1)
    return lost


def answers(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "driver.log").read_text(errors="replace").splitlines()
    return [json.loads(line) for line in lines if line.startswith('{"begin"')]


def last_words(folder: Path) -> list[str]:
    """Returns the first lines of the workers' logs that tell of an error."""
    words = []
    for log in sorted(folder.glob("w*.log")):
        for line in log.read_text(errors="replace").splitlines():
            if any(word in line for word in ("Fatal]", "Error:", "rror: ", "XGBoostError")):
                words.append(f"{log.stem}: {line.strip()[:300]}")
                break
    return words


if __name__ == "__main__":
    main()
