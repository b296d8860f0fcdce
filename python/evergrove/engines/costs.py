# SPDX-License-Identifier: Apache-2.0
"""Costs: a run's work, what of it was done twice, and rows that moved, over all its coordinators.

Each coordinator counts from its own beginning, and what one did last is lost with it: from the last
iteration that the next one finds in the log, to its end. Pure, as the steward is.

    costs.progressed(progress, workers=4, now=12.5)
    costs.coordinator_lost(now=13.0)
    costs.view()   # {"work_seconds": 47.1, "work_lost_seconds": 0.4, "rows_moved": 250000}
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NAMES = ("work_seconds", "work_lost_seconds", "rows_moved")


@dataclass
class Costs:
    _earlier: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NAMES, 0.0))
    _current: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NAMES, 0.0))
    # When which iteration was heard of, the last ones.
    _reached: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=1000))
    _heard_at: float = 0.0
    _workers: int = 0
    _lost_at: float | None = None  # of the last coordinator, until the next is at work
    _lost_workers: int = 0  # that worked for it

    def progressed(self, progress: Mapping[str, Any], workers: int, now: float) -> None:
        for name in NAMES:
            self._current[name] = float(progress.get(name, self._current[name]))
        iteration = int(progress.get("iteration", 0))
        if self._lost_at is not None and progress.get("phase") == "training":
            self._goes_on(iteration)
        if not self._reached or iteration > self._reached[-1][0]:
            self._reached.append((iteration, now))
        self._heard_at, self._workers = now, workers

    def coordinator_lost(self, now: float) -> None:
        for name in NAMES:
            self._earlier[name] += self._current[name]
            self._current[name] = 0.0
        if self._reached and self._lost_at is None:
            self._earlier["work_seconds"] += (now - self._heard_at) * self._workers
            self._lost_at, self._lost_workers = now, self._workers

    def view(self) -> dict[str, float]:
        return {name: self._earlier[name] + self._current[name] for name in NAMES}

    def _goes_on(self, iteration: int) -> None:
        """From an iteration that the log has: what came after it is done once more."""
        assert self._lost_at is not None
        since = when_reached(iteration, self._reached)
        self._earlier["work_lost_seconds"] += (self._lost_at - since) * self._lost_workers
        self._reached = deque(
            (each for each in self._reached if each[0] <= iteration), maxlen=self._reached.maxlen
        )
        self._lost_at = None


def when_reached(iteration: int, reached: Sequence[tuple[int, float]]) -> float:
    """The time of an iteration among those of some others, evenly between two; of one before all,
    of which nothing is known any more, that of the first, and of one after all that of the last.

    reached: ascending; at least one.
    """
    earlier = [(known, at) for known, at in reached if known <= iteration]
    later = [(known, at) for known, at in reached if known > iteration]
    if not earlier or not later:
        return earlier[-1][1] if earlier else later[0][1]
    (first, begin), (last, end) = earlier[-1], later[0]
    return begin + (end - begin) * (iteration - first) / (last - first)
