# SPDX-License-Identifier: Apache-2.0
"""report.html: one page with all that the demo found out, in light and dark, and nothing from
elsewhere: it can be mailed and opened years later.

    Path("report.html").write_text(page(story))
"""

from html import escape

from bench.compare import machine
from examples.fraud import chart
from examples.fraud.story import QUALITIES, Library, Story

CAPTION = (
    "From Parquet: reading, bins and training. Training: the trees alone, with ROC AUC on the test "
    "days after each. Peak memory: of the whole process. Ours writes its log while it trains."
)

STYLE = """
:root { color-scheme: light dark; --paper: #fbfcfa; --card: #ffffff; --ink: #1b241f;
  --soft: #5b6860; --rule: #dfe5e0; --good: #117a48; --good-paper: #e5f4ea; --bad: #b3261e;
  --bad-paper: #fdeceb; --s0: #117a48; --s1: #b86a00; --s2: #2563c9; --s3: #a03a8c; }
@media (prefers-color-scheme: dark) { :root { --paper: #121714; --card: #1a211d; --ink: #e6ece8;
  --soft: #9aa8a0; --rule: #2e3833; --good: #4fd18c; --good-paper: #16301f; --bad: #ff8a80;
  --bad-paper: #3a1815; --s0: #4fd18c; --s1: #f0a545; --s2: #77a9ff; --s3: #e58fd3; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 880px; margin: 0 auto; padding: 32px 20px 56px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0; text-wrap: balance; }
h2 { font-size: 18px; margin: 0 0 12px; }
p { margin: 12px 0 0; } .soft { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 12px;
  padding: 20px; margin-top: 20px; }
.verdict { border-left: 6px solid var(--good); } .verdict.differs { border-left-color: var(--bad); }
.seal { display: inline-block; padding: 2px 12px; border-radius: 99px; font-weight: 600;
  background: var(--good-paper); color: var(--good); }
.differs .seal { background: var(--bad-paper); color: var(--bad); }
code { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 12px 0 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 8px 10px; text-align: right; border-bottom: 1px solid var(--rule); }
th { font-weight: 600; color: var(--soft); font-size: 14px; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; padding-left: 0; }
td { white-space: nowrap; } td.why { text-align: left; color: var(--soft); white-space: normal; }
tr:first-child td { font-weight: 600; } td .soft { font-weight: 400; }
td.best { color: var(--good); }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 8px; }
svg { display: block; width: 100%; height: auto; } .narrow { display: none; }
svg text { font-size: 13px; fill: var(--ink); } svg .tick { fill: var(--soft); }
svg .note { fill: var(--bad); } svg .inside { fill: #ffffff; font-weight: 600; }
svg .lane { font-weight: 600; } svg .label { font-weight: 600; }
.grid { stroke: var(--rule); } .mark { stroke: var(--bad); stroke-dasharray: 4 4; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .line.s0 { stroke-width: 3; }
.bar.done { fill: #117a48; } .bar.kept { fill: #6b7a72; }
.death { stroke: var(--bad); stroke-width: 4; stroke-linecap: round; }
.line.s0 { stroke: var(--s0); } .line.s1 { stroke: var(--s1); } .line.s2 { stroke: var(--s2); }
.line.s3 { stroke: var(--s3); } .label.s0 { fill: var(--s0); } .label.s1 { fill: var(--s1); }
.label.s2 { fill: var(--s2); } .label.s3 { fill: var(--s3); } .dot.s0 { background: var(--s0); }
.dot.s1 { background: var(--s1); } .dot.s2 { background: var(--s2); }
.dot.s3 { background: var(--s3); }
@media (max-width: 640px) { main { padding: 20px 12px 40px; } h1 { font-size: 24px; }
  section { padding: 16px 14px; } .wide { display: none; } .narrow { display: block; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 10px; } }
@media print { section { break-inside: avoid; } }
"""


def page(story: Story) -> str:
    title = headline(story)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p class="soft">Evergrove, trained on card transactions of which few are frauds.</p>
{verdict(story)}
{timeline(story)}
{comparison(story)}
{curves(story)}
{facts(story)}
</main>
</body>
</html>
"""


def headline(story: Story) -> str:
    ending = "and still the same model" if story.same_model else "and then another model"
    return f"Killed after {story.killed_trees} of {story.tree_count} trees, {ending}"


def verdict(story: Story) -> str:
    css, words = (
        ("verdict", "Equal to the bit") if story.same_model else ("verdict differs", "Different")
    )
    return f"""<section class="{css}">
