# SPDX-License-Identifier: Apache-2.0
"""What the figures say about the goals: twice as fast, in half the memory. One sentence a goal.

for verdict in verdicts(figures):
    print(verdict.met, verdict.words)
"""

from dataclasses import dataclass
from typing import Any

from bench.compare import speed_views as views
from bench.compare.speed_scaling import busy_factor, speed_up
from bench.compare.trial import OURS

TRAINING_GOAL, TRAINING_LEAST = 2.0, 1.5
PROCESS_GOAL, MEMORY_GOAL = 2.5, 0.5
SPEED_UP_GOAL, BUSY_GOAL = 1.85, 2.3
COUNTED_CASES = 6
Figures = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    met: bool
    words: str


def verdicts(figures: Figures) -> list[Verdict]:
    found = []
    for threads in views.thread_counts(figures):
        found += of_threads(figures, threads)
    for name, part in figures.items():
        if name.endswith("/scaling"):
            found += of_scaling(name.partition("/")[0], part)
    return found + of_long(figures.get("long"))


def of_threads(figures: Figures, threads: int) -> list[Verdict]:
    at = "1 thread" if threads == 1 else f"{threads} threads"
    parts = views.counted(figures, threads)
    found = []
    for view, what, goal, least_goal in (
        ("fit", "Training", TRAINING_GOAL, TRAINING_LEAST),
        ("reach", "Training to equal quality", TRAINING_GOAL, 0.0),
        ("process", "From Parquet to the model file", PROCESS_GOAL, 0.0),
    ):
        ratios = {name: views.ratio(part, view) for name, part in parts.items()}
        known = {name: ratio.median for name, ratio in ratios.items() if ratio}
        if not known:
            continue
        mean, least = views.geometric_mean(known.values()), min(known, key=lambda n: known[n])
        words = (
            f"{what}, {at}: {mean:.2f} times as fast as the fastest other as geometric mean over "
            f"{cases(known)}, least {known[least]:.2f} ({least}); the goal is {goal}"
        )
        words += f", none below {least_goal}" if least_goal else ""
        found.append(Verdict(mean >= goal and known[least] >= least_goal, words))
    found += of_memory(parts, at) + of_quality(figures, threads, at)
    small = views.training_parts(figures, threads).get("small")
    if small and (ratio := views.ratio(small, "fit")):
        words = f"The small case, {at}: {ratio.median:.2f} times as fast in training; the goal is 1"
        found.append(Verdict(ratio.median >= 1, words))
    return found


def of_memory(parts: Figures, at: str) -> list[Verdict]:
    shares = {name: views.memory_share(part) for name, part in parts.items()}
    known = {name: share.median for name, share in shares.items() if share}
    if not known:
        return []
    mean, most = views.geometric_mean(known.values()), max(known, key=lambda name: known[name])
    words = (
        f"Peak memory, {at}: {mean:.2f} of the leanest other's as geometric mean over "
        f"{cases(known)}, most {known[most]:.2f} ({most}); the goal is {MEMORY_GOAL}"
    )
    return [Verdict(mean <= MEMORY_GOAL, words)]


def of_quality(figures: Figures, threads: int, at: str) -> list[Verdict]:
    parts = views.training_parts(figures, threads)
    # With one seed there is no spread to judge by.
    several = {n: p for n, p in parts.items() if len(p["runs"].get(OURS, ())) > 1}
    known = {name: views.quality(part) for name, part in several.items()}
    worse = [name for name, quality in known.items() if quality and not quality.is_equal]
    if not any(known.values()):
        return []
    where = f"worse in {', '.join(worse)}" if worse else "in no case worse"
    words = f"Quality, {at}: {where} than the best other's by more than the spread over seeds"
    return [Verdict(not worse, words)]


def of_scaling(name: str, part: Any) -> list[Verdict]:
    faster, slower = speed_up(part), busy_factor(part)
    return [
        Verdict(
            faster >= SPEED_UP_GOAL,
            f"From 1 thread to 2, {name}: {faster:.2f} times as fast; the goal is {SPEED_UP_GOAL}",
        ),
        Verdict(
            slower <= BUSY_GOAL,
            f"Beside a busy process on each core, {name}: {slower:.2f} times the quiet time; the "
            f"goal is {BUSY_GOAL} at most",
        ),
    ]


def of_long(part: Any) -> list[Verdict]:
    if not part:
        return []
    free = part["runs"]["unlimited"]
    found = []
    for name, run in part["runs"].items():
        if name == "unlimited":
            continue
        if run["error"] or free["error"]:
            words = run["error"] or "the run without a limit failed"
            found.append(Verdict(False, f"The long case under {name}: {words}"))
            continue
        same = run["digest"] == free["digest"]
        times = run["seconds"] / free["seconds"]
        words = (
            f"The long case under {name}: {'the same' if same else 'ANOTHER'} digest, {times:.2f} "
            "times as long as without a limit; the goal is 2 at most"
        )
        found.append(Verdict(same and times <= 2, words))
    return found


def cases(known: dict[str, float]) -> str:
    if len(known) == COUNTED_CASES:
        return f"{COUNTED_CASES} cases"
    return f"{len(known)} of {COUNTED_CASES} cases ({', '.join(known)})"
