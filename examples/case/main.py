# SPDX-License-Identifier: Apache-2.0
"""The fraud case: see script/case --help."""

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import evergrove
from bench.compare import machine
from bench.compare.results import commit
from examples.case import ours, prices, store
from examples.case.machines import Machines
from examples.case.quality import quality
from examples.case.rounds import FOLDER_VARIABLE, read_rounds
from examples.case.rows import Rows, make_rows
from examples.case.server import Server, s3_server
from examples.case.trace import Trace, read_trace
from examples.fraud import features

ROOT = Path(__file__).resolve().parents[2]
SPOT = ROOT.parent / "shared/data/spot"
TRACE = SPOT / "availability__16-node__aws-08-27-2023__us-east-2b_v100_1.json"
BUCKET = "fraud-case"
TEST_FILES = 4
PAUSE_SECONDS = 1.0  # before a peer is started again
Contender = dict[str, Any]


def main() -> int:
    arguments = parse()
    try:
        return run(arguments)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"case: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ncase: stopped", file=sys.stderr)
        return 4


def run(arguments: argparse.Namespace) -> int:
    out: Path = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="evergrove-case-") as folder:
        case = Case(arguments, Path(folder)).run()
    (out / "case.json").write_text(json.dumps(case, indent=1) + "\n")
    from examples.case import report

    (out / "report.html").write_text(report.render(case))
    say(
        f"wrote {out / 'report.html'} and case.json beside it, {case['seconds_total']:.0f} s in all"
    )
    same = len({digest for digest in case["digests"].values() if digest}) == 1
    say("one digest: " + next(iter(case["digests"].values())) if same else "THE DIGESTS DIFFER")
    return 0 if same else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="case", description="See script/case --help.")
    parser.add_argument("--small", action="store_true", help="few rows and trees, in a minute")
    parser.add_argument("--trace", type=Path, default=TRACE if TRACE.exists() else None)
    parser.add_argument("--workers", type=int, default=4, help="at most")
    parser.add_argument("--copies", type=int, help="of all training rows")
    parser.add_argument("--trees", type=int)
    parser.add_argument("--leaves", type=int, default=63)
    parser.add_argument("--step-seconds", type=float, help="of a step of the trace")
    parser.add_argument("--limit", type=float, help="seconds after which a peer is given up")
    parser.add_argument("--no-peers", action="store_true", help="only Evergrove")
    parser.add_argument("--out", type=Path, default=ROOT / "case", help="folder to write to")
    return parser.parse_args()


