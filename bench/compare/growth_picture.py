# SPDX-License-Identifier: Apache-2.0
"""docs/images/benchmarks_growth.svg: nanoseconds per row, column and level, a panel a curve.

path.write_text(draw(figures))
"""

import math
from typing import Any

from bench.compare.cluster_scale_picture import STYLE, text

BOUND_NS = 0.37  # as measured with a prototype
WIDTH, PANEL, GAP, LEFT, TOP, BOTTOM = 860, 136, 24, 52, 60, 230
LEAST, MOST = 0.05, 10.0  # ns; the axis is logarithmic
TICKS = (0.1, 0.3, 1.0, 3.0, 10.0)
Points = list[dict[str, float]]


def draw(figures: dict[str, Any]) -> str:
    curves = {n.partition("/")[2]: p["points"] for n, p in figures.items() if is_growth(n)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 276" '
        'font-family="sans-serif" font-size="12">',
        STYLE,
        text(16, 24, "ns per row, column and level", kind="t"),
        '<path class="m" d="M260 20 h24"/>',
        text(290, 24, f"one read-modify-write, {BOUND_NS} ns"),
    ]
    for value in TICKS:
        parts.append(text(LEFT - 8, axis_y(value) + 4, f"{value:g}", "end"))
    for place, (name, points) in enumerate(curves.items()):
        parts.append(panel(LEFT + place * (PANEL + GAP), name, points))
    return "\n".join([*parts, "</svg>"]) + "\n"


def is_growth(name: str) -> bool:
    return name.startswith("growth/")


def panel(left: float, name: str, points: Points) -> str:
    parts = [text(left + PANEL / 2, TOP - 14, name, "middle", "t")]
    for value in TICKS:
        parts.append(f'<path class="g" d="M{left} {axis_y(value):.1f} h{PANEL}"/>')
    parts.append(f'<path class="m" d="M{left} {axis_y(BOUND_NS):.1f} h{PANEL}"/>')
    least, most = points[0][name], points[-1][name]
    places = []
    for point in points:
        share = math.log(point[name] / least) / math.log(most / least)
        places.append((left + 6 + (PANEL - 12) * share, axis_y(point["ns"])))
    line = " L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    parts.append(f'<path class="a" d="M{line}"/>')
    parts += [f'<circle class="p" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]
    for value, anchor, x in ((least, "start", left), (most, "end", left + PANEL)):
        parts.append(text(x, BOTTOM + 20, f"{value:,.0f}", anchor))
    return "\n".join(parts)


def axis_y(value: float) -> float:
    share = math.log(value / LEAST) / math.log(MOST / LEAST)
    return BOTTOM - (BOTTOM - TOP) * min(max(share, 0), 1)
