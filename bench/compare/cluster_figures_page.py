# SPDX-License-Identifier: Apache-2.0
"""The page docs/cluster_figures.md and its picture, from the figures that cluster_figures.py has.

python -m bench.compare.cluster_figures_page docs/cluster_figures.json    writes them again
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from bench.compare import cluster_scale_picture, machine

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs/images/cluster_scale.svg"
Figures = dict[str, Any]

HEAD = """\
# What a cluster costs

Made by `script/campaign cluster_figures`; do not edit. Real processes on one machine, each worker
with one thread, but for the last part, which is a model. What belongs together was measured in
turn; the figures are medians. [The protocol](cluster.md) says why it is so.
"""


def write(figures: Figures, path: Path) -> None:
    sections = {
        "overhead": overhead,
        "peers": peers,
        "loss": loss,
        "bytes": bytes_a_tree,
        "scale": scale,
    }
    parts = [HEAD]
    for name, section in sections.items():
        if name in figures:
            parts.append(section(figures[name]))
    path.write_text("\n".join(parts))
    if "scale" in figures and path.resolve().parent == ROOT / "docs":
        PICTURE.write_text(cluster_scale_picture.draw(figures))


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def taken(part: Figures, name: str) -> str:
    text = (
        f"`script/campaign cluster_figures --parts {name}`, {machine.place(part['machine'])}, "
        f"commit {part['commit']}; load before it {part['load_before']}"
    )
    if "seconds_taken" in part:
        text += f", {part['seconds_taken']} s in all"
    return text + ".\n" + (f"\n{part['note']}\n" if "note" in part else "")


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def milliseconds(value: float) -> str:
    return f"{1000 * value:.0f} ms"


def median(values: list[float]) -> float:
    known = [value for value in values if value == value]
    return statistics.median(known) if known else float("nan")


def spread(values: list[float], form: Any) -> str:
    known = sorted(value for value in values if value == value)
    if not known:
        return "-"
    return f"{form(median(known))} ({form(known[0])} to {form(known[-1])})"


def ratio_rows(titles: Figures, summary: Figures) -> list[list[str]]:
    rows = []
    for name, each in summary.items():
        whole, tree = each["whole"], each["a_tree"]
        rows.append(
            [
                titles.get(name, name),
                seconds(whole["one"]),
                seconds(whole["two"]),
                f"**{whole['ratio']:.2f}**",
                f"{whole['two'] / whole['one']:.2f}",
                milliseconds(tree["one"]),
                milliseconds(tree["two"]),
                f"{tree['ratio']:.2f}",
            ]
        )
    return rows


RATIO_HEADER = [
    "",
    "one process, 2 threads",
    "2 workers, 1 thread each",
    "ratio",
    "of the medians",
    "a tree, one process",
    "a tree, 2 workers",
    "ratio",
]


def overhead(part: Figures) -> str:
    count = len(next(iter(part["runs"].values()))) // 2
    return (
        "## On the same cores\n\n"
        "Whole: from the start of the command to its end. A tree: the time after the data were "
        "described, which with workers has the reading of their shards in it, by the number of "
        f"trees. Medians of {count} pairs, and of their ratios; all models have one digest.\n\n"
        + table(RATIO_HEADER, ratio_rows(part["titles"], part["summary"]))
        + "\n"
        + taken(part, "overhead")
    )


def peers(part: Figures) -> str:
    count = len(next(iter(part["runs"].values()))) // 2
    return (
        "## The peers on the same cores\n\n"
        "XGBoost and LightGBM with as many trees and leaves: one process with 2 threads, and their "
        "Dask flavour on a `LocalCluster` of 2 workers of 1 thread. Whole: reading and training, "
        "without imports and the start of the cluster. A tree: between the end of the first and of "
        f"the last. Medians of {count} pairs.\n\n"
        + table(RATIO_HEADER, ratio_rows({}, part["summary"]))
        + "\n"
        + taken(part, "peers")
    )


def loss_column(losses: list[Figures]) -> list[str]:
    """What a loss took in some runs, in the order of LOSS_ROWS."""
    with_four = [each["a_tree_with_four"] for each in losses]
    standing = [each["loss"]["standing_seconds"] for each in losses]
    bound = [a + b for a, b in zip(with_four, standing, strict=True)]
    return [
        spread(with_four, milliseconds),
        spread([e["a_tree_with_three"] for e in losses], milliseconds),
        spread([e["seconds_lost"] for e in losses], milliseconds),
        spread([float(e["rows_of_the_lost"]) for e in losses], "{:,.0f}".format),
        spread(standing, milliseconds),
        spread(bound, milliseconds),
        spread([e["work_lost_seconds"] for e in losses], milliseconds),
    ]


LOSS_ROWS = (
    "a tree with four workers",
    "a tree with three",
    "lost in time: from the beginning of the round at hand until it is done again",
    "rows of the one that was lost",
    "of it reading the lost shards again",
    "one worker's share of one tree (it works as long as the tree takes), and reading",
    "work done twice, of all workers together (`work_lost_seconds`)",
)


def loss(part: Figures) -> str:
    losses, joins = part["losses"], part["joins"]
    columns = [LOSS_ROWS, loss_column(losses), loss_column(part["losses_with_replicas"])]
    rows = [list(row) for row in zip(*columns, strict=True)]
    join_rows = [
        [
            "from the start of its process until it joins",
            spread([e["seconds_until_it_joins"] for e in joins], seconds),
        ],
        [
            "until it takes part",
            spread([e["seconds_until_it_takes_part"] for e in joins], seconds),
        ],
        [
            "trees from its joining until it takes part",
            spread([float(e["trees_until_it_takes_part"]) for e in joins], "{:.0f}".format),
        ],
        ["a tree before, one worker", spread([e["a_tree_before"] for e in joins], milliseconds)],
        [
            f"a tree, the first {joins[0]['first_trees']} with two",
            spread([e["a_tree_of_the_first"] for e in joins], milliseconds),
        ],
        ["a tree after, two workers", spread([e["a_tree_after"] for e in joins], milliseconds)],
    ]
    cores = part["machine"]["cores"]
    return (
        "## Losing and adding a worker\n\n"
        f"{part['rows']:,} rows x 28, 255 leaves. Four workers, one of which gets SIGKILL in the "
        f"middle of a tree; median, least and most of {len(losses)} runs. The machine has {cores} "
        "cores, so that three workers here are about as fast as four.\n\n"
        + table(["a worker is killed", "no copies", "`--replicas 1`"], rows)
        + f"\nOne worker, and a second one in mid-run; {len(joins)} runs.\n\n"
        + table(["a worker comes", "value"], join_rows)
        + "\n"
        + "".join(minutes(each) for each in part["minutes"])
        + taken(part, "loss")
    )


def minutes(part: Figures) -> str:
    copies = f"`--replicas {part['replicas']}`" if part["replicas"] else "no copies"
    return (
        f"Four workers, {copies}, for {part['seconds']:.0f} s, of which {part['kills']} were "
        "killed one after the other at equal times and replaced at once: "
        f"**{100 * part['share_lost']:.2f} %** of the work was done twice "
        f"({seconds(part['work_lost_seconds'])} of {part['work_seconds']:.0f} s of workers' "
        f"time; {part['trees']:,} trees; {seconds(part['recovery_seconds'])} until the run "
        "was where it had been, all losses together).\n\n"
    )


def megabytes(value: float) -> str:
    return f"{value / 1e6:.1f}" if value < 1e8 else f"{value / 1e6:.0f}"


def bytes_a_tree(part: Figures) -> str:
    modelled = {each["workers"]: each for each in part["modelled"]}
    rows = []
    for each in part["measured"]:
        model = modelled[each["workers"]]
        rows.append(
            [
                str(each["workers"]),
                megabytes(each["in_bytes"]),
                megabytes(each["out_bytes"]),
                megabytes(model["in_bytes"]),
                megabytes(model["out_bytes"]),
                megabytes(each["coordinator_in_bytes"]),
                megabytes(each["coordinator_out_bytes"]),
            ]
        )
    header = ["workers", "MB in", "MB out", "modelled in", "modelled out"]
    header += ["coordinator in", "coordinator out"]
    return (
        "## Bytes a tree\n\n"
        f"{part['rows']:,} rows x 28, 255 leaves, {part['trees']} trees after the first ones, by "
        "TCP and TLS as between machines (processes of one machine give small nodes' sums to one "
        "another in shared memory, as they are). Of the worker that has the most, as `evergrove "
        "worker --json` says at its end; beside it what the model below has for as many rows.\n\n"
        + table(header, rows)
        + "\n"
        + taken(part, "bytes")
    )


def scale_rows(figures: list[Figures]) -> list[list[str]]:
    return [
        [
            f"{f['workers']:,}",
            seconds(f["seconds"]) if f["seconds"] >= 0.1 else milliseconds(f["seconds"]),
            f["bound"],
            megabytes(f["in_bytes"]),
            megabytes(f["out_bytes"]),
            milliseconds(f["compute_seconds"]),
            milliseconds(f["link_seconds"]),
            milliseconds(f["latency_seconds"]),
            milliseconds(f["coordinator_seconds"]),
        ]
        for f in figures
    ]


def scale(part: Figures) -> str:
    now, straight = part["now"], part["straight"]
    first, last = now[0], now[-1]
    header = ["workers", "a tree", "bound by", "MB in", "MB out"]
    header += ["compute", "busiest link", "latency", "coordinator"]
    costs = first["costs"]
    a_row = {
        "gradient": costs["gradient_row"],
        "partition": costs["partition_row"],
        "end of a tree": costs["finish_row"],
    }
    words = ", ".join(f"{name} {1e9 * value:.2f} ns" for name, value in a_row.items())
    bins = {
        "clear and encode": costs["make_bin"],
        "decode and add": costs["add_bin"],
        "subtract and search": costs["search_bin"],
    }
    bin_words = ", ".join(f"{name} {1e9 * value:.1f} ns" for name, value in bins.items())
    text = (
        "## Up to a thousand workers, modelled\n\n"
        "![Bytes through the busiest machine and seconds a tree, for 1 to 1,000 workers]"
        "(images/cluster_scale.svg)\n\n"
        f"`evergrove-sim --scale 1,2,4,...` runs the very state machines of coordinator and "
        f"workers, each on a machine of {first['threads']} cores and a link of 10 Gb/s both ways, "
        f"200 us apart; {first['rows']:,.0f} rows x {first['features']} with 255 bins, "
        f"{first['leaves']} leaves, shared out evenly. 65,536 real rows stand for all of them: "
        "what is decided and said is real, how long a worker takes and how large a histogram is "
        "follows from the rows it stands for. Constants, measured on one core when the program "
        f"starts: a row {words}; a row and feature {1e9 * costs['histogram_row_feature']:.2f} ns "
        f"in order, {1e9 * costs['gathered_row_feature']:.2f} ns gathered; a bin {bin_words}. A "
        f"message takes {1e6 * costs['message']:.0f} us of a core at either end, which is assumed. "
        "Cores of a worker share all work but the adding of what others sent, which one thread "
        "does. Only the time of the coordinator is measured in full. Compute, link, latency and "
        "coordinator are the time that each is busy a tree, of the machine with the most; *bound "
        "by* is the largest.\n\n"
        + table(header, scale_rows(now))
        + f"\nThe coordinator of {last['workers']:,} workers: "
        f"{milliseconds(last['coordinator_seconds'])} of CPU a tree "
        f"({milliseconds(last['coordinator_machine_seconds'])} in the state machine and in "
        f"encoding), {last['coordinator_bytes'] / 1e6:.1f} MB held, "
        f"{last['coordinator_bytes_with_messages'] / 1e6:.0f} MB with what it has to say to all at "
        f"once, {megabytes(last['coordinator_out_bytes'])} MB sent and "
        f"{megabytes(last['coordinator_in_bytes'])} MB received a tree, "
        f"{seconds(last['start_seconds'])} of CPU until all had joined and the first tree was "
        "done. With validation rows and a metric that ranks them (AUC), it receives about 3 bytes "
        "a validation row and tree more.\n\n"
    )
    text += (
        "### What keeps it level\n\n"
        "A block is a range of features, and there are at most 16 (`cluster/blocks.h`). What a "
        "member sends in a tree does not depend on the number of workers. What it receives does "
        "not either: up to 17 workers an owner has fewer blocks as the senders become more; beyond "
        "that members add up on the way, 16 to one (`cluster/sum_route.h`), and each does so for "
        "about one block. A hop more takes 200 us and some adding up a round.\n\n"
    )
    if straight:
        at = {f["workers"]: f for f in now}
        last = straight[-1]
        text += (
            "If every member sent to the owner itself (`--fan-in 1000000`), as it was before, an "
            "owner's bytes and adding up would grow with the workers:\n\n"
            + table(header, scale_rows(straight))
            + "\nAt {workers:,} workers the busiest link has {now} MB a tree instead of {then} MB, "
            "and a tree takes {faster} instead of {slower}.\n".format(
                workers=last["workers"],
                now=megabytes(
                    max(at[last["workers"]]["in_bytes"], at[last["workers"]]["out_bytes"])
                ),
                then=megabytes(last["in_bytes"]),
                faster=seconds(at[last["workers"]]["seconds"]),
                slower=seconds(last["seconds"]),
            )
            + "\n"
        )
    return text + taken(part, "scale")


if __name__ == "__main__":
    source = Path(sys.argv[1])
    write(json.loads(source.read_text()), source.with_suffix(".md"))
