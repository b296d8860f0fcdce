# SPDX-License-Identifier: Apache-2.0
"""The fuzzing campaign: each libFuzzer target for ten minutes, and a page of what they did.

script/campaign fuzz [TARGET...] [--seconds N] [--jobs N]
"""

import argparse
import datetime
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.campaigns.report import ROOT, commit, table, write_page

PAGE = ROOT / "docs" / "campaigns" / "fuzz.md"
HEADER = [
    *("target", "what it is given", "runs", "edges", "corpus", "finding"),
    *("seconds", "date", "commit"),
]
OTHERS = """Bytes from outside that have no target here, since others read them and fuzz what does:
Parquet and Arrow files (Apache Arrow), TLS' records and certificates (Mbed TLS), and the answers of
object stores to what Arrow asks of them. What comes through these goes on as rows or messages,
which have targets above."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="script/campaign fuzz", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("targets", nargs="*", help="only these; the page keeps the others' rows")
    parser.add_argument("--seconds", type=int, default=600, help="for each target (600)")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time (1)")
    options = parser.parse_intermixed_args()
    script = ROOT / "script" / "fuzz"
    listed = subprocess.run([script, "--list"], capture_output=True, text=True, check=True)
    every = listed.stdout.split()
    names = [f"{name.removesuffix('_fuzz')}_fuzz" for name in options.targets] or every
    built_from = commit()
    # A target that cannot be built has found nothing, and is no reason to write a page.
    subprocess.run([ROOT / "script" / "build", "--preset", "fuzz", *names], check=True)

    def run(name: str) -> bool:
        command = [str(script), name, "--seconds", str(options.seconds)]
        return subprocess.run(command, check=False).returncode == 0

    said = " ".join(["script/campaign fuzz", *options.targets, f"--seconds {options.seconds}"])
    today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    rows = rows_of_before()
    found = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for name, is_clean in zip(names, pool.map(run, names), strict=True):
            if not is_clean:
                found.append(name)
            rows[name] = row_of(name, is_clean, [str(options.seconds), today, f"`{built_from}`"])
            # After each, so that hours of work survive an interruption.
            write(f"{said} --jobs {options.jobs}", [rows[each] for each in every if each in rows])
    print(f"wrote {PAGE.relative_to(ROOT)}", file=sys.stderr)
    print(f"{len(names) - len(found)} passed, {len(found)} failed")
    return 1 if found else 0


def write(command: str, rows: list[list[str]]) -> None:
    body = (
        "Each target ran with the address and undefined behaviour sanitizers, from the corpus of "
        "the runs before; the date and the commit are those of its last run.\n\n"
        f"{table(HEADER, rows)}\n\n{OTHERS}"
    )
    write_page("fuzz", "Any bytes", command, body)


def row_of(name: str, is_clean: bool, when: list[str]) -> list[str]:
    log = ROOT / "build" / f"fuzz-{name}.log"
    finding = "no" if is_clean else "yes"
    return [f"`{name}`", what_of(name), *figures(log), finding, *when]


def rows_of_before() -> dict[str, list[str]]:
    """The rows of the page as it is, by target."""
    rows = {}
    for line in PAGE.read_text().splitlines() if PAGE.exists() else []:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == len(HEADER) and cells[0].endswith("_fuzz`"):
            rows[cells[0].strip("`")] = cells
    return rows


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
