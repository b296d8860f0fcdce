# SPDX-License-Identifier: Apache-2.0
"""The determinism campaign: one digest for every way in which the same training can be run.

For each case (a data set, a growth, with sampling or without) there is a reference run; then every
single way that must not matter, then combinations of them drawn from a seed, then runs that are
killed by SIGKILL at random instants and resumed. The golden digests are held under every build and
every kind of SIMD instruction, on aarch64 by emulation too.

    script/campaign determinism              all of it, about half an hour on two cores
    script/campaign determinism --small      a tenth of it, to see that it runs
"""

import argparse
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from examples.fraud import features
from tests import data_sets
from tests.campaigns.report import table, write_page
from tests.data_sets import DataSet
from tests.one_digest import GROWTHS, Case, Layout, Trainer, Way, simd_names

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
QEMU = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]
AARCH64_SIMD = ("scalar", "neon", "sve", "sve2")


@dataclass
class Tally:
    """The runs of one line of the page, and those that gave another digest."""

    reference: str
    runs: int = 0
    others: list[str] = field(default_factory=list)

    def add(self, way: str, digest: str) -> None:
        self.runs += 1
        if digest != self.reference:
            self.others.append(f"{way}: {digest}")
            print(f"DIFFERS: {way}: {digest}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="script/campaign determinism", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--small", action="store_true", help="a tenth of the rows and runs")
    parser.add_argument("--kills", type=int, default=50, help="runs with kills (50)")
    parser.add_argument("--combinations", type=int, default=40, help="random combinations (40)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of combinations and kills")
    parser.add_argument("--builds", default="release,debug,clang", help="builds to compare")
    parser.add_argument("--no-aarch64", action="store_true", help="without the emulated CPU")
    arguments = parser.parse_args()
    names = arguments.builds.split(",")
    builds = {name: command_of(name) for name in names}
    folder = ROOT / "build" / "campaign-determinism"
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(folder, builds)
    begin = time.monotonic()

    cases = all_cases(arguments.small)
    tallies = {case.name: Tally(trainer.digest(case, Way())) for case in cases}
    say(begin, f"{len(cases)} cases have their reference")
    for case in cases:
        tally = tallies[case.name]
        for way in single_ways(names, len(case.data.frame)):
            tally.add(str(way), trainer.digest(case, way))
        say(begin, f"{case.name}: {tally.runs} ways, {len(tally.others)} differ")

    dice = random.Random(arguments.seed)
    combinations = Tally("as the case's")
    for _ in range(arguments.combinations // (10 if arguments.small else 1)):
        case, way = dice.choice(cases), random_way(dice, names)
        equal = trainer.digest(case, way) == tallies[case.name].reference
        combinations.add(f"{case.name}: {way}", combinations.reference if equal else "another")
    say(begin, f"{combinations.runs} combinations, {len(combinations.others)} differ")

    killed = Tally("as the case's")
    for number in range(arguments.kills // (10 if arguments.small else 1)):
        case = cases[number % len(cases)]
        way = Way(threads=dice.choice([1, 2, 3]), kill_seed=arguments.seed * 1_000_003 + number + 1)
        equal = trainer.digest(case, way) == tallies[case.name].reference
        killed.add(f"{case.name}: {way}", killed.reference if equal else "another")
    say(begin, f"{killed.runs} runs killed {trainer.kill_count} times, {len(killed.others)} differ")

    golden = golden_runs(names, not arguments.no_aarch64, begin)
    page = page_of(cases, tallies, combinations, killed, trainer.kill_count, golden)
    given = " ".join(sys.argv[1:])
    command = f"script/campaign determinism {given}".rstrip()
    minutes = (time.monotonic() - begin) / 60
    if arguments.small:
        print(page)
    else:
        title = "One digest, whatever runs it"
        path = write_page(
            "determinism", title, command, f"{page}\n\nIt took {minutes:.0f} minutes."
        )
        say(begin, f"wrote {path.relative_to(ROOT)}")
    wrong = sum(len(tally.others) for tally in [*tallies.values(), combinations, killed, *golden])
    runs = sum(tally.runs for tally in [*tallies.values(), combinations, killed, *golden])
    print(f"{runs - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


def say(begin: float, words: str) -> None:
    print(f"[{time.monotonic() - begin:5.0f}s] {words}", file=sys.stderr, flush=True)


def command_of(build: str) -> Path:
    return ROOT / "build" / build / "src" / "evergrove" / "cli" / "evergrove"


def all_cases(small: bool) -> list[Case]:
    sets = [fraud(small), adult(), data_sets.seven_class(rows=3_000 if small else 40_000)]
    sets += [data_sets.regression(rows=3_000 if small else 40_000), data_sets.heavy_tailed()]
    trees = 8 if small else 40
    return [
        Case(data, growth, sampled, trees)
        for data in sets
        for growth in GROWTHS
        for sampled in (False, True)
    ]


def fraud(small: bool) -> DataSet:
    """Card transactions with their 15 features: the book's if they are there, else generated."""
    path = SHARED / "fraud_handbook" / "transactions.parquet"
    if small or not path.exists():
        return data_sets.fraud_small()
    frame = features.add_features(path).to_pandas()
    days = frame["TX_TIME_DAYS"]
    frame = frame[(days >= 115) & (days < 136)].reset_index(drop=True)
    return DataSet("fraud_book", frame, "TX_FRAUD", "binary", exclude=features.OTHER_COLUMNS)


def adult() -> DataSet:
    path = SHARED / "small" / "adult.parquet"
    if not path.exists():
        return data_sets.adult_like(rows=30_000)
    frame = pq.read_table(path).to_pandas()
    label = "income" if "income" in frame.columns else str(frame.columns[-1])
    text = [name for name in frame.columns if pd.api.types.is_string_dtype(frame[name])]
    return DataSet("adult", frame, label, "binary", [name for name in text if name != label])


def single_ways(builds: list[str], rows: int) -> list[Way]:
    """Each thing that must not matter, alone."""
    ways = [Way(threads=threads) for threads in (1, 3, 8)]
    ways += [Way(layout=Layout(group_rows=group)) for group in (1_000, 10_000) if group < rows]
    ways += [Way(layout=Layout(files=40)), Way(layout=Layout(files=40, group_rows=1_000))]
    ways += [Way(layout=Layout("csv")), Way(layout=Layout("csv", files=40))]
    ways += [Way(layout=Layout("ipc")), Way(layout=Layout("ipc", files=40, group_rows=1_000))]
    ways += [Way(layout=Layout(kind)) for kind in ("pandas", "polars", "arrow")]
    ways += [Way(simd=name) for name in simd_names()]
    ways += [Way(build=name) for name in builds if name != "release"]
    return ways


def random_way(dice: random.Random, builds: list[str]) -> Way:
    layout = Layout(
        dice.choice(["parquet", "csv", "ipc"]),
        dice.choice([1, 40]),
        dice.choice([1_000, 10_000, 1_000_000]),
    )
    return Way(
        threads=dice.choice([1, 2, 3, 8]),
        layout=layout,
        simd=dice.choice(simd_names()),
        build=dice.choice(builds),
    )


def golden_runs(builds: list[str], with_aarch64: bool, begin: float) -> list[Tally]:
    """Runs the program of the golden digests in each build, by instructions and threads."""
    tallies = []
    for build in builds:
        program = ROOT / "build" / build / "tests" / "golden" / "golden_digests"
        tally = Tally(f"x86-64, {build}")
        for simd in simd_names():
            for threads in (1, 3):
                run_golden(tally, [str(program)], simd, threads)
        tallies.append(tally)
        say(begin, f"golden digests, {tally.reference}: {len(tally.others)} differ")
    if with_aarch64:
        tally = Tally("aarch64 by qemu-user, gcc")
        sysroot = ROOT / "build" / "sysroot-aarch64" / "usr" / "lib" / "aarch64-linux-gnu"
        program = ROOT / "build" / "aarch64" / "tests" / "golden" / "golden_digests"
        emulated = [*QEMU, "-E", f"LD_LIBRARY_PATH={sysroot}", str(program)]
        for simd in AARCH64_SIMD:
            run_golden(tally, emulated, simd, 2)
        tallies.append(tally)
        say(begin, f"golden digests, {tally.reference}: {len(tally.others)} differ")
    return tallies


def run_golden(tally: Tally, program: list[str], simd: str, threads: int) -> None:
    check = ["--check", str(ROOT / "tests" / "golden" / "digests.txt"), "--threads", str(threads)]
    run = subprocess.run(
        [*program, *check],
        env={**os.environ, "EVERGROVE_SIMD": simd},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    last = (run.stdout + run.stderr).strip().rpartition("\n")[2]
    way = f"{simd}, {threads} threads"
    tally.add(way, tally.reference if run.returncode == 0 else last)


def page_of(
    cases: list[Case],
    tallies: dict[str, Tally],
    combinations: Tally,
    killed: Tally,
    kill_count: int,
    golden: list[Tally],
) -> str:
    ways = [str(way) for way in single_ways(["release", "debug", "clang"], 10**9)]
    rows = [
        [
            case.name,
            f"{len(case.data.frame):,}",
            f"`{tallies[case.name].reference[:16]}`",
            *counts(tallies[case.name]),
        ]
        for case in cases
    ]
    parts = [
        f"Each case, {cases[0].trees} trees, is trained once as `{Way()}` and then in ways that "
        "must not matter; *equal* counts those with the very same SHA-256.",
        table(["case", "rows", "digest", "ways", "equal"], rows),
        "The ways: " + "; ".join(ways) + ".",
        table(
            ["beside them", "runs", "equal"],
            [
                ["random combinations of these", *counts(combinations)],
                [f"runs with {kill_count} SIGKILLs at random instants", *counts(killed)],
            ],
        ),
        "The golden digests (`tests/golden/digests.txt`: 30 models and their scores), by build, "
        "SIMD instructions and threads:",
        table(["build", "runs", "equal"], [[tally.reference, *counts(tally)] for tally in golden]),
    ]
    others = [other for tally in tallies.values() for other in tally.others]
    others += [*combinations.others, *killed.others]
    others += [f"{tally.reference}: {other}" for tally in golden for other in tally.others]
    if others:
        parts.append("What differed:\n\n" + "\n".join(f"- {other}" for other in others))
    return "\n\n".join(parts)


def counts(tally: Tally) -> list[str]:
    return [str(tally.runs), str(tally.runs - len(tally.others))]


if __name__ == "__main__":
    sys.exit(main())
