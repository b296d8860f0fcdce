# SPDX-License-Identifier: Apache-2.0
"""The drawings of the fraud case as SVG text: workers above trees, machine-seconds, and the trace.

They are drawn for a width in pixels, so that words keep their size on a small screen; colours are
the page's own, by CSS classes: `ours` and `theirs` for the libraries, `starting`, `lost`, `killed`.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from examples.case.figures import Contender, Life, Trace
from examples.fraud.chart import svg, text

RIGHT = 16
LANE_PIXELS = 15
LANES_PIXELS_MAX = 240  # however many workers there are


@dataclass(frozen=True)
class Axis:
    """Where values are between two edges, and its round steps."""

    begin: float  # pixels at 0
    end: float  # pixels at most
    most: float
    steps_max: int

    def at(self, value: float) -> float:
        share = min(max(value / self.most, 0.0), 1.0) if self.most > 0 else 0.0
        return self.begin + (self.end - self.begin) * share

    def ticks(self) -> Iterator[float]:
        step = round_step(self.most, self.steps_max)
        for index in range(math.floor(self.most / step + 1e-9) + 1):
            yield index * step


def round_step(most: float, steps_max: int) -> float:
    """Returns the smallest of 1, 2, 5, 10, 20, ... of which so many reach the largest value."""
    rough = max(most, 1e-6) / steps_max
    unit: float = 10.0 ** math.floor(math.log10(rough))
    return next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough * (1 - 1e-9))


def seconds_shown(contenders: list[Contender]) -> float:
    """Returns when the longest contender was over: all pictures go so far, to be compared."""
    ends = [
        second
        for each in contenders
        for second in (
            each.seconds or 0.0,
            *(last_second(life) for life in each.workers),
            *(second for second, _ in each.curve),
        )
    ]
    return max(ends, default=0.0) or 1.0


def last_second(life: Life) -> float:
    return max(life.start, life.ready or 0.0, life.end or 0.0)


def lanes(workers: list[Life], seconds_max: float, gap: float = 0.0) -> list[list[Life]]:
    """Returns the lives in as few lanes as there were workers at once; one starts `gap` seconds
    after the one before it in its lane has ended, so that the cross at that end is seen."""
    found: list[list[Life]] = []
    for life in sorted(workers, key=lambda each: each.start):
        for lane in found:
            end = lane[-1].end if lane[-1].end is not None else seconds_max
            if end + gap <= life.start:
                lane.append(life)
                break
        else:
            found.append([life])
    return found


def run(contender: Contender, width: int, *, seconds_max: float, trees_max: int) -> str:
    """Returns a contender's workers above its trees, over the same seconds."""
    is_wide = width >= 600
    left = 40
    across = Axis(left, width - RIGHT, seconds_max, 10 if is_wide else 4)
    gap = 5 * seconds_max / (width - left - RIGHT)
    rows = lanes(contender.workers, seconds_max, gap)
    pitch = min(LANE_PIXELS, LANES_PIXELS_MAX / max(len(rows), 1))
    lanes_top = 20.0
    top = lanes_top + pitch * len(rows) + 26
    up = Axis(top + (150 if is_wide else 120), top, max(trees_max, 1), 4)
    parts = [text(left, 12, "workers", "tick"), text(left, top - 8, "trees", "tick")]
    parts += tree_axis(up, across)
    parts += second_axis(across, lanes_top, up.begin)
    for number, lane in enumerate(rows):
        for life in lane:
            parts += worker(life, across, lanes_top + pitch * number, pitch * 0.66, up)
    parts += curve(contender, across, up)
    if contender.seconds is not None:
        css = "over" if contender.finished else "over unfinished"
        parts.append(vertical(css, across.at(contender.seconds), lanes_top, up.begin))
    title = f"{contender.title}: workers and trees over time"
    return svg(width, math.ceil(up.begin) + 24, title, parts)


