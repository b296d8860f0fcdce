# SPDX-License-Identifier: Apache-2.0
"""report.html of the fraud case: one page for who decides and for who builds, in light and dark,
and nothing from elsewhere: it can be mailed and opened years later.

    python -m examples.case.report case.json --out report.html
"""

import argparse
import json
import sys
from html import escape
from pathlib import Path
from typing import Any

from examples.case import report_words
from examples.case.figures import Case, Contender, Prices, read_case
from examples.case.report_engineers import digests, engineers
from examples.case.report_pictures import pictures
from examples.case.report_style import STYLE
from examples.case.report_table import comparison, scenarios
from examples.case.report_words import Verdict, count, dollars, percent, seconds, thousand


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="report", description="Makes the page from case.json.")
    parser.add_argument("case", type=Path, help="what script/case has written")
    parser.add_argument("--out", type=Path, default=Path("report.html"))
    options = parser.parse_args(arguments)
    try:
        page = render(json.loads(options.case.read_text()))
        options.out.write_text(page)
    except (OSError, ValueError) as error:
        print(f"report: {options.case}: {error}", file=sys.stderr)
        return 2
    return 0


def render(values: dict[str, Any]) -> str:
    """Returns the page, or raises a ValueError that says what the values lack."""
    case = read_case(values)
    title = report_words.headline(case)
    css = "" if report_words.verdict(case) is not Verdict.DIFFERENT else ' class="differs"'
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Evergrove: the fraud case</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1{css}>{escape(title)}</h1>
{lede(case)}
{cards(case)}
{comparison(case)}
{pictures(case)}
{scenarios(case)}
{digests(case)}
{engineers(case)}
</main>
</body>
</html>
"""


def lede(case: Case) -> str:
    words = report_words.lede(case)
    data = case.data
    about = "Card fraud on a Dask cluster"
    if data.get("rows") is not None and data.get("features") is not None:
        about += f": {count(data['rows'])} transactions, {data['features']} features"
    said = f'<p class="lede">{escape(words)}</p>\n' if words else ""
    return f'{said}<p class="soft">{escape(about)}. {escape(case.made)}</p>'


def cards(case: Case) -> str:
    run, static = case.of(report_words.TRACE), case.of(report_words.STATIC)
    found = [digest_card(case)]
    if run is not None:
        found += [time_card(run, static), cost_card(run, static, case.prices), work_card(case, run)]
    return '<div class="cards">\n' + "\n".join(found) + "\n</div>"


def card(name: str, figure: str, words: str, css: str = "") -> str:
    return (
        f'<div class="card {css}"><span class="name">{escape(name)}</span>'
        f"<b>{escape(figure)}</b>{escape(words)}</div>"
    )


def digest_card(case: Case) -> str:
    found = report_words.verdict(case)
    figure, words, css = {
        Verdict.EQUAL: (
            "the same",
            "Equal to the bit on one machine, on a quiet cluster, and on the trace.",
            "",
        ),
        Verdict.DIFFERENT: ("NOT the same", "The digests differ; see below.", "differs"),
        Verdict.UNKNOWN: ("not compared", "Not all of the digests are known.", "unknown"),
    }[found]
    return card("Model", figure, words, css)


def time_card(run: Contender, static: Contender | None) -> str:
    if not run.finished:
        return card("Time", "no end", f"Evergrove {report_words.outcome(run)}.", "differs")
    words = "on the trace"
    if static is not None and static.finished and static.seconds and run.seconds is not None:
        factor = run.seconds / static.seconds
        words += f"; {factor:.1f} times the {seconds(static.seconds)} of a quiet cluster"
    return card("Time", seconds(run.seconds), f"{words}.")


def cost_card(run: Contender, static: Contender | None, prices: Prices) -> str:
    name = "Cost of 1,000 trainings"
    spot = thousand(run.cost.spot)
    if not run.finished:
        words = "not known" if spot is None else "spent at spot prices, without a model"
        return card(name, dollars(spot), f"{words}.", "differs")
    words = "on the trace at spot prices"
    share = report_words.cost_share(run, static)
    if share is not None and static is not None:
        words += (
            f"; {percent(share)} of the {dollars(thousand(static.cost.on_demand))} of a quiet "
            "cluster on demand"
        )
    machine = f" ({prices.instance})" if prices.instance else ""
    return card(name, dollars(spot), f"{words}{machine}.", "unknown" if spot is None else "")


def work_card(case: Case, run: Contender) -> str:
    words = "by Evergrove"
    if run.losses is not None:
        words += f"; {count(run.losses)} {'machine' if run.losses == 1 else 'machines'} lost"
    for each in case.contenders:
        if each.cluster == "trace" and not each.is_ours and each.work_lost_share is not None:
            way = "checkpoints" if each.keeps_checkpoints else "restarts"
            words += f". {each.library} with {way}: {percent(each.work_lost_share)}"
    css = "unknown" if run.work_lost_share is None else ""
    return card("Work lost", percent(run.work_lost_share), f"{words}.", css)


if __name__ == "__main__":
    sys.exit(main())
