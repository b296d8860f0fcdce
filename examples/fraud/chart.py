# SPDX-License-Identifier: Apache-2.0
"""Two drawings as SVG text: a metric by round, and what a killed run did over time.

They are drawn for a width in pixels, so that words keep their size on a small screen; colours are
the page's own, by the CSS classes s0, s1, ...
"""

import math
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Series:
    title: str
    values: list[float]  # by round, from 1
    css: str


@dataclass(frozen=True)
class Frame:
    """Where data are on the drawing."""

    width: int
    height: int
    left: int
    right: int
    low: float
    high: float
    count: int
    top: int = 12
    bottom: int = 36

    def x(self, value: float) -> float:
        inner = self.width - self.left - self.right
        return self.left + inner * (value - 1) / max(self.count - 1, 1)

    def y(self, value: float) -> float:
        inner = self.height - self.top - self.bottom
        share = (value - self.low) / (self.high - self.low)
        return self.top + inner * (1 - min(max(share, 0.0), 1.0))


def rounds(series: list[Series], width: int, *, mark: int, mark_text: str, metric: str) -> str:
    """Returns lines of a metric by round, with a mark where the run was killed."""
    series = [one for one in series if one.values]
    if not series:
        return ""
    count = max(len(one.values) for one in series)
    low, high, step = scale(series, count)
    is_wide = width >= 600
    frame = Frame(width, 330 if is_wide else 280, 46, 118 if is_wide else 14, low, high, count)
    parts = [*grid(frame, step), *round_axis(frame)]
    x = frame.x(mark)
    bottom = frame.height - frame.bottom
    parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.top}" y2="{bottom}"/>')
    parts.append(text(x + 6, bottom - 8, mark_text, "note"))
    for one in reversed(series):
        parts.append(polyline(frame, one))
    if is_wide:
        parts += labels(frame, series)
    title = f"{metric} on the test days after each tree"
    return svg(frame.width, frame.height, title, parts)


def scale(series: list[Series], count: int) -> tuple[float, float, float]:
    """Returns the ends of the axis and its step. The first twentieth of the rounds, where all
    models are still poor, may fall below the axis."""
    settled = [value for one in series for value in one.values[count // 20 :] or one.values]
    low, high = min(settled), max(settled)
    rough = max(high - low, 1e-4) / 4
    unit = 10 ** math.floor(math.log10(rough))
    step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough)
    low = math.floor(low / step) * step
    high = math.ceil(high / step) * step
    return low, max(high, low + step), step


def grid(frame: Frame, step: float) -> list[str]:
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    parts = []
    for index in range(round((frame.high - frame.low) / step) + 1):
        value = frame.low + index * step
        y = frame.y(value)
        right = frame.width - frame.right
        parts.append(
            f'<line class="grid" x1="{frame.left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(text(frame.left - 8, y + 4, f"{value:.{decimals}f}", "tick", "end"))
    return parts


def round_axis(frame: Frame) -> list[str]:
    y = frame.height - frame.bottom + 18
    parts = [
        text(frame.x(value), y, f"{value:,}", "tick", "middle")
        for value in sorted({1, *(round(frame.count * quarter / 4) for quarter in (1, 2, 3, 4))})
        if value >= 1
    ]
    middle = frame.left + (frame.width - frame.left - frame.right) / 2
    return [*parts, text(middle, y + 15, "trees", "tick", "middle")]


def polyline(frame: Frame, series: Series) -> str:
    # More points than half the pixels cannot be seen.
    stride = max(1, 2 * len(series.values) // frame.width)
    chosen = sorted({*range(0, len(series.values), stride), len(series.values) - 1})
    points = " ".join(f"{frame.x(i + 1):.1f},{frame.y(series.values[i]):.1f}" for i in chosen)
    return f'<polyline class="line {series.css}" points="{points}"/>'


def labels(frame: Frame, series: list[Series]) -> list[str]:
    """Returns each line's name at its end, moved apart where they would lie on each other."""
    spacing = 17
    wanted = sorted((frame.y(one.values[-1]), index) for index, one in enumerate(series))
    places: list[float] = []
    for y, _ in wanted:
        places.append(max(y, places[-1] + spacing) if places else y)
    overflow = max(0.0, places[-1] - (frame.height - frame.bottom))
    x = frame.width - frame.right + 8
    return [
        text(x, place - overflow + 4, series[index].title, f"label {series[index].css}")
        for place, (_, index) in zip(places, wanted, strict=True)
    ]


@dataclass(frozen=True)
class Span:
    """A piece of a lane, in seconds."""

    start: float
    end: float
    css: str
    words: str


@dataclass(frozen=True)
class Lane:
    title: str
    spans: list[Span]
    death: float | None = None  # when it was killed


def timeline(lanes: list[Lane], width: int) -> str:
    """Returns lanes of bars over seconds, a cross where a run was killed."""
    end = max(span.end for lane in lanes for span in lane.spans)
    left, right, lane_height, bar_height = 0, 14, 62, 24
    inner = width - left - right

    def x(seconds: float) -> float:
        return left + inner * seconds / end

    parts = []
    for index, lane in enumerate(lanes):
        top = 6 + index * lane_height
        parts.append(text(left, top + 14, lane.title, "lane"))
        for span in lane.spans:
            span_width = max(x(span.end) - x(span.start), 1)
            parts.append(
                f'<rect class="bar {span.css}" x="{x(span.start):.1f}" y="{top + 22}" '
                f'width="{span_width:.1f}" height="{bar_height}" rx="3"/>'
            )
            if span_width > 8 * len(span.words) + 24:
                parts.append(text(x(span.start) + 12, top + 39, span.words, "inside"))
        if lane.death is not None:
            parts.append(cross(x(lane.death), top + 22 + bar_height / 2))
    bottom = 6 + len(lanes) * lane_height
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 1e9) if end / s <= 8)
    for tick in range(int(end / step + 1e-9) + 1):
        anchor = "start" if tick == 0 else "middle"
        parts.append(text(x(tick * step), bottom + 12, f"{tick * step:g} s", "tick", anchor))
    return svg(width, bottom + 20, "What each run did over time", parts)


def cross(x: float, y: float) -> str:
    return f'<path class="death" d="M{x - 7:.1f},{y - 7:.1f}l14,14m0,-14l-14,14"/>'


def text(x: float, y: float, words: str, css: str, anchor: str = "start") -> str:
    return (
        f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
    )


def svg(width: int, height: int, title: str, parts: list[str]) -> str:
    body = "\n".join(parts)
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">\n'
        f"{body}\n</svg>"
    )
