# SPDX-License-Identifier: Apache-2.0
"""Figures that are measured part by part, into one JSON file with a page beside it.

    measure_parts({"loss": partial(loss, plan)}, ["loss"], out, page.write, starts_anew=False)

Parts that are not measured stay in the file as they were. Each part says on what machine, of which
commit, how busy the machine was before, and how long it took.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.compare import machine
from bench.compare.outcome import DEFAULT_EVERGROVE, ROOT
from bench.compare.results import commit

Figures = dict[str, Any]


def part_parser(campaign: str, parts: Sequence[str]) -> argparse.ArgumentParser:
    """Returns a parser of what all campaigns of parts are told."""
    parser = argparse.ArgumentParser(prog=f"script/campaign {campaign}")
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--small", action="store_true", help="to see that it runs")
    parser.add_argument("--evergrove", type=Path, default=DEFAULT_EVERGROVE)
    parser.add_argument("--out", type=Path, default=None, help="the JSON; the page lies beside it")
    return parser


def parse_parts(parser: argparse.ArgumentParser, campaign: str) -> argparse.Namespace:
    """Returns the arguments; small figures go to build/ if nothing else is said."""
    arguments = parser.parse_args()
    arguments.out = arguments.out or ROOT / (
        f"{'build' if arguments.small else 'docs'}/{campaign}.json"
    )
    return arguments


def read_figures(path: Path) -> Figures:
    """Returns the parts of a file by name, none if it is not there or knows no parts."""
    figures: Figures = json.loads(path.read_text()) if path.exists() else {}
    return {
        name: part for name, part in figures.items() if isinstance(part, dict) and "commit" in part
    }


def measure_parts(
    parts: Mapping[str, Callable[[], Figures]],
    names: Iterable[str],
    out: Path,
    write_page: Callable[[Figures, Path], None],
    *,
    starts_anew: bool,
) -> None:
    """starts_anew: what the file has already is forgotten."""
    figures = {} if starts_anew else read_figures(out)
    for name in names:
        before, begin = os.getloadavg()[0], time.time()
        figures[name] = parts[name]() | {
            "machine": machine.describe(),
            "commit": commit(),
            "load_before": round(before, 2),
            "seconds_taken": round(time.time() - begin),
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(figures, indent=1) + "\n")
    write_page(figures, out.with_suffix(".md"))
    print(f"wrote {out.with_suffix('.md')}", file=sys.stderr)
