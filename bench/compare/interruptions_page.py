# SPDX-License-Identifier: Apache-2.0
"""The page docs/peers_when_workers_die.md, from what interruptions.py observed.

python -m bench.compare.interruptions_page build/peers/results.json    writes it again
"""

import json
import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.compare import machine
from bench.compare.interruptions_cluster import DaskCluster, SparkCluster
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
of each library notes every finished round; nothing else is added. *As it comes*: no setting
changed. The machine was not quiet: the seconds tell hanging from failing, not how fast a library
is.

{verdict}

| library | what is done to it | settings | what comes of it | rounds done, of them lost |
| --- | --- | --- | --- | --- |
"""
NOTES = """
A case that stands there more than once was run as often: how it ends is partly chance.
*What trains* is the Dask worker, started again by its nanny, or Spark's executor with its Python
processes, started again by the Spark worker. SIGKILL closes the connections at once, because the
kernel of a living machine does so. SIGSTOP is a machine that goes silent with its connections open:
frozen, or cut off. (One that is cut off answers no packet either; then Linux itself gives up after
about 15 minutes of sending again, or later if there is nothing to send.) A run that *hangs* had
made no progress and had not ended when its seconds were over; it may have ended later. A run that
ends with an exception leaves no model: none of the three keeps a checkpoint by itself, so all
finished rounds are lost (XGBoost has a callback, `TrainingCheckPoint`, that a user may add, and
then start again by hand). A run that was started again by the engine counts all rounds of the first
try as lost.

"""


def write(results: list[Result], *, rows: int, limit: float, rounds: int, fault: int) -> None:
    text = INTRODUCTION.format(
        rows=rows, limit=limit, rounds=rounds, fault=fault, verdict=verdict(results)
    )
    text += "".join(row(one, rounds) for one in results) + NOTES
    text += joins(results, rounds) + words(results) + settings(results) + commands() + where()
    PAGE.write_text(text)
    shape = {"rows": rows, "limit_seconds": limit, "rounds": rounds, "fault_round": fault}
    document = {"machine": machine.describe(), "versions": versions(), **shape, "cases": results}
    PAGE.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")


def verdict(results: list[Result]) -> str:
    lost = [one for one in results if one["case"]["event"] in ("machine", "process", "silent")]
    failed = sum(one["outcome"] == "failed" for one in lost)
    hang = sum(one["outcome"] == "hangs" for one in lost)
    trained = [one for one in lost if one["outcome"] == "trained"]
    again = sum(bool(one["rounds_again"]) for one in trained)
    joined = [one for one in results if one["case"]["event"] == "join"]
    used = sum(one["rounds_of_newcomer"] > 0 for one in joined)
    return (
        f"Of {len(lost)} runs that lost a worker, {failed} failed, {hang} hung, {again} were "
        f"started again from nothing by the engine, {len(trained) - again} went on. Of "
        f"{len(joined)} runs to which a worker was added, {used} used it."
    )


def row(result: Result, rounds: int) -> str:
    case = result["case"]
    if case["event"] in ("nothing", "join"):
        done = f"{result['last_round']}, none"
    elif result["outcome"] == "hangs":
        done = f"{result['last_round']}, all when it is ended by hand"
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


def first_line(result: Result, width: int = 260) -> str:
    """Returns the exception's class and the first lines of its text, without places in sources."""
    text = str(result["message"]).split("Stack trace")[0]
    text = re.sub(r"\[[^] ]*:\d+\]|\S+\.cc:\d+", "", text)
    lines = [line for line in (line.strip(" -:\t") for line in text.splitlines()) if line]
    cause = [line for line in lines if "SparkException" in line]
    told = " ".join((cause or lines)[:3]).replace("|", "/").replace("`", "'")
    text = f"{result['exception'].rsplit('.', 1)[-1]}: {told}"
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
        "\nThe next run, in the same session, reads the data anew. It may be cut off with the case,"
    )
    text += " so its number of rounds says only whether the newcomer took part.\n\n"
    return text


def words(results: list[Result]) -> str:
    text = "## The exceptions, as the user sees them\n\nThe first lines; the rest is in the JSON.\n"
    for one in results:
        if one["outcome"] == "failed":
            case = one["case"]
            lines = [
                line.expandtabs(4)[:240].rstrip()
                for line in one["message"].splitlines()
                if line.strip()
            ]
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


def commands() -> str:
    """Returns the commands of the clusters, from the code that runs them."""
    folder = Path("FOLDER")
    text = "\n## Commands\n\n```\n"
    for cluster in (DaskCluster(folder, {}, nanny=False), SparkCluster(folder, {})):
        for command in (cluster.master_command(), cluster.worker_command("w0")):
            line = shlex.join(command).replace(sys.executable, "python")
            line = line.replace(str(cluster.port), "PORT")
            text += re.sub(r"\S+/pyspark/bin", "$SPARK_HOME/bin", line) + "\n"
    text += "python -m bench.compare.interruptions_training JOB.json\n```\n\n"
    text += "The trainings are in `bench/compare/interruptions_training.py`, the cases in "
    return text + "`bench/compare/interruptions.py`.\n"


def where() -> str:
    said = ", ".join(f"{name} {version}" for name, version in versions().items())
    return f"\n{machine.place(machine.describe())}; {said}; commit {commit()}.\n"


def versions() -> dict[str, str]:
    java = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    return {name: metadata.version(name) for name in VERSIONS} | {"Java": java.split('"')[1]}


if __name__ == "__main__":
    from bench.compare import interruptions

    interruptions.write_page(json.loads(Path(sys.argv[1]).read_text()), interruptions.LIMIT_SECONDS)
