# SPDX-License-Identifier: Apache-2.0
"""The page docs/dask_figures.md, from the figures that dask_overhead.py has.

python -m bench.compare.dask_figures_page docs/dask_figures.json    writes it again
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.compare import machine
from bench.compare.cluster_figures_page import median, milliseconds, seconds, spread, table

Figures = dict[str, Any]

HEAD = """\
# Evergrove on Dask: what it costs

Made by `script/campaign dask_figures`; do not edit. Two workers of one thread each on one machine;
starting the cluster is not counted. What belongs together was measured in turn; the figures are
medians, with the smallest and the largest. What each library did when a worker was killed, with the
commands, is in [when workers die](peers_when_workers_die.md); what a loss a minute costs,
`script/campaign dask_losses` measures.
"""


def write(figures: Figures, path: Path) -> None:
    sections: dict[str, Callable[[Figures], str]] = {
        "overhead": overhead,
        "peers": peers,
        "rows": rows,
    }
    parts = [section(figures[name]) for name, section in sections.items() if name in figures]
    path.write_text("\n".join([HEAD, *parts]))


def taken(part: Figures, name: str) -> str:
    return (
        f"`script/campaign dask_figures --parts {name}`, {machine.place(part['machine'])}, commit "
        f"{part['commit']}; load before it {part['load_before']}, {part['seconds_taken']} s in "
        "all.\n"
    )


def overhead(part: Figures) -> str:
    lines = []
    for name, runs in part["runs"].items():
        lines.append(
            [
                part["titles"][name],
                f"{runs[0]['trees']:,}",
                *(took(runs, which) for which in ("command", "beside", "dask")),
                more(runs, "dask", "command"),
                more(runs, "beside", "command"),
                more(runs, "dask", "beside"),
            ]
        )
    header = ["", "trees", "`evergrove train --workers 2`", "the same beside an idle Dask cluster"]
    header += ["`evergrove.dask.train`", "more", "of it the idle cluster", "and ours"]
    return (
        "## Beside the command\n\nReading and training together, from Parquet; the digests are "
        "equal. A Dask cluster of two workers that has nothing to do wakes some hundred times a "
        "second (its ticks of 20 ms, its profiler's of 10 ms), and with two cores it wakes where "
        f"somebody computes.\n\n{table(header, lines)}\n{taken(part, 'overhead')}"
    )


def took(runs: list[Figures], which: str) -> str:
    return spread([run[which]["whole"] for run in runs], seconds)


def more(runs: list[Figures], which: str, than: str) -> str:
    shares = [run[which]["whole"] / run[than]["whole"] - 1 for run in runs]
    return spread(shares, lambda share: f"{share:+.1%}")


def peers(part: Figures) -> str:
    lines = []
    for name, by_library in part["runs"].items():
        ours = median([run["whole"] for run in by_library["evergrove.dask, from a frame"]])
        for library, runs in by_library.items():
            whole = [run["whole"] for run in runs]
            lines.append(
                [
                    part["titles"][name],
                    library,
                    spread(whole, seconds),
                    spread([run["a_tree"] for run in runs], milliseconds),
                    f"{median(whole) / ours:.2f}",
                ]
            )
    header = ["", "library", "reading and training", "a tree", "times ours from a frame"]
    return (
        f"## Beside xgboost.dask and lightgbm.dask\n\n{part['trees']} trees at equal settings "
        "(`bench/compare/settings.py`) and cores. The peers read Parquet into a Dask frame, keep "
        "it in memory and train on it; Evergrove does that too, and reads paths by itself.\n\n"
        f"{table(header, lines)}\n{taken(part, 'peers')}"
    )


def rows(part: Figures) -> str:
    lines = [
        [
            f"{run['rows']:,}",
            "a frame" if run["is_frame"] else "paths",
            seconds(run["seconds"]),
            f"{seconds(run['client_cpu_seconds'])} ({share(run, 'client')})",
            megabytes(run["client_memory_bytes"]),
            f"{seconds(run['scheduler_cpu_seconds'])} ({share(run, 'scheduler')})",
            megabytes(run["scheduler_memory_bytes"]),
        ]
        for run in part["runs"]
    ]
    header = ["rows", "from", "time", "client: CPU", "memory", "scheduler: CPU", "memory"]
    return (
        f"## The client and the scheduler\n\n{part['trees']} trees of 31 leaves on `dense` rows. "
        "CPU is of the process while it trains, with its share of the time in brackets: asking and "
        "listening go on as long as the run does. Memory is what it grew by, at most; with frames "
        "that is what Dask and pandas load.\n\n"
        f"{table(header, lines)}\n{taken(part, 'rows')}"
    )


def share(run: Figures, what: str) -> str:
    return f"{run[what + '_cpu_seconds'] / run['seconds']:.0%}"


def megabytes(value: float) -> str:
    return f"{value / 2**20:.0f} MiB"


if __name__ == "__main__":
    source = Path(sys.argv[1])
    write(json.loads(source.read_text()), source.with_suffix(".md"))
