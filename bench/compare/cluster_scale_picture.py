# SPDX-License-Identifier: Apache-2.0
"""docs/images/cluster_scale.svg: bytes and seconds a tree against the number of workers.

path.write_text(draw(figures))
"""

import math
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 760, 330
STYLE = """\
<style>.t{fill:#1d2b20}.n{fill:#555}.g{stroke:#d5ded7;fill:none}.a{stroke:#3b7d4f;fill:none;\
stroke-width:2.2}.c{stroke:#b07a1e;fill:none;stroke-width:1.8;stroke-dasharray:5 4}\
.m{stroke:#555;fill:none;stroke-width:1.4;stroke-dasharray:1 4}.p{fill:#1d2b20}
@media (prefers-color-scheme: dark){.t{fill:#e6efe8}.n{fill:#b5b5b5}.g{stroke:#3a463d}\
.a{stroke:#7cc391}.c{stroke:#e0b060}.m{stroke:#b5b5b5}.p{fill:#e6efe8}}</style>"""
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """A plot of two logarithmic axes; `top` and `bottom` are powers of ten."""

    left: float
    title: str
    bottom: int
    top: int
    unit: dict[int, str]
    right_power: int = 3
    width: float = 290

    def x(self, value: float) -> float:
        return self.left + self.width * math.log10(value) / self.right_power

    def y(self, value: float) -> float:
        share = (math.log10(value) - self.bottom) / (self.top - self.bottom)
        return 270 - 215 * min(max(share, 0), 1)

    def axes(self) -> str:
        parts = [f'<text class="t" x="{self.left}" y="24" font-weight="bold">{self.title}</text>']
        for power in range(self.right_power + 1):
            x = self.x(10**power)
            parts.append(f'<path class="g" d="M{x:.0f} 55 V270"/>')
            parts.append(text(x, 288, f"{10**power:,}", "middle"))
        for power in range(self.bottom, self.top + 1):
            y = self.y(10.0**power)
            parts.append(f'<path class="g" d="M{self.left} {y:.0f} H{self.left + self.width}"/>')
            parts.append(text(self.left - 6, y + 4, self.unit[power], "end"))
        parts.append(text(self.left + self.width / 2, 308, "workers", "middle"))
        return "\n".join(parts)

    def line(self, points: Points, kind: str) -> str:
        places = " L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)
        return f'<path class="{kind}" d="M{places}"/>'

    def dots(self, points: Points) -> str:
        return "\n".join(
            f'<circle class="p" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3.4"/>'
            for x, y in points
        )


def text(x: float, y: float, words: str, anchor: str = "start", kind: str = "n") -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{words}</text>'


def legend(x: float, entries: list[tuple[str, str]]) -> str:
    parts = []
    for place, (kind, words) in enumerate(entries):
        y = 66 + 17 * place
        if kind == "p":
            parts.append(f'<circle class="p" cx="{x + 12}" cy="{y - 4}" r="3.4"/>')
        else:
            parts.append(f'<path class="{kind}" d="M{x} {y - 4} h24"/>')
        parts.append(text(x + 30, y, words, kind="t"))
    return "\n".join(parts)


def draw(figures: dict[str, Any]) -> str:
    now, straight = figures["scale"]["now"], figures["scale"]["straight"]
    measured = figures.get("bytes", {}).get("measured", [])
    dots = [("p", "measured, fewer rows")] if measured else []
    several = [f for f in now if f["workers"] > 1]
    bytes_unit = {6: "1 MB", 7: "10 MB", 8: "100 MB", 9: "1 GB"}
    left = Panel(66, "through the busiest machine, a tree", 6, 9, bytes_unit)
    seconds_unit = {-3: "1 ms", -2: "10 ms", -1: "0.1 s", 0: "1 s", 1: "10 s"}
    right = Panel(446, "time, a tree", -3, 1, seconds_unit)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        STYLE,
        left.axes(),
        left.line([(f["workers"], busiest(f)) for f in several], "a"),
        left.line([(f["workers"], busiest(f)) for f in straight], "c") if straight else "",
        left.dots([(f["workers"], busiest(f)) for f in measured]),
        legend(76, [("a", "modelled"), ("c", "if all sent to the owner"), *dots]),
        right.axes(),
        right.line([(f["workers"], f["seconds"]) for f in now], "a"),
        right.line([(f["workers"], f["seconds"]) for f in straight], "c") if straight else "",
        right.line([(f["workers"], now[0]["seconds"] / f["workers"]) for f in now], "m"),
        legend(540, [("a", "modelled"), ("c", "if all sent to the owner"), ("m", "ideal")]),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def busiest(f: dict[str, Any]) -> float:
    return float(max(f["in_bytes"], f["out_bytes"]))
