# SPDX-License-Identifier: Apache-2.0
"""The tables of the fraud case on its page: what each contender took and made, and its quality by
way of defrauding. On a narrow screen a row becomes a list, so each cell carries its column's name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from examples.case.figures import Case, Contender, Scenario
from examples.case.report_words import count, dollars, percent, seconds, share, thousand

# Columns under a common heading; the name of each on a narrow screen.
GROUPS = [
    ("", ["Time", "Trees", "Attempts", "Work lost"]),
    ("Machine-seconds", ["starting", "working", "lost"]),
    ("1,000 trainings", ["on demand", "spot"]),
    ("On the test days", ["ROC AUC", "average precision", "card precision"]),
]
SCENARIO_TITLES = {
    "1": "large amounts",
    "2": "terminals taken over",
    "3": "cards taken over",
}


@dataclass(frozen=True)
class Cell:
    words: str
    css: str = ""
    below: str = ""  # in small print


def comparison(case: Case) -> str:
    rows = "\n".join(row(first_cell(each), zip_cells(each)) for each in case.contenders)
    groups = "".join(
        f'<th class="first" colspan="{len(columns)}">{escape(title)}</th>'
        for title, columns in GROUPS
    )
    heads = "".join(
        f"<th{css_of(column)}>{escape(column)}</th>" for _, columns in GROUPS for column in columns
    )
    return f"""<section>
<h2>All contenders, in the same run</h2>
<div class="scroll"><table>
<thead><tr class="groups"><th></th>{groups}</tr><tr><th></th>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>
<p class="soft">Work lost: what was thrown away or done twice; below it whole trees, of all that
were made. Bold: how one would pay for it, on demand where no machine may be lost and spot where
they come and go; who did not finish has paid as well. Card precision: the share of
compromised cards among the 100 most suspect ones of a day.</p>
</section>"""


def first_cell(contender: Contender) -> Cell:
    if contender.finished:
        return Cell(contender.title)
    return Cell(contender.title, below=shortened(contender.error))


def shortened(words: str, most: int = 60) -> str:
    """Errors of a cluster can be long; their beginning says what it was."""
    words = " ".join(words.split())
    return words if len(words) <= most else words[: most - 1] + "…"


def css_of(column: str, css: str = "") -> str:
    """Returns a cell's classes; the first column of a group stands off."""
    is_first = any(column == columns[0] for title, columns in GROUPS if title)
    classes = " ".join(each for each in (css, "first" if is_first else "") if each)
    return f' class="{classes}"' if classes else ""


def zip_cells(contender: Contender) -> list[tuple[str, Cell]]:
    names = [
        f"{title}, {column}" if title else column for title, columns in GROUPS for column in columns
    ]
    return list(zip(names, cells(contender), strict=True))


def cells(contender: Contender) -> Iterator[Cell]:
    if contender.finished:
        yield Cell(seconds(contender.seconds))
    else:
        yield Cell(seconds(contender.gave_up_after or contender.seconds), "missed", "not finished")
    yield Cell(count(contender.trees))
    yield Cell(count(contender.attempts))
    lost, trained = contender.rounds_lost, contender.rounds_trained
    below = f"{count(lost)} of {count(trained)}" if lost and trained else ""
    yield Cell(percent(contender.work_lost_share), below=below)
    spent = contender.machine_seconds
    for value in (spent.starting, spent.working, spent.lost):
        yield Cell(count(value))
    is_trace = contender.cluster == "trace"
    yield Cell(dollars(thousand(contender.cost.on_demand)), "" if is_trace else "paid")
    yield Cell(dollars(thousand(contender.cost.spot)), "paid" if is_trace else "")
    found = contender.quality
    for value in (found.roc_auc, found.average_precision, found.card_precision):
        yield Cell(share(value))


def row(first: Cell, rest: list[tuple[str, Cell]]) -> str:
    return f"<tr>{cell('', first)}{''.join(cell(name, each) for name, each in rest)}</tr>"


def cell(name: str, content: Cell) -> str:
    css = css_of(name.split(", ")[-1], content.css)
    title = f' data-name="{escape(name)}"' if name else ""
    below = f'<span class="below">{escape(content.below)}</span>' if content.below else ""
    return f"<td{css}{title}><span>{escape(content.words)}{below}</span></td>"


def scenarios(case: Case) -> str:
    """How well each found the frauds of one kind among all genuine transactions."""
    measured = [each for each in case.contenders if each.quality.by_scenario]
    names = sorted({name for each in measured for name in each.quality.by_scenario})
    if not names:
        return ""
    titles = {name: scenario_title(name, measured) for name in names}
    heads = "".join(
        f"<th>{escape(titles[name].words)}<br>{escape(titles[name].below)}</th>" for name in names
    )
    rows = "\n".join(
        row(
            Cell(each.title),
            [
                (
                    titles[name].words,
                    Cell(share(each.quality.by_scenario.get(name, Scenario()).roc_auc)),
                )
                for name in names
            ],
        )
        for each in measured
    )
    return f"""<section>
<h2>By scenario of fraud</h2>
<div class="scroll"><table>
<thead><tr><th></th>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>
<p class="soft">ROC AUC of the frauds of one kind against all genuine transactions of the test days;
the kinds are those of the Fraud Detection Handbook.</p>
</section>"""


def scenario_title(name: str, measured: list[Contender]) -> Cell:
    counts = [
        scenario.frauds
        for each in measured
        if (scenario := each.quality.by_scenario.get(name)) and scenario.frauds is not None
    ]
    kind = SCENARIO_TITLES.get(name)
    title = f"{name}: {kind}" if kind else name
    return Cell(title, below=f"{count(counts[0])} frauds" if counts else "")
