# SPDX-License-Identifier: Apache-2.0
"""docs/benchmarks.md: the page and the picture made from a speed result.

write(figures, Path("docs/benchmarks.md"))    # and images/benchmarks.svg beside it
"""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.compare import growth_picture, machine, speed_picture
from bench.compare import speed_verdicts as judged
from bench.compare import speed_views as views
from bench.compare.measures import TITLES
from bench.compare.outcome import ROOT
from bench.compare.speed_scaling import busy_factor, speed_up
from bench.compare.trial import OURS

Figures = dict[str, Any]
Part = dict[str, Any]
HOW = """\
Each row is one way to train one library; its settings, in the library's own words, are in
`bench/cases/NAME.toml`, chosen in its favour, and where it is not clear which way is the fastest
there are several, of which the best counts. Each training is a fresh process that may use only as
many cores as it has threads; all take turns, and the turns are repeated. Who takes more than 1.5
times as long as the fastest other, in training and from Parquet, is measured once. Figures are
medians, with the least and the most in brackets.

- **Training**: the trees alone, at equal trees and leaves, from bins to the last tree
  (scikit-learn and YDF make their bins in it).
- **To equal quality**: training until the held-out quality first is what all libraries reach, the
  worst of their final ones; within a training, time goes by what the library tells after each
  tree, and in proportion to the trees where it tells nothing (ours, YDF; scikit-learn in cases
  measured before 2026-11-27, 20:00).
- **Parquet to file**: the whole process, from its start to the written model. **CPU** is the CPU
  time of that, and **peak memory** what was resident at most.
- **Quality** is on rows that nobody saw; each repetition has another seed."""

WHY_CURVES_BEND = [
    "Where they bend:",
    "",
    "- Few rows, many leaves: to search splits and subtract costs a leaf its bins, however few "
    "rows it has. At 100,000 rows and 255 leaves a leaf has 400 rows beside 255 bins a column.",
    "- Ten million rows: what is kept of a row (bins of the column that divides, its place, margin "
    "and gradient) no longer lies in a core's caches when it is come to.",
    "- From 300 columns on a leaf's histogram is larger than a core's cache, so that most adds go "
    "to the next one. At 2,000 columns those of 255 leaves take over a gigabyte; what the three "
    "columns lack there is the system's clearing of that memory, once for the five trees.",
    "- Few bins: several columns share a cell, which takes one add for all of them.",
]


def result_file(out: Path | None, is_quick: bool) -> Path:
    """Returns the JSON that figures go to; the page lies beside it."""
    usual = "build/benchmarks_quick.json" if is_quick else "docs/benchmarks.json"
    return (out or ROOT / usual).with_suffix(".json")


def write(figures: Figures, path: Path) -> None:
    picture = path.parent / "images" / f"{path.stem}.svg"
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(speed_picture.draw(figures))
    if any(growth_picture.is_growth(name) for name in figures):
        growth = picture.with_stem(f"{path.stem}_growth")
        growth.write_text(growth_picture.draw(figures))
    path.write_text(page(figures, f"images/{path.stem}.svg"))


def verdicts(figures: Figures) -> list[str]:
    """Returns a line a goal: met or not, and by how much."""
    return [
        f"- {'met' if verdict.met else '**not met**'}: {verdict.words}."
        for verdict in judged.verdicts(figures)
    ]


def page(figures: Figures, picture: str) -> str:
    lines = ["# Time and memory beside other libraries", ""]
    lines += ["Made by `script/bench speed`; do not edit.", ""]
    lines += [f"![How many times as long the fastest other library takes]({picture})", ""]
    for threads in views.thread_counts(figures):
        lines += summary(views.training_parts(figures, threads), threads)
    lines += ["## Against the goals", "", *verdicts(figures), ""]
    lines += ["## How it was measured", "", HOW, ""]
    for name, part in figures.items():
        case, _, kind = name.partition("/")
        if kind.isdigit():
            lines += section(case, part)
    lines += scaling_section(figures)
    lines += long_section(figures.get("long"))
    lines += growth_section(figures, picture.replace(".svg", "_growth.svg"))
    return "\n".join([*lines, *places(figures)]) + "\n"


def summary(parts: dict[str, Part], threads: int) -> list[str]:
    lines = [
        f"## {count(threads, 'thread')}: how many times as long the fastest other takes",
        "",
        "| case | training | to equal quality | Parquet to file | our share of the least memory "
        "| quality: ours, best other |",
        "|---|---|---|---|---|---|",
    ]
    for name, part in parts.items():
        cells = [name, *(ratio_cell(part, view) for view in views.VIEWS)]
        share, quality = views.memory_share(part), views.quality(part)
        cells.append(f"{share.median:.2f} ({part['titles'][share.peer]})" if share else "")
        if quality:
            title = TITLES[part["case"]["measure"]]
            cells.append(f"{number(quality.ours)}, {number(quality.best)} ({title})")
        else:
            cells.append("")
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def ratio_cell(part: Part, view: str) -> str:
    ratio = views.ratio(part, view)
    if ratio is None:
        return ""
    return f"**{ratio.median:.2f}** ({part['titles'][ratio.peer]})"