def tree_axis(up: Axis, across: Axis) -> list[str]:
    parts = []
    for value in up.ticks():
        y = up.at(value)
        parts.append(
            f'<line class="grid" x1="{across.begin:.1f}" x2="{across.end:.1f}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(text(across.begin - 6, y + 4, f"{value:g}", "tick", "end"))
    return parts


def second_axis(across: Axis, top: float, bottom: float) -> list[str]:
    parts = []
    for second in across.ticks():
        x = across.at(second)
        parts.append(vertical("grid", x, top, bottom))
        anchor = "end" if x > across.end - 12 else "middle"
        parts.append(
            text(
                x + (RIGHT if anchor == "end" else 0), bottom + 18, f"{second:g} s", "tick", anchor
            )
        )
    return parts


def worker(life: Life, across: Axis, y: float, height: float, up: Axis) -> list[str]:
    """Returns its bar, light until it was ready; where it was killed a cross, and a line below."""
    end = across.most if life.end is None else life.end
    ready = end if life.ready is None else min(life.ready, end)
    words = f"{life.name}: started after {life.start:.1f} s"
    if life.ready is not None:
        words += f", ready after {ready:.1f} s"
    if life.end is not None:
        words += f", {life.how} after {life.end:.1f} s"
    parts = [f"<g><title>{escape(words)}</title>"]
    for css, begin, until in (("starting", life.start, ready), ("ready", ready, end)):
        if until > begin:
            x = across.at(begin)
            parts.append(
                f'<rect class="worker {css}" x="{x:.1f}" y="{y:.1f}" '
                f'width="{max(across.at(until) - x, 0.5):.1f}" height="{height:.1f}"/>'
            )
    if life.how == "killed" and life.end is not None:
        x, middle = across.at(life.end), y + height / 2
        for css in ("halo", "killed"):
            parts.append(f'<path class="{css}" d="M{x - 4:.1f},{middle - 4:.1f}l8,8m0,-8l-8,8"/>')
        parts.append(vertical("loss", x, up.end, up.begin))
    return [*parts, "</g>"]


def curve(contender: Contender, across: Axis, up: Axis) -> list[str]:
    """Returns trees over time; where they become fewer, a dotted line."""
    css = css_of(contender)
    parts = []
    piece: list[tuple[float, int]] = []
    for point in sorted(contender.curve, key=lambda each: each[0]):
        if piece and point[1] < piece[-1][1]:
            parts.append(points(f"line {css}", piece, across, up))
            parts.append(points(f"line back {css}", [piece[-1], point], across, up))
            piece = []
        piece.append(point)
    return [*parts, points(f"line {css}", piece, across, up)] if piece else parts


def points(css: str, places: list[tuple[float, int]], across: Axis, up: Axis) -> str:
    joined = " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in places)
    return f'<polyline class="{css}" points="{joined}"/>'


def machine_seconds(contenders: list[Contender], width: int) -> str:
    """Returns a bar a contender: the seconds of all its machines, by what they were spent on."""
    most = max((total(each) for each in contenders), default=0.0) or 1.0
    # Room for the total after the longest bar.
    across = Axis(0, width - 84, most, 4)
    parts = []
    for number, each in enumerate(contenders):
        top = 50 * number
        parts.append(text(0, top + 14, each.title, "lane"))
        parts.append(f'<g class="{css_of(each)}">')
        x = 0.0
        spent = each.machine_seconds
        for kind, seconds in (
            ("starting", spent.starting),
            ("ready", spent.working),
            ("lost", spent.lost),
        ):
            wide = across.at(seconds or 0.0)
            words = f"{'working' if kind == 'ready' else kind}: {seconds or 0:.1f} s"
            parts.append(
                f'<rect class="worker {kind}" x="{x:.1f}" y="{top + 21}" width="{wide:.1f}" '
                f'height="16"><title>{escape(words)}</title></rect>'
            )
            x += wide
        parts.append("</g>")
        parts.append(text(x + 8, top + 34, f"{total(each):,.0f} s", "tick"))
    return svg(width, 50 * len(contenders), "Machine-seconds of each contender", parts)


def css_of(contender: Contender) -> str:
    return "ours" if contender.is_ours else "theirs"


def total(contender: Contender) -> float:
    spent = contender.machine_seconds
    return sum(seconds or 0.0 for seconds in (spent.starting, spent.working, spent.lost))


def trace(trace: Trace, width: int) -> str:
    """Returns how many workers the trace allows, as steps."""
    if not trace.levels:
        return ""
    last = trace.levels[-1][0]
    end = trace.seconds or last + (trace.step_seconds or 1.0)
    across = Axis(40, width - RIGHT, max(end, last) or 1.0, 10 if width >= 600 else 4)
    most = max(count for _, count in trace.levels)
    up = Axis(140, 14, max(most, 1), min(max(most, 1), 5))
    parts = [*tree_axis(up, across), *second_axis(across, up.end, up.begin)]
    places = [trace.levels[0]]
    for before, after in itertools.pairwise([*trace.levels, (across.most, 0)]):
        places.append((after[0], before[1]))
        if after[0] < across.most:
            places.append(after)
    parts.append(points("line ink", places, across, up))
    return svg(width, 164, "Workers that the trace allows over time", parts)


def vertical(css: str, x: float, top: float, bottom: float) -> str:
    return f'<line class="{css}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'
