# SPDX-License-Identifier: Apache-2.0
"""How many workers there are, and when: a recorded availability of spot machines, its time sped up.

    trace = read_trace(path, workers=4, step_seconds=4.0)
    trace.levels      # [(0.0, 1), (16.0, 2), ...]: from then on so many workers

A trace's largest number of machines stands for `workers`; fewer are rounded up, and none is none.
The part of it is taken that changes most often, among those that begin with a machine.
"""

import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path

STEPS = 48  # of a window; a run that is longer sees it again from its beginning

# Where there is no recorded one: made up, with the ups and downs of a bad day.
OWN = [3, 2, 2, 3, 4, 4, 2, 2, 3, 4, 4, 4, 1, 1, 3, 4, 4, 3, 3, 4, 4, 2, 4, 4]


@dataclass(frozen=True)
class Trace:
    file: str
    kind: str  # "recorded" or "own"
    step_seconds: float
    real_step_seconds: int
    levels: list[tuple[float, int]]

    @property
    def seconds(self) -> float:
        """Of the window."""
        return STEPS * self.step_seconds

    def level(self, seconds: float) -> int:
        """How many workers there are so long after the beginning."""
        at = seconds % self.seconds
        return [level for begin, level in self.levels if begin <= at][-1]


def read_trace(path: Path | None, workers: int, step_seconds: float) -> Trace:
    """Reads a trace of skypilot-org/spot-traces; None: our own."""
    if path is None:
        counts = (OWN * STEPS)[:STEPS]
        return Trace("own", "own", step_seconds, 300, levels_of(counts, workers, step_seconds))
    try:
        recorded = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"A trace is a JSON object, but {path} is none: {error}") from error
    if not isinstance(recorded, dict) or not {"data", "metadata"} <= recorded.keys():
        raise ValueError(
            f"A trace is a JSON object with metadata and data, as skypilot-org/spot-traces has "
            f"them; give such a file (file: {path})"
        )
    counts = [int(value) for value in recorded["data"]]
    window = liveliest(counts)
    return Trace(
        path.name,
        "recorded",
        step_seconds,
        int(recorded["metadata"]["gap_seconds"]),
        levels_of(scaled(window, max(counts), workers), workers, step_seconds),
    )


def scaled(counts: list[int], most: int, workers: int) -> list[int]:
    return [math.ceil(count * workers / most) for count in counts]


def liveliest(counts: list[int]) -> list[int]:
    def changes(begin: int) -> int:
        window = counts[begin : begin + STEPS]
        return sum(a != b for a, b in itertools.pairwise(window))

    begins = [i for i in range(max(1, len(counts) - STEPS)) if counts[i] > 0]
    if not begins:
        raise ValueError("The trace never has a machine; give another one")
    best = max(begins, key=changes)
    return counts[best : best + STEPS]


def levels_of(counts: list[int], workers: int, step_seconds: float) -> list[tuple[float, int]]:
    levels: list[tuple[float, int]] = []
    for step, count in enumerate(counts):
        if not levels or levels[-1][1] != count:
            levels.append((step * step_seconds, min(count, workers)))
    return levels