def section(name: str, part: Part) -> list[str]:
    case = part["case"]
    settings = ", ".join(
        f"{word} {value}"
        for word, value in case["settings"].items()
        if word in ("trees", "leaves", "bins", "learning_rate")
    )
    measure = TITLES[case["measure"]]
    lines = [
        f"## {name}, {count(part['threads'], 'thread')}",
        "",
        f"{case['rows']:,} rows, {case['about']}; {settings}.",
        "",
        f"| | training | to equal quality | Parquet to file | CPU | peak memory | {measure} |",
        "|---|---|---|---|---|---|---|",
    ]
    reach = views.reach_times(part)
    for entry, runs in part["runs"].items():
        title = "**Evergrove**" if entry == OURS else part["titles"][entry]
        cells = [title + (" (once)" if len(runs) < len(part["runs"].get(OURS, runs)) else "")]
        cells.append(spread(views.values(part, entry, "fit"), seconds))
        cells.append(spread(reach[entry], seconds) if entry in reach else "not reached")
        for view, show in (
            ("process", seconds),
            ("cpu", seconds),
            ("peak_rss_bytes", mebibytes),
            ("quality", number),
        ):
            cells.append(spread(views.values(part, entry, view), show))
        lines.append(f"| {' | '.join(cells)} |")
    for entry, reason in part["failures"].items():
        lines += ["", f"{part['titles'].get(entry, entry)}: {reason}."]
    return [*lines, ""]


def scaling_section(figures: Figures) -> list[str]:
    parts = {n: part for n, part in figures.items() if n.endswith("/scaling")}
    if not parts:
        return []
    lines = [
        "## From one thread to two",
        "",
        "Ours alone, the trees alone; the three take turns. Busy: two threads, with a process that "
        "only counts pinned to each core.",
        "",
        "| case | 1 thread | 2 threads | 2 threads, busy | 1 to 2 | busy to quiet |",
        "|---|---|---|---|---|---|",
    ]
    for name, part in parts.items():
        cells = [name.partition("/")[0]]
        cells += [spread(part["runs"][way], seconds) for way in ("1", "2", "busy")]
        cells += [f"{speed_up(part):.2f}", f"{busy_factor(part):.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def long_section(part: Any) -> list[str]:
    if not part:
        return []
    lines = [
        "## long: limits that the kernel holds",
        "",
        f"{part['rows']:,} rows, {part['about']}; ours alone, {part['limited_threads']} threads. "
        f"{part['how']}",
        "",
        "| limit | seconds | peak memory | what happened |",
        "|---|---|---|---|",
    ]
    for name, run in part["runs"].items():
        happened = run["error"] or f"digest {run['digest'][:12]}"
        lines.append(
            f"| {name} | {run['seconds']:.1f} s | {mebibytes(run['peak_rss_bytes'])} | {happened} |"
        )
    return [*lines, ""]


def growth_section(figures: Figures, picture: str) -> list[str]:
    curves = {n: part for n, part in figures.items() if growth_picture.is_growth(n)}
    if not curves:
        return []
    lines = [
        "## growth: what a row, a column, a leaf, a class and a bin cost",
        "",
        f"![Nanoseconds per row, column and level]({picture})",
        "",
        "Ours alone, the trees alone, made by `script/bench growth`: seconds, and nanoseconds per "
        "row, column and level, where a tree of L leaves has log2(L) levels. One read-modify-write "
        f"takes {growth_picture.BOUND_NS} ns; since only the smaller child of two is built, half "
        "of that is the least there could be. The last three columns are what of these ns a "
        "training with `--profile` gives to histograms, to subtracting them and searching splits, "
        "and to rows: gradients, dividing them, leaves.",
        "",
        *WHY_CURVES_BEND,
        "",
        "| curve | rows | columns | leaves | classes | bins | trees | seconds | ns "
        "| histograms | search | per row |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, part in curves.items():
        for point in part["points"]:
            words = ("rows", "columns", "leaves", "classes", "bins", "trees")
            cells = [name.partition("/")[2], *(f"{point[word]:,}" for word in words)]
            cells += [f"{point['seconds']:.2f}", f"{point['ns']:.2f}"]
            cells += [f"{ns:.2f}" for ns in point["parts_ns"].values()]
            lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def places(figures: Figures) -> list[str]:
    """Says where and when, once for all parts that were measured alike."""
    lines: dict[str, list[str]] = {}
    for name, part in figures.items():
        runs = part.get("runs", {}).get(OURS) or [{}]
        ours = runs[0].get("version", "") if isinstance(runs, list) else ""
        words = machine.sentence(part["machine"], f"{ours} ({part['commit']})".strip())
        lines.setdefault(words, []).append(name)
    return [f"{', '.join(names)}: {words}" for words, names in lines.items()]


def spread(numbers: Sequence[float], show: Callable[[float], str]) -> str:
    middle = show(statistics.median(numbers))
    least, most = show(min(numbers)), show(max(numbers))
    return middle if least == most else f"{middle} ({least} to {most})"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 100 else f"{value:.0f} s"


def mebibytes(value: float) -> str:
    return f"{value / 2**20:,.0f} MiB"


def number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"
