# SPDX-License-Identifier: Apache-2.0
"""The simulation campaign: whole runs from seeds, then the same with each rule of recovery broken.

script/campaign simulation [--seeds N] [--mutation-seeds N] [--jobs N]
"""

import argparse
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.campaigns.report import ROOT, table, write_page

SEEDS = 10_000
MUTATION_SEEDS = 2_000
PROGRAM = ROOT / "build" / "release" / "sim" / "evergrove-sim"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="script/campaign simulation", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--mutation-seeds", type=int, default=MUTATION_SEEDS)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--program", type=Path, default=PROGRAM, help="another evergrove-sim")
    options = parser.parse_args()

    quiet = simulate(options.program, options.seeds, options.jobs)
    for violation in quiet["violations"]:
        print(f"seed {violation['seed']}: {violation['what']}\n    {violation['replay']}")
    found, unfound = [], []
    rules = mutations(options.program)

    # One process each, so that the seed that finds it is the first that does.
    def broken(rule: list[str]) -> dict[str, Any]:
        return simulate(options.program, options.mutation_seeds, 1, rule[0])

    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(broken, rules))
    for (name, breaks, harmless), result in zip(rules, results, strict=True):
        print(f"{name}: {outcome(result)}", file=sys.stderr)
        row = [f"`{name}`", breaks]
        if result["violations"]:
            first = result["violations"][0]
            found.append([*row, str(first["seed"]), in_short(first["what"])])
        else:
            unfound.append([*row, harmless])
    # A rule whose breaking nothing bears witness to has to say why that does no harm.
    unexplained = [row[0] for row in unfound if not row[2]]

    if (options.seeds, options.mutation_seeds) >= (SEEDS, MUTATION_SEEDS):
        command = f"script/campaign simulation --seeds {options.seeds} --jobs {options.jobs}"
        path = write_page(
            "simulation",
            "Whole runs from a seed",
            command,
            page(quiet, found, unfound, options.jobs, options.mutation_seeds),
        )
        print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)
    if unexplained:
        print(f"broken and not found: {', '.join(unexplained)}")
    print(
        f"{quiet['seeds']} seeds, {len(quiet['violations'])} violations; "
        f"{len(found)} broken rules found, {len(unfound)} not"
    )
    return 1 if quiet["violations"] or unexplained else 0


def simulate(program: Path, seeds: int, jobs: int, mutation: str = "") -> dict[str, Any]:
    command = [str(program), "--seeds", f"0-{seeds - 1}", "--jobs", str(jobs), "--json"]
    if mutation:
        command += ["--mutation", mutation]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with {answer.returncode}: {answer.stderr}")
    result: dict[str, Any] = json.loads(answer.stdout)
    return result


def mutations(program: Path) -> list[list[str]]:
    """Name, what it breaks, and why that is harmless if it is."""
    listed = subprocess.run([str(program), "--mutations"], capture_output=True, check=True)
    return [line.split("\t") for line in listed.stdout.decode().splitlines()]


def in_short(what: str) -> str:
    """A failed CHECK by its condition and its file, without the folder it was built in."""
    return re.sub(
        r"stops itself: .*internal error: (.*) does not hold at \S*?([^/\s]+\.(?:cc|h)):\d+;.*",
        r"stops itself: `\1` does not hold in `\2`",
        what,
    )


def outcome(result: dict[str, Any]) -> str:
    if not result["violations"]:
        return f"not found in {result['seeds']} seeds"
    return f"seed {result['violations'][0]['seed']}: {result['violations'][0]['what']}"


def page(
    quiet: dict[str, Any],
    found: list[list[str]],
    unfound: list[list[str]],
    jobs: int,
    mutation_seeds: int,
) -> str:
    a_minute = quiet["seeds"] * 60 / quiet["seconds"]
    figures = [
        ["seeds", f"{quiet['seeds']:,}"],
        ["violations", f"{len(quiet['violations']):,}"],
        ["seeds a minute", f"{a_minute:,.0f} with {jobs} processes"],
        ["workers that there were", f"{quiet['workers']:,}"],
        ["coordinators that there were", f"{quiet['coordinators']:,}"],
        ["views", f"{quiet['views']:,}"],
        ["messages", f"{quiet['messages']:,}"],
        [
            "held by one worker at most",
            f"{quiet['early_parts_max']} early parts, {quiet['open_rounds_max']} open rounds, "
            f"{quiet['sums_max']} sums, {quiet['told_splits_max']} told splits, "
            f"{quiet['histograms_max']} histograms of blocks",
        ],
    ]
    violations = [[str(v["seed"]), v["what"], f"`{v['replay']}`"] for v in quiet["violations"]]
    parts = [
        "A run is simulated with the very state machines of coordinator and worker, and all of it "
        "follows from its seed. Messages are lost, doubled, late and out of order; workers are "
        "killed, stopped, cut off one way or both, added and sent away; coordinators are killed, "
        "stopped and replaced, also while the one before lives on, and their clocks differ; the "
        "log and the reading of shards are slow at times. A violation is a record, a metric or a "
        "digest that is not that of one machine, a run without an end, a message that cannot be "
        "read, a worker that holds too much, a coordinator that would wait for who has nothing to "
        "say, or a crash.",
        table(["what", "value"], figures),
    ]
    if violations:
        parts.append(table(["seed", "violation", "replay"], violations))
    parts += [
        "## Rules broken on purpose",
        f"The same with one rule of recovery broken, up to {mutation_seeds:,} seeds from 0 on; a "
        "worker or coordinator that stops itself rather than go on has found it too. "
        "`evergrove-sim --seeds SEED --story --mutation NAME` tells what happened.",
        table(["mutation", "what is broken", "found by seed", "how it shows"], found),
    ]
    if unfound:
        parts += [
            "Not found, for the run bears it: another rule makes up for this one.",
            table(["mutation", "what is broken", "why it does no harm"], unfound),
        ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
