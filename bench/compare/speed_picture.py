# SPDX-License-Identifier: Apache-2.0
"""docs/images/benchmarks.svg: by case, how many times as long the fastest other library takes.

path.write_text(draw(figures))
"""

import math
from typing import Any

from bench.compare import speed_views as views
from bench.compare.cluster_scale_picture import STYLE, text

WIDTH, ROW, TOP = 760, 26, 84
PANEL = 270  # wide
LEAST, MOST = 1 / 32, 16.0  # of the axis, which is logarithmic
MARKS = {  # by view: its words and its shape
    "fit": ("training", '<circle class="p" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'),
    "reach": (
        "to equal quality",
        '<path class="c" style="stroke-dasharray:none" '
        'd="M{x:.1f} {y:.1f} m-5 -5 l10 10 m0 -10 l-10 10"/>',
    ),
    "process": (
        "Parquet to file",
        '<path class="a" d="M{x:.1f} {y:.1f} m-5 5 h10 l-5 -10 z"/>',
    ),
}
LEGEND_X = {"fit": 110, "reach": 230, "process": 390}


def draw(figures: dict[str, Any]) -> str:
    threads = views.thread_counts(figures)[:2]
    by_threads = [views.training_parts(figures, count) for count in threads]
    cases = list(dict.fromkeys(name for parts in by_threads for name in parts))
    height = TOP + ROW * len(cases) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        STYLE,
        text(16, 24, "How many times as long the fastest other library takes", kind="t"),
    ]
    for view, (words, shape) in MARKS.items():
        x = LEGEND_X[view]
        parts += [shape.format(x=x, y=44), text(x + 12, 48, words)]
    for place, name in enumerate(cases):
        parts.append(text(16, row_y(place) + 4, name, kind="t"))
    for index, (count, of_case) in enumerate(zip(threads, by_threads, strict=True)):
        left = 110 + index * (PANEL + 60)
        parts.append(panel(left, f"{count} thread{'' if count == 1 else 's'}", len(cases)))
        for place, name in enumerate(cases):
            parts += marks(left, row_y(place), of_case.get(name))
    return "\n".join([*parts, "</svg>"]) + "\n"


def panel(left: float, title: str, rows: int) -> str:
    bottom = TOP + ROW * rows
    parts = [text(left + PANEL / 2, 70, title, "middle", "t")]
    for power in range(round(math.log2(LEAST)), round(math.log2(MOST)) + 1):
        x = axis_x(left, 2.0**power)
        kind = "m" if power in (0, 1) else "g"  # as long, twice as long
        parts.append(f'<path class="{kind}" d="M{x:.1f} {TOP - 6} V{bottom}"/>')
        words = f"{2**power}" if power >= 0 else f"1/{2**-power}"
        parts.append(text(x, bottom + 18, words, "middle"))
    return "\n".join(parts)


def marks(left: float, y: float, part: Any) -> list[str]:
    if part is None:
        return []
    ratios = {view: views.ratio(part, view) for view in MARKS}
    return [
        MARKS[view][1].format(x=axis_x(left, ratio.median), y=y)
        for view, ratio in ratios.items()
        if ratio
    ]


def axis_x(left: float, value: float) -> float:
    share = math.log(value / LEAST) / math.log(MOST / LEAST)
    return left + PANEL * min(max(share, 0), 1)


def row_y(place: int) -> float:
    return TOP + ROW * place + ROW / 2
