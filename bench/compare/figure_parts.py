# SPDX-License-Identifier: Apache-2.0
"""Figures that are measured part by part, into one JSON file with a page beside it.

    measure_parts({"loss": partial(loss, plan)}, ["loss"], out, page.write, starts_anew=False)

Parts that are not measured stay in the file as they were. Each part says on what machine, of which
commit, how busy the machine was before, and how long it took.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.compare import machine
from bench.compare.results import commit

Figures = dict[str, Any]


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