class Case:
    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        small = arguments.small
        self.arguments = arguments
        self.folder = folder
        self.begin = time.time()
        self.trees: int = arguments.trees or (300 if small else 700)
        self.copies: int = arguments.copies or (1 if small else 2)
        self.limit: float = arguments.limit or (40 if small else 200)
        self.trace = read_trace(
            arguments.trace, arguments.workers, arguments.step_seconds or (1.5 if small else 2.0)
        )
        self.settings = {
            "n_estimators": self.trees,
            "learning_rate": 0.05,
            "max_leaves": arguments.leaves,
            "max_bins": 255,
            "min_rows": 20,
            "lambda_l2": 1.0,
        }
        self.prices = prices.read_prices()
        self.server: Server
        self.rows: Rows
        self.test_files: list[str] = []

    def run(self) -> dict[str, Any]:
        with s3_server(self.folder / "s3") as self.server:
            os.environ.update(self.server.environment)
            store.file_system().create_dir(BUCKET)
            say("transactions, features, and their copies to the object store")
            self.rows = make_rows(BUCKET, self.copies, 32 if self.copies > 1 else 8,
                                  self.arguments.small)  # fmt: skip
            self.test_files = self.write_test()
            say(f"{self.rows.row_count:,} rows; {self.rows.test.num_rows:,} to test on")
            alone = self.train_alone()
            contenders = [
                self.evergrove("evergrove_trace", "Evergrove on the trace", "trace"),
                self.evergrove("evergrove_static", "Evergrove, nobody lost", "static"),
            ]
            if not self.arguments.no_peers:
                titles = (
                    ("xgboost_static", "xgboost.dask, nobody lost", "static", 0),
                    ("xgboost_trace", "xgboost.dask on the trace, begun again", "trace", 0),
                    ("xgboost_trace_checkpoints", "xgboost.dask on the trace, with checkpoints",
                     "trace", max(10, self.trees // 20)),
                )  # fmt: skip
                contenders += [self.xgboost(*each) for each in titles]
        return self.told(alone, contenders)

    def write_test(self) -> list[str]:
        columns = self.rows.test.select(features.FEATURES)
        size = -(-columns.num_rows // TEST_FILES)
        return [
            store.write_table(columns.slice(i * size, size), f"{BUCKET}/test/part-{i:02d}.parquet")
            for i in range(TEST_FILES)
        ]

    def train_alone(self) -> str:
        began = time.time()
        model = evergrove.train(
            self.settings,
            [f"s3://{path}" for path in self.rows.train_files],
            features.LABEL,
            objective="binary",
            progress=False,
        )
        say(f"one machine: {time.time() - began:.1f} s")
        return model.digest

    def start(self, machines: Machines, cluster: str) -> None:
        if cluster == "trace":
            machines.follow(self.trace)
        else:
            machines.keep(self.arguments.workers)

    def evergrove(self, name: str, title: str, cluster: str) -> Contender:
        with Machines(self.folder / name, self.server.environment) as machines:
            self.start(machines, cluster)
            told = ours.train(
                machines, self.rows.train_files, self.settings, f"s3://{BUCKET}/log/{name}"
            )
            assert told.model is not None
            used = machines.machine_seconds()
            scores = ours.score(machines, told.model, self.test_files, f"{BUCKET}/scores/{name}")
            machines.stop()
            answer = self.contender(name, title, "Evergrove", cluster, machines, told.seconds, used)
        lost = told.work_lost_share
        answer |= {
            "finished": True,
            "trees": told.model.tree_count,
            "rounds_trained": told.model.tree_count,
            "work_lost_share": lost,
            "digest": told.model.digest,
            "quality": quality(scores, self.rows.test),
            "curve": thinned(told.curve),
        }
        split_lost(answer, lost)
        digest = told.model.digest[:12]
        say(f"{title}: {told.seconds:.1f} s, {answer['losses']} lost, digest {digest}")
        return answer

    def xgboost(self, name: str, title: str, cluster: str, slice_trees: int) -> Contender:
        rounds = self.folder / f"{name}-rounds"
        rounds.mkdir()
        environment = self.server.environment | {FOLDER_VARIABLE: str(rounds)}
        job = {
            "files": self.rows.train_files,
            "trees": self.trees,
            "slice": slice_trees,
            "pause": PAUSE_SECONDS,
            "kept": f"{BUCKET}/kept/{name}.ubj",
            "model": str(self.folder / f"{name}.ubj"),
            "params": {
                "objective": "binary:logistic",
                "tree_method": "hist",
                "grow_policy": "lossguide",
                "max_depth": 0,
                "max_leaves": self.arguments.leaves,
                "max_bin": 255,
                "eta": self.settings["learning_rate"],
                "lambda": 1.0,
                "min_child_weight": 1e-3,
                "nthread": 1,
            },
        }
        with Machines(self.folder / name, environment) as machines:
            attempts, given_up = self.run_peer(machines, job, name, cluster)
            seconds = machines.seconds
            used = machines.machine_seconds()
            machines.stop()
            answer = self.contender(name, title, "XGBoost", cluster, machines, seconds, used)
            curve = [
                (when - machines.begin, trees) for when, trees in first_of(read_rounds(rounds))
            ]
        finished = not given_up and bool(attempts) and not attempts[-1]["error"]
        trained = rounds_of(curve)
        kept = self.trees if finished else kept_trees(job)
        lost = (trained - kept) / trained if trained else None
        failed = [attempt for attempt in attempts if attempt["error"]]
        answer |= {
            "finished": finished,
            "gave_up_after": self.limit if given_up else None,
            "error": failed[-1]["error"] if failed else "",
            "trees": kept,
            "attempts": len(attempts) + int(given_up),
            "rounds_trained": trained,
            "rounds_lost": trained - kept,
            "work_lost_share": lost,
            "quality": self.peer_quality(self.folder / f"{name}.ubj") if finished else None,
            "curve": thinned(curve),
        }
        split_lost(answer, lost)
        say(
            f"{title}: {'finished' if finished else 'not finished'} in {seconds:.1f} s, "
            f"{answer['attempts']} attempts, {answer['losses']} lost"
        )
        return answer

    def run_peer(
        self, machines: Machines, job: dict[str, Any], name: str, cluster: str
    ) -> tuple[list[dict[str, Any]], bool]:
        place = self.folder / f"{name}.json"
        place.write_text(json.dumps(job | {"address": machines.address}))
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "examples.case.peer", str(place)],
                cwd=ROOT,
                env=machines.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert process.stdout is not None
        process.stdout.readline()  # that it is ready
        self.start(machines, cluster)
        given_up = False
        try:
            said, _ = process.communicate(b"go\n", timeout=self.limit)
        except subprocess.TimeoutExpired:
            given_up = True
            process.kill()
            said, _ = process.communicate()
        if not given_up and process.returncode != 0:
            raise RuntimeError((self.folder / f"{name}.log").read_text()[-3000:])
        return [json.loads(line) for line in said.decode().splitlines()], given_up

    def peer_quality(self, path: Path) -> dict[str, Any]:
        import xgboost

        model = xgboost.Booster(model_file=path)
        rows = self.rows.test.select(features.FEATURES).to_pandas()
        return quality(np.asarray(model.predict(xgboost.DMatrix(rows)), float), self.rows.test)

    def contender(
        self,
        name: str,
        title: str,
        library: str,
        cluster: str,
        machines: Machines,
        seconds: float,
        used: dict[str, float],
    ) -> Contender:
        """What is asked of the machines; all of it until the training ended."""
        lives = [life for life in machines.lives if life.start <= seconds]
        workers = [
            {
                "name": life.name,
                "start": life.start,
                "ready": life.ready,
                "end": min(seconds, life.end if life.end is not None else seconds),
                "how": "killed" if life.how == "killed" and (life.end or 0) <= seconds else "ended",
            }
            for life in lives
        ]
        return {
            "name": name,
            "title": title,
            "library": library,
            "cluster": cluster,
            "finished": False,
            "gave_up_after": None,
            "error": "",
            "seconds": seconds,
            "trees": 0,
            "attempts": 1,
            "rounds_trained": 0,
            "rounds_lost": 0,
            "work_lost_share": None,
            "joins": len(workers),
            "losses": sum(worker["how"] == "killed" for worker in workers),
            "machine_seconds": used,
            "cost": self.prices.of(used["total"]),
            "digest": "",
            "quality": None,
            "workers": workers,
            "curve": [],
        }

    def told(self, alone: str, contenders: list[Contender]) -> dict[str, Any]:
        by_name = {each["name"]: each for each in contenders}
        described = machine.describe()
        return {
            "version": 1,
            "made": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "machine": machine.place(described),
            "commit": commit(),
            "seconds_total": time.time() - self.begin,
            "command": " ".join(["script/case", *sys.argv[1:]]),
            "data": {
                "source": self.rows.source,
                "rows": self.rows.row_count,
                "features": len(features.FEATURES),
                "copies": self.copies,
                "train": "days {} to {}".format(*self.rows.train_days),
                "test": "days {} to {}, known cards left out".format(*self.rows.test_days),
                "test_rows": self.rows.test.num_rows,
                "files": len(self.rows.train_files),
                "bytes": self.rows.file_bytes,
                "store": self.server.name,
            },
            "settings": self.settings | {"workers": self.arguments.workers, "threads_a_worker": 1},
            "versions": versions(),
            "trace": trace_of(self.trace),
            "digests": {
                "one_machine": alone,
                "static": by_name["evergrove_static"]["digest"],
                "trace": by_name["evergrove_trace"]["digest"],
            },
            "contenders": contenders,
            "prices": asdict(self.prices),
            "commands": [" ".join(["script/case", *sys.argv[1:]])],
        }


def kept_trees(job: dict[str, Any]) -> int:
    """What a next attempt would go on from: nothing, or the last checkpoint in the store, also
    where a peer was given up in the middle of an attempt."""
    if not job["slice"]:
        return 0
    from examples.case.peer import read_kept

    model = read_kept(job["kept"])
    return model.num_boosted_rounds() if model else 0


def versions() -> dict[str, str]:
    found = {"evergrove": evergrove.__version__, "python": sys.version.split()[0]}
    for name in ("xgboost", "dask", "distributed", "pyarrow", "numpy", "pandas"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def trace_of(trace: Trace) -> dict[str, Any]:
    speed_up = trace.real_step_seconds / trace.step_seconds
    return asdict(trace) | {"seconds": trace.seconds, "speed_up": speed_up}


def split_lost(answer: Contender, share: float | None) -> None:
    """Of the time that workers were there, what was done in vain or twice is told apart."""
    seconds = answer["machine_seconds"]
    lost = seconds["working"] * (share or 0)
    answer["machine_seconds"] = seconds | {"working": seconds["working"] - lost, "lost": lost}


def first_of(rounds: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """All workers tell of each round; the first to do so counts."""
    found: list[tuple[float, int]] = []
    for when, trees in rounds:
        if found and found[-1][1] == trees:
            continue
        # A worker that is behind the others tells of rounds that were told.
        if found and trees == found[-1][1] - 1:
            continue
        found.append((when, trees))
    return found


def rounds_of(curve: list[tuple[float, int]]) -> int:
    """How many trees were made, those that were thrown away among them."""
    return sum(1 for _ in curve)


def thinned(curve: list[tuple[float, int]], most: int = 400) -> list[tuple[float, int]]:
    """No more points than a picture shows; what falls or ends is kept."""
    step = max(1, len(curve) // most)
    kept = []
    for i, point in enumerate(curve):
        falls = i + 1 < len(curve) and curve[i + 1][1] < point[1]
        has_fallen = i > 0 and point[1] < curve[i - 1][1]
        if i % step == 0 or falls or has_fallen or i + 1 == len(curve):
            kept.append((round(point[0], 3), point[1]))
    return kept


def say(text: str) -> None:
    print(f"case: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
