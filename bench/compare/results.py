# SPDX-License-Identifier: Apache-2.0
"""What the comparisons of speed measure, and where it goes: a JSON and the page made from it.

results = begin(rows=1_000_000, repetitions=5, settings=settings, threads=[1, 2])
results["runs"]["2"].setdefault("xgboost", []).append({"fit": 7.7})
save(results, Path("docs/benchmarks.md"), write_page(results))
"""

import argparse
import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.compare import machine
from bench.compare.outcome import DEFAULT_EVERGROVE, ROOT
from bench.compare.settings import Settings


def options(description: str, *, quick: str, out: str) -> argparse.ArgumentParser:
    """Returns the options that the comparisons of speed share; `quick` says what --quick does."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--evergrove", type=Path, default=DEFAULT_EVERGROVE)
    parser.add_argument("--out", type=Path, default=ROOT / out, help="and .json")
    return parser


def begin(*, rows: int, repetitions: int, settings: Settings, threads: list[int]) -> dict[str, Any]:
    return {
        "machine": machine.describe(),
        "commit": commit(),
        "rows": rows,
        "repetitions": repetitions,
        "settings": asdict(settings),
        "versions": {},
        "failures": [],
        "runs": {str(count): {} for count in threads},
    }


def save(results: dict[str, Any], out: Path, page: str) -> None:
    """Writes `out` as .md and .json, and nothing if its folder cannot be made."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
    out.with_suffix(".md").write_text(page)


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip()
