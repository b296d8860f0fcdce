# SPDX-License-Identifier: Apache-2.0
"""One training of a case by one library in a fresh process, and its figures.

figures = train_once(case, OURS, threads=2, seed=1, stages=[], evergrove=path)
figures["fit"], figures["process"], figures["peak_rss_bytes"], figures["quality"]

Times are in seconds. `fit`: the trees alone. `process`: from the start of the process to the model
file, and `cpu` the CPU time of that. With stages: `curve`, the held-out quality after so many trees
and the share of `fit` that had passed by then.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.compare.case import Case
from bench.compare.case_data import job_of
from bench.compare.job import Job
from bench.compare.measures import MEASURES
from bench.compare.outcome import Outcome, run_ours, run_peer
from bench.compare.peers import TAKES_SPARSE

OURS = "evergrove"
Figures = dict[str, Any]


class TrialError(Exception):
    """A training did not come to its end; the message is a sentence."""


def train_once(
    case: Case,
    name: str,
    *,
    threads: int,
    seed: int,
    stages: list[int],
    evergrove: Path,
    limit_seconds: float = 3_600,
    pin: bool = True,
) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        job = job_of(case, scores=f"{folder}/scores.npy", seed=seed, threads=threads)
        if name == OURS:
            outcome = train_ours(case, job, stages, evergrove, Path(folder), limit_seconds, pin)
        else:
            outcome = train_peer(case, name, job, stages, Path(folder), limit_seconds, pin)
    if outcome.error:
        raise TrialError(outcome.error)
    assert outcome.scores is not None
    label = pq.read_table(job.test, columns=[case.label])[case.label].to_numpy()
    figures: Figures = {
        part: outcome.seconds.get(part, 0.0) for part in ("read", "construct", "fit")
    }
    figures |= {
        "process": outcome.seconds["process"],
        "cpu": outcome.cpu_seconds["process"],
        "peak_rss_bytes": outcome.peak_rss_bytes,
        "quality": MEASURES[case.measure](outcome.scores, label),
        "version": outcome.version,
    }
    if digest := outcome.answer.get("digest"):
        figures["digest"] = digest
    if stages:
        figures["curve"] = {
            "trees": stages,
            "quality": outcome.stages,
            "share": shares(outcome, stages, case.settings.trees),
        }
    return figures


def train_ours(
    case: Case,
    job: Job,
    stages: list[int],
    evergrove: Path,
    folder: Path,
    limit_seconds: float,
    pin: bool,
) -> Outcome:
    job = replace(job, parameters=case.ours | {"n_estimators": case.settings.trees})
    outcome = run_ours(evergrove, job, folder, pin=pin, timeout=limit_seconds)
    if stages and not outcome.error:
        # The same model once more, this time watched, which would have cost time in the first.
        watched = replace(job, measure=case.measure, stages=stages)
        again = run_ours(evergrove, watched, folder, timeout=3 * limit_seconds)
        if again.error:
            return again
        outcome.stages = again.stages
    return outcome


def train_peer(
    case: Case,
    name: str,
    job: Job,
    stages: list[int],
    folder: Path,
    limit_seconds: float,
    pin: bool,
) -> Outcome:
    entry = case.entries[name]
    parameters = entry.at(trees=case.settings.trees, seed=job.seed, threads=job.threads)
    job = replace(
        job,
        parameters=parameters,
        model=str(folder / "model"),
        stages=stages,
        measure=case.measure,
        form=entry.form or ("sparse" if case.sparse and entry.library in TAKES_SPARSE else ""),
    )
    return run_peer(entry.library, job, folder, pin=pin, timeout=limit_seconds)


def shares(outcome: Outcome, stages: list[int], trees: int) -> list[float]:
    """Of the time of all trees, by each stage: as told after each tree, else in proportion."""
    if len(outcome.stamps) != trees:
        return [stage / trees for stage in stages]
    return [outcome.stamps[stage - 1] / outcome.seconds["fit"] for stage in stages]
