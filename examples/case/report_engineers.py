# SPDX-License-Identifier: Apache-2.0
"""The lower part of the fraud case's page: digests, and what one needs to judge or to repeat it."""

from collections.abc import Mapping
from html import escape
from typing import Any

from examples.case import charts, report_words
from examples.case.figures import Case, Prices, Trace
from examples.case.report_pictures import NARROW, WIDE, both
from examples.case.report_words import DIGEST_TITLES, Verdict, count, seconds, size

DATA_TITLES = {
    "source": "Transactions",
    "rows": "Training rows",
    "features": "Features",
    "copies": "Copies of each",
    "train": "Trained on",
    "test": "Tested on",
    "test_rows": "Test rows",
    "files": "Parquet files",
    "bytes": "Their size",
    "store": "Object store",
}


def digests(case: Case) -> str:
    found = report_words.verdict(case)
    css = {Verdict.EQUAL: "verdict", Verdict.DIFFERENT: "verdict differs", Verdict.UNKNOWN: ""}
    rows = items(
        {
            DIGEST_TITLES.get(name, name): digest or "not known"
            for name, digest in case.digests.items()
        },
        is_code=True,
    )
    return f"""<section class="{css[found]}">
<h2>Digests of Evergrove's models</h2>
<span class="seal">{escape(found.value)}</span>
{rows}
<p class="soft">The SHA-256 of all that the model computes with: equal digests are equal scores, to
the last bit, for every transaction.</p>
</section>"""


def engineers(case: Case) -> str:
    place = {
        "Machine": case.machine,
        "Made": case.made,
        "Commit": case.commit,
        "The whole took": seconds(case.seconds_total),
    }
    commands = case.commands or [case.command]
    lines = "\n".join(f"<p><code>{escape(line)}</code></p>" for line in commands if line)
    return f"""<section class="long">
<h2>For engineers</h2>
<h3>Data</h3>
{items(data(case.data), css="facts")}
<h3>Settings</h3>
{items(case.settings, css="facts")}
{trace(case.trace)}
{prices(case.prices)}
<h3>Versions</h3>
{items(case.versions, css="facts")}
<h3>Again</h3>
{lines}
{items(place)}
{errors(case)}
</section>"""


def data(values: Mapping[str, Any]) -> dict[str, str]:
    shown = {}
    for name, value in values.items():
        is_number = isinstance(value, (int, float))
        if name == "bytes" and is_number:
            words = size(value)
        else:
            words = count(value) if is_number else str(value)
        shown[DATA_TITLES.get(name, name)] = words
    return shown


def items(values: Mapping[str, Any], is_code: bool = False, css: str = "") -> str:
    """Returns names and values; what is not known is left out."""
    code, end = ("<code>", "</code>") if is_code else ("", "")
    rows = "\n".join(
        f"<dt>{escape(str(name))}</dt><dd>{code}{escape(str(value))}{end}</dd>"
        for name, value in values.items()
        if value not in (None, "")
    )
    start = f'<dl class="{css}">' if css else "<dl>"
    return f"{start}\n{rows}\n</dl>"


def trace(found: Trace) -> str:
    if not found.levels:
        return ""
    words = {"File": found.file, "Kind": found.kind}
    if found.step_seconds is not None and found.real_step_seconds is not None:
        words["A step"] = (
            f"{found.step_seconds:g} s, for {found.real_step_seconds:g} s when recorded"
        )
    if found.speed_up is not None:
        words["Sped up"] = f"{found.speed_up:,.0f} times"
    return f"""<h3>Trace: how many workers there may be</h3>
{items(words)}
{both(charts.trace(found, WIDE), charts.trace(found, NARROW))}"""


def prices(found: Prices) -> str:
    words = {"Instance": found.instance}
    if found.vcpus is not None:
        words["Virtual CPUs"] = str(found.vcpus)
    for title, price in (
        ("On demand", found.on_demand_per_hour),
        ("Spot", found.spot_per_hour),
    ):
        if price is not None:
            words[title] = f"${price:.4g} an hour"
    words["Source"] = found.source
    assumed = "\n".join(f"<li>{escape(each)}</li>" for each in found.assumptions)
    return f"""<h3>Prices and what is assumed</h3>
{items(words)}
<ul>
{assumed}
</ul>"""


def errors(case: Case) -> str:
    """What the contenders that had to begin again were told, in full."""
    found = {each.title: each.error for each in case.contenders if each.error}
    return f"<h3>Their last errors</h3>\n{items(found, is_code=True)}" if found else ""
