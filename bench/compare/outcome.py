# SPDX-License-Identifier: Apache-2.0
"""One library trained on one job in a fresh process, and what came of it: ours by the command,
the peers by worker.py.

    outcome = run_peer("lightgbm", job, folder)
    if outcome.error: print(f"{outcome.title}: {outcome.error}")
"""

import importlib.util
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from bench.compare import settings
from bench.compare.job import Job
from bench.compare.process import Measured, run_measured

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_EVERGROVE = ROOT / ".venv/bin/evergrove"


@dataclass
class Outcome:
    """`seconds` has read, construct (bins), fit, and whole: these three together, from Parquet to
    a trained model; `process` is the process from its start to the trained model (in its file, if
    the job names one), and `import` a part of it that only Python has. `cpu_seconds` of the peers
    are of the same parts; ours has `process` alone. `stamps` are seconds of fit after each tree, of
    those that tell; `stages` the quality after the trees of the job's stages."""

    title: str
    version: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    peak_rss_bytes: int = 0
    curve: list[float] = field(default_factory=list)
    stamps: list[float] = field(default_factory=list)
    stages: list[float] = field(default_factory=list)
    scores: npt.NDArray[np.float64] | None = None
    answer: dict[str, Any] = field(default_factory=dict)
    error: str = ""


def run_peer(
    name: str,
    job: Job,
    folder: Path,
    *,
    show_progress: bool = False,
    pin: bool = False,
    timeout: float = 3_600,
) -> Outcome:
    module, _, title = settings.PEERS.get(name, (name, None, name))
    if importlib.util.find_spec(module) is None:
        return Outcome(title, error="not installed (pip install -r requirements/bench.txt)")
    path = folder / "job.json"
    job.write(path)
    measured = run_measured(
        [sys.executable, "-m", "bench.compare.worker", name, str(path)],
        show_errors=show_progress,
        timeout_seconds=timeout,
        threads=job.threads,
        pin=pin,
        folder=ROOT,
    )
    if measured.returncode != 0:
        return Outcome(title, error=f"failed: {measured.explain()}")
    answer = json.loads(measured.output.splitlines()[-1])
    seconds = answer["seconds"]
    outcome = Outcome(
        title,
        version=answer["version"],
        seconds=seconds | {"process": measured.seconds - seconds["after"]},
        cpu_seconds=answer["cpu_seconds"],
        peak_rss_bytes=answer["peak_rss_bytes"],
        curve=answer["curve"],
        stamps=answer["stamps"],
        stages=answer["stages"],
        scores=np.load(job.scores),
        answer=answer,
    )
    add_whole(outcome)
    return outcome


def run_ours(
    evergrove: Path,
    job: Job,
    folder: Path,
    *,
    show_progress: bool = False,
    pin: bool = False,
    timeout: float = 3_600,
) -> Outcome:
    """Trains and scores with the command."""
    model = folder / "model.evergrove"
    if not evergrove.exists():
        return Outcome("Evergrove", error=f"no command at {evergrove}; script/demo builds it")
    measured = run_measured(
        train_command(evergrove, job, model, quiet=not show_progress),
        show_errors=show_progress,
        timeout_seconds=timeout,
        threads=job.threads,
        pin=pin,
    )
    outcome = read_answer(measured)
    if outcome.error:
        return outcome
    outcome.version = version(evergrove)
    scored = predict(evergrove, model, job)
    if scored.returncode != 0:
        return Outcome("Evergrove", error=f"failed to score: {scored.explain()}")
    outcome.seconds["predict"] = scored.seconds
    outcome.scores = read_scores(Path(job.scores).with_suffix(".parquet"))
    if job.watch_metric or job.measure:
        outcome.curve = read_curve(evergrove, model)
        # It may have found nothing more to split and ended before its last tree.
        last = len(outcome.curve)
        outcome.stages = [outcome.curve[min(stage, last) - 1] for stage in job.stages]
    return outcome


def train_command(
    evergrove: Path,
    job: Job,
    model: Path,
    *,
    log: Path | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> list[str]:
    parameters = dict(job.parameters or settings.evergrove(job.settings, job.task))
    watched = "auc" if job.watch_metric else job.measure
    if watched:
        parameters["metrics"] = watched
    command = [str(evergrove), "train", "--data", job.train, "--label", job.label]
    command += ["--objective", job.task]
    command += ["--valid", job.test] if watched else []
    command += ["--exclude", ",".join(job.exclude)] if job.exclude else []
    for name, value in parameters.items():
        command += ["--set", f"{name}={value}"]
    command += ["--seed", str(job.seed), "--threads", str(job.threads)]
    command += ["--log", str(log)] if log else []
    command += ["--resume"] if resume else []
    command += ["--quiet"] if quiet else []
    return [*command, "--model", str(model), "--json"]


def predict(evergrove: Path, model: Path, job: Job) -> Measured:
    scores = Path(job.scores).with_suffix(".parquet")
    command = [str(evergrove), "predict", "--model", str(model), "--data", job.test]
    return run_measured([*command, "--out", str(scores)])


def read_answer(measured: Measured) -> Outcome:
    """Returns what `train --json` said, with the times under the names of Outcome."""
    if measured.returncode != 0:
        return Outcome("Evergrove", error=f"failed: {measured.explain()}")
    answer = json.loads(measured.output)
    seconds = {
        "import": 0.0,
        "read": answer["seconds"]["read"],
        "construct": answer["seconds"]["bins"],
        "fit": answer["seconds"]["train"],
        "process": measured.seconds,
    }
    # Each sees milliseconds that the other does not.
    peak = max(measured.peak_rss_bytes, answer["peak_rss_bytes"])
    outcome = Outcome(
        "Evergrove",
        seconds=seconds,
        cpu_seconds={"process": measured.cpu_seconds},
        peak_rss_bytes=peak,
        answer=answer,
    )
    add_whole(outcome)
    return outcome


def add_whole(outcome: Outcome) -> None:
    parts = ("read", "construct", "fit")
    outcome.seconds["whole"] = sum(outcome.seconds.get(part, 0) for part in parts)


def read_scores(path: Path) -> npt.NDArray[np.float64]:
    table = pq.read_table(path)
    columns = [table[name].to_numpy().astype(np.float64) for name in table.column_names]
    return columns[0] if len(columns) == 1 else np.column_stack(columns)


def read_curve(evergrove: Path, file: Path) -> list[float]:
    """Returns the first metric of the first evaluation set by iteration, from a model or a log."""
    curve = []
    for by_set in inspect(evergrove, file)["metrics"]:
        by_name: dict[str, float] = next(iter(by_set.values()), {})
        curve += list(by_name.values())[:1]
    return curve


def inspect(evergrove: Path, file: Path) -> dict[str, Any]:
    measured = run_measured([str(evergrove), "inspect", str(file), "--json"])
    if measured.returncode != 0:
        raise RuntimeError(f"evergrove inspect {file}: {measured.explain()}")
    answer: dict[str, Any] = json.loads(measured.output)
    return answer


def version(evergrove: Path) -> str:
    words = run_measured([str(evergrove), "--version"]).output.split()
    return words[-1] if words else ""