<span class="seal">{words}</span>
<dl>
<dt>undisturbed</dt><dd><code>{escape(story.undisturbed_digest)}</code></dd>
<dt>killed, resumed</dt><dd><code>{escape(story.resumed_digest)}</code></dd>
</dl>
</section>"""


def timeline(story: Story) -> str:
    """The killed run and the next one share a lane, one after the other."""
    death = story.killed_seconds
    calm = chart.Span(0, story.undisturbed_seconds, "done", f"{story.tree_count} trees")
    killed = chart.Span(0, death, "kept", f"{story.killed_trees} trees")
    rest = story.tree_count - story.resumed_from
    resumed = chart.Span(death, death + story.resumed_seconds, "done", f"the other {rest}")
    lanes = [
        chart.Lane(f"Undisturbed: {story.undisturbed_seconds:.1f} s", [calm]),
        chart.Lane(
            f"SIGKILL after {death:.1f} s; the same command again: {story.resumed_seconds:.1f} s",
            [killed, resumed],
            death,
        ),
    ]
    narrow = [
        lanes[0],
        chart.Lane(f"SIGKILL after {death:.1f} s, then again", lanes[1].spans, death),
    ]
    return f"""<section>
<h2>What happened</h2>
{both(chart.timeline(lanes, 838), chart.timeline(narrow, 336))}
<p class="soft">The log kept {story.killed_trees} whole trees; the second start took
{story.resumed_from} of them from there and grew the others. Both starts were this command:</p>
<p><code>{escape(story.command)}</code></p>
</section>"""


def comparison(story: Story) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in story.header())
    rows = "\n".join(
        row(index, library, story.libraries) for index, library in enumerate(story.libraries)
    )
    return f"""<section>
<h2>Beside others, at equal settings</h2>
<div class="scroll"><table>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>
<p class="soft">{escape(CAPTION)} Green: the best of a column.</p>
</section>"""


def row(index: int, library: Library, libraries: list[Library]) -> str:
    name = (
        f'<td><span class="dot s{index}"></span>{escape(library.title)} '
        f'<span class="soft">{escape(library.version)}</span></td>'
    )
    if library.error:
        return f'<tr>{name}<td class="why" colspan="6">{escape(library.error)}</td></tr>'
    ran = [other.cells() for other in libraries if not other.error]
    cells = []
    for column, cell in enumerate(library.cells()[1:], start=1):
        # What looks equal to the reader is equally good.
        values = [float(other[column].split()[0]) for other in ran]
        best = min(values) if column <= 3 else max(values)
        css = ' class="best"' if float(cell.split()[0]) == best and len(ran) > 1 else ""
        cells.append(f"<td{css}>{escape(cell)}</td>")
    return f"<tr>{name}{''.join(cells)}</tr>"


def curves(story: Story) -> str:
    series = [
        chart.Series(library.title, library.curve, f"s{index}")
        for index, library in enumerate(story.libraries)
    ]
    drawings = [
        chart.rounds(
            series,
            width,
            mark=max(story.killed_trees, 1),
            mark_text="killed, resumed",
            metric=QUALITIES["roc_auc"],
        )
        for width in (838, 336)
    ]
    if not all(drawings):
        return ""
    key = "".join(
        f'<span class="dot s{index}"></span>{escape(one.title)}&ensp;'
        for index, one in enumerate(series)
        if one.values
    )
    return f"""<section>
<h2>ROC AUC on the test days, tree by tree</h2>
<p class="narrow">{key}</p>
{both(*drawings)}
</section>"""


def facts(story: Story) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in story.settings.items())
    versions = ", ".join(
        f"{library.title} {library.version}" for library in story.libraries if library.version
    )
    place = machine.place(story.machine)
    items = {**story.data, "Settings": settings, "Versions": versions, "Where, when": place}
    rows = "\n".join(
        f"<dt>{escape(name)}</dt><dd>{escape(words)}</dd>" for name, words in items.items()
    )
    return f"""<section>
<h2>Data, settings, versions</h2>
<dl>
{rows}
</dl>
</section>"""


def both(wide: str, narrow: str) -> str:
    return f'<div class="wide">{wide}</div>\n<div class="narrow">{narrow}</div>'
