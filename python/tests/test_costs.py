# SPDX-License-Identifier: Apache-2.0
"""What a run cost over all its coordinators, and what a status says in a few numbers."""

import json
from typing import Any

import pytest

from evergrove.engines.costs import Costs
from evergrove.engines.run_figures import RunFigures


def progress(
    iteration: int, work: float = 0.0, lost: float = 0.0, moved: int = 0
) -> dict[str, Any]:
    return {
        "phase": "training",
        "iteration": iteration,
        "work_seconds": work,
        "work_lost_seconds": lost,
        "rows_moved": moved,
    }


def test_one_coordinator_says_it_all() -> None:
    costs = Costs()
    costs.progressed({"phase": "reading"}, workers=2, now=0.0)
    costs.progressed(progress(1, work=2.0), workers=2, now=1.0)
    costs.progressed({"phase": "training", "iteration": 2}, workers=2, now=1.5)
    costs.progressed(progress(3, work=6.0, lost=0.5, moved=100), workers=2, now=3.0)
    assert costs.view() == {"work_seconds": 6.0, "work_lost_seconds": 0.5, "rows_moved": 100}


def test_of_a_lost_coordinator_what_the_log_lacks_is_done_twice() -> None:
    costs = Costs()
    for second in range(1, 11):
        costs.progressed(progress(second, work=3.0 * second, moved=7), workers=3, now=float(second))
    costs.coordinator_lost(now=10.5)
    costs.coordinator_lost(now=11.0)  # another one that never came to work
    costs.progressed({"phase": "reading", "iteration": 0}, workers=2, now=12.0)
    assert costs.view()["work_lost_seconds"] == 0.0
    # The log has 8 iterations, which was heard of at 8.0.
    costs.progressed(progress(8, work=1.0), workers=2, now=13.0)
    assert costs.view() == {
        "work_seconds": pytest.approx(30.0 + 0.5 * 3 + 1.0),
        "work_lost_seconds": pytest.approx(2.5 * 3),
        "rows_moved": 7,
    }
    # And the same again from there.
    costs.progressed(progress(9, work=3.0), workers=2, now=14.0)
    costs.coordinator_lost(now=14.5)
    costs.progressed(progress(9), workers=1, now=20.0)
    assert costs.view()["work_lost_seconds"] == pytest.approx(2.5 * 3 + 0.5 * 2)


def test_a_coordinator_lost_before_it_works_costs_nothing() -> None:
    costs = Costs()
    costs.coordinator_lost(now=5.0)
    costs.progressed(progress(1, work=1.0), workers=1, now=6.0)
    assert costs.view() == {"work_seconds": 1.0, "work_lost_seconds": 0.0, "rows_moved": 0}


def status(*shards: tuple[int, str, str | None]) -> str:
    return json.dumps(
        {
            **{"rows": 30, "trees": 5, "trees_max": 9, "trees_per_minute": 60.0},
            **{"work_seconds": 4.0, "work_lost_seconds": 1.0},
            "shards": [
                {"id": number, "rows": 10, "state": state, "worker": worker}
                for number, state, worker in shards
            ],
            "workers": [{"name": "a", "rows_active": 20}, {"name": "b", "rows_active": 0}],
        }
    )


def test_rows_have_moved_when_another_worker_counts_them() -> None:
    figures = RunFigures()
    assert figures.take("") == {}
    first = figures.take(status((0, "counted", "a"), (1, "counted", "b"), (2, "reading", "b")))
    assert (first["rows_moved"], first["holders"]) == (0, [["a", 20]])
    # One is lost and read again by the same, one by another; the third is counted at last.
    figures.take(status((0, "missing", None), (1, "missing", None), (2, "held", "b")))
    last = figures.take(status((0, "counted", "a"), (1, "counted", "a"), (2, "counted", "b")))
    assert last["rows_moved"] == 10
    assert (last["trees"], last["trees_per_minute"]) == (5, 60.0)
