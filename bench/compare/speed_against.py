# SPDX-License-Identifier: Apache-2.0
"""A speed result beside an earlier one: how much faster or slower each library has become.

print("\\n".join(lines(now, before)))

The machine may have become another meanwhile: what it made of the peers, whose versions are the
same, is said beside ours.
"""

import math
import statistics
from typing import Any

from bench.compare import speed_views as views
from bench.compare.trial import OURS

Figures = dict[str, Any]
COLUMNS = {"fit": "training", "process": "Parquet to file", "peak_rss_bytes": "peak memory"}


def lines(now: Figures, before: Figures) -> list[str]:
    found = ["Before / now: above 1 is faster or leaner than before."]
    for name, part in now.items():
        old = before.get(name)
        if old is None or "case" not in part or "case" not in old:
            found.append(f"{name}: not in the earlier result")
            continue
        if changed := differences(part, old):
            found.append(f"{name}: another task than before ({changed}), so not compared")
            continue
        ours = ", ".join(f"{title} {times(old, part, view)}" for view, title in COLUMNS.items())
        found.append(f"{name}: {ours}; the others meanwhile {others(old, part)}")
    return found


def differences(part: Any, old: Any) -> str:
    changed = [name for name, value in part["case"].items() if old["case"].get(name) != value]
    return ", ".join(changed)


def times(old: Any, part: Any, view: str) -> str:
    before, now = views.values(old, OURS, view), views.values(part, OURS, view)
    if not before or not now:
        return "missing"
    return f"{statistics.median(before) / statistics.median(now):.2f}"


def others(old: Any, part: Any) -> str:
    """Says by how much the peers changed in training, as geometric mean."""
    names = [name for name in part["runs"] if name != OURS and name in old["runs"]]
    if not names:
        return "not measured"
    change = statistics.fmean(
        math.log(views.median(old, name, "fit") / views.median(part, name, "fit")) for name in names
    )
    return f"training {math.exp(change):.2f}"
