# SPDX-License-Identifier: Apache-2.0
"""The page docs/peers_when_workers_die.md, from what interruptions.py observed.

python -m bench.compare.interruptions_page build/peers/results.json    writes it again
"""

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.compare import machine
from bench.compare.results import commit

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/peers_when_workers_die.md"
VERSIONS = ("xgboost", "lightgbm", "dask", "distributed", "pyspark", "numpy", "pandas", "pyarrow")
Result = dict[str, Any]

EVENTS = {
    "nothing": "nothing",
    "machine": "all processes of one worker get SIGKILL",
    "process": "only what trains gets SIGKILL",
    "silent": "all processes of one worker get SIGSTOP",
    "join": "a worker is added",
}
INTRODUCTION = """\
# What the peers do when a worker dies or comes

Made by `script/campaign peers`; do not edit. Real clusters of processes on one machine: a Dask
scheduler and `dask worker` processes; a Spark standalone master and `Worker` processes, with the
executors that they start. {rows:,} rows of 28 columns in 12 Parquet files, {rounds} trees of depth
8 (255 leaves with LightGBM), one thread a worker, 3 workers (2 where one is added). The deed is
done when every worker has finished round {fault}; then the run has {limit:.0f} seconds. A callback
of each library notes every finished round; nothing else is added.

| library | what is done to it | settings | what comes of it | rounds done, of them lost |
| --- | --- | --- | --- | --- |
"""
NOTES = """
*Killed* closes the connections at once, because the kernel of a living machine does so. *Stopped*
is a machine that goes silent with its connections open: frozen, or cut off. (One that is cut off
answers no packet either; then Linux itself gives up after about 15 minutes of sending again, or
later if there is nothing to send.) A run that *hangs* had made no progress and had not ended when
its seconds were over; it may have ended later. A run that ends with an exception leaves no model:
none of the three keeps a checkpoint by itself, so all finished rounds are lost. A run that was
started again by the engine counts all rounds of the first try as lost.

"""


def write(results: list[Result], *, rows: int, limit: float, rounds: int, fault: int) -> None:
    text = INTRODUCTION.format(rows=rows, limit=limit, rounds=rounds, fault=fault)
    text += "".join(row(one, rounds) for one in results) + NOTES
    text += joins(results, rounds) + words(results) + settings(results) + where()
    PAGE.write_text(text)
    shape = {"rows": rows, "limit_seconds": limit, "rounds": rounds, "fault_round": fault}
    document = {"machine": machine.describe(), "versions": versions(), **shape, "cases": results}
    PAGE.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")


def row(result: Result, rounds: int) -> str:
    case = result["case"]
    if case["event"] in ("nothing", "join"):
        done = f"{result['last_round']}, none"
    elif result["outcome"] == "trained":
        lost = sum(result["rounds_again"])
        done = f"{rounds + lost}, {lost}"
    else:
        done = f"{result['round_at_deed']}, all"
    cells = [case["library"], EVENTS[case["event"]], case["setting"], came_of_it(result), done]
    return "| " + " | ".join(cells) + " |\n"


def came_of_it(result: Result) -> str:
    seconds = result["seconds"]
    event = result["case"]["event"]
    since = "" if event == "nothing" else " later"
    if result["outcome"] == "hangs":
        return f"**hangs**: no end {seconds:.0f} s later; {result['busy_cores']:.1f} cores busy"
    if result["outcome"] == "not run":
        return f"could not be run: {result['message']}"
    if result["outcome"] == "failed":
        return f"**fails** {seconds:.1f} s later: `{first_line(result)}`"
    again = result["rounds_again"]
    how = f"**starts again** from nothing ({len(again)}x), " if again else ""
    if event == "join":
        how = "goes on without it, "
    return f"{how}trained {seconds:.0f} s{since}"


def first_line(result: Result, width: int = 200) -> str:
    """Returns the exception's class and the first line of its text that says something."""
    lines = [line.strip(" -:") for line in result["message"].splitlines() if line.strip(" -:")]
    if not lines:
        return str(result["exception"])
    cause = next((line for line in lines if "SparkException" in line), "")
    place = re.compile(r"^\[[^]]*\] \S+result\.cc:\d+: \[[^]]*\]:$")  # XGBoost's own file and time
    told = cause or " ".join(line for line in lines[:4] if not place.match(line))
    text = f"{result['exception'].rsplit('.', 1)[-1]}: {told}".replace("|", "/").replace("`", "'")
    return text if len(text) <= width else text[: width - 3] + "..."


def joins(results: list[Result], rounds: int) -> str:
    text = "## Is a worker that comes in mid-training used?\n\n"
    text += "| library | belongs to the cluster at round | rounds it did in that run |"
    text += " rounds it did in the next run |\n| --- | --- | --- | --- |\n"
    for one in results:
        if one["case"]["event"] == "join":
            text += f"| {one['case']['library']} | {one['joined_at_round']} of {rounds} "
            text += f"| {one['rounds_of_newcomer']} | {one['rounds_of_newcomer_next_run']} |\n"
    text += (
        "\nThe next run, in the same session, reads the data anew. It was cut off with the case,"
    )
    text += " so its number of rounds says only whether the newcomer took part.\n\n"
    return text


def words(results: list[Result]) -> str:
    text = "## The exceptions, as the user sees them\n\nThe first lines; the rest is in the JSON.\n"
    for one in results:
        if one["outcome"] == "failed":
            case = one["case"]
            lines = [line.rstrip()[:240] for line in one["message"].splitlines() if line.strip()]
            text += f"\n{case['library']}, {EVENTS[case['event']]}, {case['setting']}:\n"
            text += "\n```\n" + "\n".join([f"{one['exception']}:", *lines[:5]]) + "\n```\n"
    return text


def settings(results: list[Result]) -> str:
    """Returns the knobs that were set, once for each library."""
    text = "\n## Time-outs and retries that were set\n\n"
    for library in dict.fromkeys(one["case"]["library"] for one in results):
        knobs: dict[str, Any] = {}
        for case in (one["case"] for one in results if one["case"]["library"] == library):
            knobs |= case["variables"] | case["spark"] | case["parameters"]
            knobs |= {f"xgboost.collective.Config {k}": v for k, v in case["collective"].items()}
        said = ", ".join(f"`{name}={value}`" for name, value in knobs.items())
        text += f"- {library}: {said}\n"
    return text


def where() -> str:
    said = ", ".join(f"{name} {version}" for name, version in versions().items())
    return f"\n{machine.place(machine.describe())}; {said}; commit {commit()}.\n"


def versions() -> dict[str, str]:
    java = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    return {name: metadata.version(name) for name in VERSIONS} | {"Java": java.split('"')[1]}


if __name__ == "__main__":
    from bench.compare import interruptions

    interruptions.write_page(json.loads(Path(sys.argv[1]).read_text()), interruptions.LIMIT_SECONDS)
