# SPDX-License-Identifier: Apache-2.0
"""The fuzzing campaign: each libFuzzer target for ten minutes, and a page of what they did.

script/campaign fuzz [--seconds N] [--jobs N]
"""

import argparse
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.campaigns.report import ROOT, table, write_page


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="script/campaign fuzz", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seconds", type=int, default=600, help="for each target (600)")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time (1)")
    options = parser.parse_args()
    script = ROOT / "script" / "fuzz"
    listed = subprocess.run([script, "--list"], capture_output=True, text=True, check=True)
    names = listed.stdout.split()
    # A target that cannot be built has found nothing, and is no reason to write a page.
    subprocess.run([ROOT / "script" / "build", "--preset", "fuzz", *names], check=True)

    def run(name: str) -> bool:
        command = [str(script), name, "--seconds", str(options.seconds)]
        return subprocess.run(command, check=False).returncode == 0

    with ThreadPoolExecutor(options.jobs) as pool:
        passed = dict(zip(names, pool.map(run, names), strict=True))
    found = [name for name in names if not passed[name]]
    rows = []
    for name in names:
        runs, edges, corpus = figures(ROOT / "build" / f"fuzz-{name}.log")
        rows.append(
            [f"`{name}`", what_of(name), runs, edges, corpus, "yes" if name in found else "no"]
        )
    header = ["target", "what it is given", "runs", "edges", "corpus", "finding"]
    body = (
        f"Each target ran for {options.seconds} seconds, {options.jobs} at a time, with the "
        "address and undefined behaviour sanitizers, from the corpus of the runs before.\n\n"
        + table(header, rows)
    )
    command = f"script/campaign fuzz --seconds {options.seconds} --jobs {options.jobs}"
    path = write_page("fuzz", "Any bytes", command, body)
    print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)
    print(f"{len(rows) - len(found)} passed, {len(found)} failed")
    return 1 if found else 0


def figures(log: Path) -> tuple[str, str, str]:
    """Runs, edges covered and inputs kept, from the last line of libFuzzer's that has them."""
    text = log.read_text(errors="replace") if log.exists() else ""
    runs = re.findall(r"number_of_executed_units: (\d+)", text)
    states = re.findall(r"cov: (\d+) .*?corp: (\d+)/", text)
    count = f"{int(runs[-1]):,}" if runs else "?"
    return (count, *states[-1]) if states else (count, "?", "?")


def what_of(name: str) -> str:
    """The opening sentence of the target's source, up to its colon."""
    text = (ROOT / "tests" / "fuzz" / f"{name}.cc").read_text()
    comment = " ".join(line[2:].strip() for line in text.split("\n")[:3] if line[:2] == "//")
    return re.split(r"[:.]", comment)[0].strip()


if __name__ == "__main__":
    sys.exit(main())
