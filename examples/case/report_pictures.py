# SPDX-License-Identifier: Apache-2.0
"""The drawings of the fraud case on its page: a picture a contender, and the machine-seconds."""

from html import escape

from examples.case import charts, report_words
from examples.case.figures import Case, Contender
from examples.case.report_words import count, seconds

WIDE, NARROW = 998, 336  # pixels of a drawing


def swatch(css: str) -> str:
    return f'<rect class="worker {css}" x="1" y="2" width="20" height="10"/>'


STARTING = (swatch("starting"), "starting")
RUN_LEGEND = [
    STARTING,
    (swatch("ready"), "at work"),
    ('<path class="killed" d="M7,3l8,8m0,-8l-8,8"/>', "killed"),
    ('<line class="loss" x1="11" x2="11" y1="0" y2="14"/>', "the same moment below"),
    ('<line class="line ours" x1="1" x2="21" y1="7" y2="7"/>', "trees"),
    ('<line class="line back ours" x1="1" x2="21" y1="7" y2="7"/>', "trees thrown away"),
    ('<line class="over" x1="11" x2="11" y1="0" y2="14"/>', "done"),
    ('<line class="over unfinished" x1="11" x2="11" y1="0" y2="14"/>', "given up"),
]
SPENT_LEGEND = [
    STARTING,
    (swatch("ready"), "at work"),
    (swatch("lost"), "at work that was thrown away or done twice"),
]


def pictures(case: Case) -> str:
    most = charts.seconds_shown(case.contenders)
    trees = max(
        [
            int(case.settings.get("n_estimators") or case.settings.get("trees") or 1),
            *(point[1] for each in case.contenders for point in each.curve),
        ]
    )
    seen = [each for each in case.contenders if each.workers or each.curve]
    if not seen:
        return ""
    figures = "\n".join(picture(each, most, trees) for each in seen)
    spent = both(*(charts.machine_seconds(case.contenders, width) for width in (WIDE, NARROW)))
    return f"""<section class="long">
<h2>Workers and trees, second by second</h2>
<p class="soft">All pictures go over the same {seconds(most)}.</p>
{legend(RUN_LEGEND)}
{figures}
</section>
<section>
<h2>What the machine-seconds went into</h2>
{legend(SPENT_LEGEND)}
{spent}
</section>"""


def picture(contender: Contender, seconds_max: float, trees_max: int) -> str:
    words = [report_words.outcome(contender)]
    if contender.trees is not None:
        words.append(f"{count(contender.trees)} trees")
    if contender.losses is not None:
        words.append(f"{count(contender.losses)} of {count(len(contender.workers))} workers lost")
    wide, narrow = (
        charts.run(contender, width, seconds_max=seconds_max, trees_max=trees_max)
        for width in (WIDE, NARROW)
    )
    return f"""<figure class="{charts.css_of(contender)}">
<figcaption><h3>{escape(contender.title)}
<span class="soft">{escape(", ".join(words))}</span></h3></figcaption>
{both(wide, narrow)}
</figure>"""


def both(wide: str, narrow: str) -> str:
    return f'<div class="wide">{wide}</div>\n<div class="narrow">{narrow}</div>'


def legend(entries: list[tuple[str, str]]) -> str:
    spans = "\n".join(
        f'<span><svg class="ours" viewBox="0 0 22 14" aria-hidden="true">{drawing}</svg>'
        f"{escape(words)}</span>"
        for drawing, words in entries
    )
    return f'<p class="legend">\n{spans}\n</p>'
