# SPDX-License-Identifier: Apache-2.0
"""Time, memory and quality of training beside the other libraries, into docs/benchmarks.md.

    .venv/bin/python -m bench.compare.speed                 # hours on a quiet machine
    .venv/bin/python -m bench.compare.speed --cases dense fraud --threads 1 2 --repetitions 5
    .venv/bin/python -m bench.compare.speed --resume        # only the parts that are not there yet
    .venv/bin/python -m bench.compare.speed --quick         # minutes; the page goes to build/

The cases are files in bench/cases, with the settings of each library. A part is a case with so many
threads; the result keeps the parts that are not measured anew. Within a part all libraries take
turns, and the turns are repeated, so that what else the machine does hits all alike; each training
is a fresh process that may use only as many cores as it has threads.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.compare import speed_against, speed_long, speed_page, speed_scaling
from bench.compare.case import Case, case_names, load_case
from bench.compare.case_data import files
from bench.compare.figure_parts import measure_parts, read_figures
from bench.compare.outcome import DEFAULT_EVERGROVE
from bench.compare.trial import OURS, TrialError, train_once

STAGES = 25  # points of a curve of quality by trees
SLOW = 1.5  # so many times the fastest other: once is enough
Part = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    repetitions: int
    libraries: list[str] | None  # None: all that the case has
    seed: int
    evergrove: Path
    limit_seconds: float
    repeats_slow: bool


def main() -> int:
    arguments = parse()
    plan = make_plan(arguments)
    before = read_figures(arguments.against) if arguments.against else None
    parts = {}
    for name in arguments.cases:
        case = load_case(name)
        case = case.quick() if arguments.quick else case.cut(arguments.rows, arguments.trees)
        if name == "long":
            parts["long"] = partial(speed_long.measure, case, plan.evergrove)
            continue
        for threads in arguments.threads:
            parts[f"{name}/{threads}"] = partial(measure_part, case, threads, plan)
        if name in arguments.scaling:
            parts[f"{name}/scaling"] = partial(
                speed_scaling.measure, case, plan.repetitions, plan.evergrove
            )
    out = speed_page.result_file(arguments.out, arguments.quick)
    known = read_figures(out) if arguments.resume else {}
    names = [name for name in parts if name not in known]
    measure_parts(parts, names, out, speed_page.write, starts_anew=arguments.anew)
    figures = read_figures(out)
    for line in speed_page.verdicts(figures):
        print(line)
    if before is not None:
        print("\n".join(speed_against.lines(figures, before)))
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares time and memory of training.")
    names = case_names()
    parser.add_argument("--cases", nargs="+", choices=names, help="default: all; quick: not long")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--libraries", nargs="+", help=f"{OURS}, and names of entries in the cases")
    parser.add_argument("--rows", type=int, help="at most so many")
    parser.add_argument("--trees", type=int, help="instead of the cases' own")
    parser.add_argument(
        "--quick", action="store_true", help="few rows and trees, once; into build/"
    )
    parser.add_argument(
        "--scaling",
        nargs="*",
        metavar="CASE",
        help="ours by 1 thread, by 2, and beside busy processes (dense; quick: none)",
    )
    parser.add_argument("--resume", action="store_true", help="leaves the parts that are there")
    parser.add_argument("--anew", action="store_true", help="forgets all parts that are there")
    parser.add_argument("--all", action="store_true", help="repeats slow libraries too")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compares with a result")
    parser.add_argument("--limit", type=float, default=300, help="seconds of a training at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--evergrove", type=Path, default=DEFAULT_EVERGROVE)
    parser.add_argument("--out", type=Path, help="JSON, and a page beside it")
    arguments = parser.parse_args()
    if arguments.quick:
        names.remove("long")
    if arguments.scaling is None:
        arguments.scaling = [] if arguments.quick else ["dense"]
    arguments.cases = arguments.cases or names
    known = {OURS}.union(*(load_case(name).entries for name in arguments.cases))
    if unknown := set(arguments.libraries or ()) - known:
        parser.error(
            f"no case has {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}"
        )
    if arguments.against and not arguments.against.exists():
        parser.error(f"there is no {arguments.against} to compare with")
    return arguments


def make_plan(arguments: argparse.Namespace) -> Plan:
    return Plan(
        repetitions=1 if arguments.quick else arguments.repetitions,
        libraries=arguments.libraries,
        seed=arguments.seed,
        evergrove=arguments.evergrove,
        limit_seconds=60 if arguments.quick else arguments.limit,
        repeats_slow=arguments.all,
    )


def measure_part(case: Case, threads: int, plan: Plan) -> Part:
    say(f"{case.name}, {threads} threads: {case.rows:,} rows, {case.settings.trees} trees")
    files(case)
    names = [n for n in (OURS, *case.entries) if plan.libraries is None or n in plan.libraries]
    runs: dict[str, list[dict[str, Any]]] = {}
    curves: dict[str, Any] = {}
    failures: dict[str, str] = {}
    once: list[str] = []
    for repetition in range(plan.repetitions):
        for name in turned(names, repetition):
            if name in once or name in failures:
                continue
            try:
                figures = train_once(
                    case,
                    name,
                    threads=threads,
                    seed=plan.seed + repetition,
                    stages=stages(case.settings.trees) if repetition == 0 else [],
                    evergrove=plan.evergrove,
                    limit_seconds=plan.limit_seconds,
                )
            except TrialError as error:
                failures[name] = str(error)
                say(f"  {name}: {error}")
                continue
            if curve := figures.pop("curve", None):
                curves[name] = curve
            runs.setdefault(name, []).append(figures)
            say(f"  {repetition + 1}/{plan.repetitions} {describe(name, figures, case.measure)}")
        if not plan.repeats_slow:
            once = slow(runs)
    return {
        "case": describe_case(case),
        "threads": threads,
        "titles": {OURS: "Evergrove"} | {n: e.title for n, e in case.entries.items()},
        "runs": {name: runs[name] for name in names if name in runs},
        "curves": curves,
        "failures": failures,
    }


def turned(names: list[str], repetition: int) -> Iterator[str]:
    """Each repetition begins with another, so that none always comes after the same one."""
    for place in range(len(names)):
        yield names[(place + repetition) % len(names)]


def slow(runs: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Returns who need not be measured again, for another is faster by far in both views."""
    peers = {name: values[0] for name, values in runs.items() if name != OURS}
    if not peers:
        return []
    least = {view: min(run[view] for run in peers.values()) for view in ("fit", "process")}
    return [name for name, run in peers.items() if all(run[v] > SLOW * least[v] for v in least)]


def stages(trees: int) -> list[int]:
    count = min(STAGES, trees)
    return [round((index + 1) * trees / count) for index in range(count)]


def describe_case(case: Case) -> dict[str, Any]:
    names = ("title", "about", "rows", "test_rows", "columns", "task", "measure", "counts")
    return {name: getattr(case, name) for name in names} | {"settings": asdict(case.settings)}


def describe(name: str, figures: dict[str, Any], measure: str) -> str:
    return (
        f"{name}: {figures['fit']:.2f} s of training, {figures['process']:.2f} s from Parquet to "
        f"the file, {figures['cpu']:.1f} s of CPU, {figures['peak_rss_bytes'] / 2**20:.0f} MiB, "
        f"{measure} {figures['quality']:.4f}"
    )


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
