# SPDX-License-Identifier: Apache-2.0
"""What the parts of a speed result say: ratios, the three views, geometric means. Pure arithmetic.

ratio(part, "fit")            # against the peer with the least median
ratio(part, "process")
reach_times(part)["lightgbm"] # seconds until the common quality, one a repetition
"""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bench.compare.measures import LARGER_IS_BETTER
from bench.compare.trial import OURS

Part = dict[str, Any]
VIEWS = ("fit", "reach", "process")


@dataclass(frozen=True)
class Ratio:
    """How many times as much as ours a peer takes, repetition by repetition."""

    peer: str
    median: float
    least: float
    most: float


def training_parts(figures: dict[str, Part], threads: int) -> dict[str, Part]:
    """Returns the parts of trainings with so many threads, by case."""
    found = {}
    for name, part in figures.items():
        case, _, kind = name.partition("/")
        if kind == str(threads):
            found[case] = part
    return found


def thread_counts(figures: dict[str, Part]) -> list[int]:
    return sorted({part["threads"] for part in figures.values() if "threads" in part})


def values(part: Part, name: str, view: str) -> list[float]:
    """Returns one figure of a library, one a repetition; empty where there is none."""
    if view == "reach":
        return reach_times(part).get(name, [])
    return [run[view] for run in part["runs"].get(name, [])]


def median(part: Part, name: str, view: str) -> float:
    return statistics.median(values(part, name, view))


def best_peer(part: Part, view: str) -> str | None:
    """Returns the peer with the least median."""
    peers = [name for name in part["runs"] if name != OURS and values(part, name, view)]
    return min(peers, key=lambda name: median(part, name, view), default=None)


def ratio(part: Part, view: str) -> Ratio | None:
    peer = best_peer(part, view)
    ours = values(part, OURS, view)
    if peer is None or not ours:
        return None
    theirs = values(part, peer, view)
    if len(theirs) != len(ours):  # repetitions that have no neighbour in time
        theirs, ours = [statistics.median(theirs)], [statistics.median(ours)]
    ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
    return Ratio(peer, statistics.median(ratios), min(ratios), max(ratios))


def memory_share(part: Part) -> Ratio | None:
    """Returns our peak memory as a share of that of the leanest peer."""
    found = ratio(part, "peak_rss_bytes")
    return found and Ratio(found.peer, 1 / found.median, 1 / found.most, 1 / found.least)


def target(part: Part) -> float | None:
    """Returns the quality that all libraries reach: the worst of their final ones, where a library
    counts by the best of its entries."""
    best: dict[str, float] = {}
    larger = part["case"]["measure"] in LARGER_IS_BETTER
    better = max if larger else min
    for name, curve in part["curves"].items():
        library = name.split("-")[0]
        final = curve["quality"][-1]
        best[library] = better(best.get(library, final), final)
    if not best:
        return None
    return min(best.values()) if larger else max(best.values())


def reach_times(part: Part) -> dict[str, list[float]]:
    """Returns the seconds of training until the target is first reached, of those that reach it."""
    goal = target(part)
    times = {}
    for name, curve in part["curves"].items():
        assert goal is not None
        share = reach_share(curve, goal, part["case"]["measure"] in LARGER_IS_BETTER)
        if share is not None:
            times[name] = [share * run["fit"] for run in part["runs"].get(name, [])]
    return times


def reach_share(curve: dict[str, list[float]], goal: float, larger: bool) -> float | None:
    """Returns the share of the training after which a curve first is as good as the goal; between
    two points of the curve in proportion."""
    sign = 1 if larger else -1
    before: tuple[float, float] | None = None
    for share, quality in zip(curve["share"], curve["quality"], strict=True):
        lack = sign * (goal - quality)
        if lack <= 0:
            if before is None:
                return share
            last_share, last_lack = before
            return last_share + (share - last_share) * last_lack / (last_lack - lack)
        before = share, lack
    return None


def counted(figures: dict[str, Part], threads: int) -> dict[str, Part]:
    """Returns the parts that go into the means over cases."""
    parts = training_parts(figures, threads)
    return {name: part for name, part in parts.items() if part["case"]["counts"]}


def geometric_mean(numbers: Iterable[float]) -> float:
    return math.exp(statistics.fmean(math.log(number) for number in numbers))


@dataclass(frozen=True)
class Quality:
    """Our held-out quality beside that of the best peer; `spread` is the larger of the two ranges
    over seeds, and `behind` how much ours is worse, in that measure's own units."""

    ours: float
    best: float
    peer: str
    spread: float
    behind: float

    @property
    def is_equal(self) -> bool:
        return self.behind <= self.spread


def quality(part: Part) -> Quality | None:
    larger = part["case"]["measure"] in LARGER_IS_BETTER
    medians = {name: median(part, name, "quality") for name in part["runs"]}
    ours = medians.pop(OURS, None)
    if ours is None or not medians:
        return None
    peer = (max if larger else min)(medians, key=lambda name: medians[name])
    ranges = [values(part, name, "quality") for name in (OURS, peer)]
    spread = max(max(numbers) - min(numbers) for numbers in ranges)
    behind = medians[peer] - ours if larger else ours - medians[peer]
    return Quality(ours, medians[peer], peer, spread, behind)
