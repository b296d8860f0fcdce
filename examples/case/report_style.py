# SPDX-License-Identifier: Apache-2.0
"""How the report of the fraud case looks: the page of examples/fraud, and what is new."""

from examples.fraud import report

STYLE = (
    report.STYLE
    + """
:root { --ours: #117a48; --ours-light: #a9d6bd; --theirs: #b86a00; --theirs-light: #ecc992;
  --lost: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ours: #35b878; --ours-light: #1f5c3e;
  --theirs: #d98f2e; --theirs-light: #6b4718; --lost: #ff8a80; } }
main { max-width: 1080px; }
h1 { font-size: 28px; line-height: 1.3; } h1.differs { color: var(--bad); }
h3 { font-size: 15px; margin: 0; } h3 .soft { font-weight: 400; }
.lede { font-size: 17px; }
.cards { display: grid; grid-template-columns: repeat(4, 1fr); gap: 16px; margin-top: 20px; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 12px;
  border-top: 5px solid var(--good); padding: 14px 16px; font-size: 14px; line-height: 1.4; }
.card b { display: block; font-size: 27px; line-height: 1.25; margin: 2px 0 4px; }
.card .name { color: var(--soft); font-weight: 600; }
.card.differs { border-top-color: var(--bad); } .card.differs b { color: var(--bad); }
.card.unknown { border-top-color: var(--rule); }
th, td { padding: 8px 5px; font-size: 14px; } thead th { font-size: 13px; line-height: 1.3; }
.groups th { text-align: center; border-bottom: 0; padding-bottom: 0; }
td:first-child, th:first-child { white-space: normal; width: 210px; min-width: 140px;
  overflow-wrap: anywhere; }
tr:first-child td { font-weight: 400; } tr td.paid, tr:first-child td.paid { font-weight: 700; }
th.first, td.first { padding-left: 16px; }
tbody td:first-child { font-weight: 600; line-height: 1.3; }
td .below { display: block; font-size: 12px; line-height: 1.3; color: var(--soft);
  font-weight: 400; }
td:first-child .below { white-space: normal; }
.missed { color: var(--bad); font-weight: 600; }
figure { margin: 26px 0 0; break-inside: avoid; } figure:first-of-type { margin-top: 0; }
figcaption { margin-bottom: 8px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 8px 0 18px; color: var(--soft);
  font-size: 14px; }
.legend span { display: inline-flex; align-items: center; gap: 7px; }
.legend svg { width: 22px; height: 14px; }
.ours { --solid: var(--ours); --pale: var(--ours-light); }
.theirs { --solid: var(--theirs); --pale: var(--theirs-light); }
.worker.starting { fill: var(--pale); } .worker.ready { fill: var(--solid); }
.worker.lost { fill: var(--lost); }
.killed { stroke: var(--bad); stroke-width: 2.5; stroke-linecap: round; fill: none; }
.halo { stroke: var(--card); stroke-width: 5.5; stroke-linecap: round; fill: none; }
.loss { stroke: var(--bad); stroke-dasharray: 1 5; stroke-linecap: round; stroke-width: 1.5; }
.over { stroke: var(--ink); } .over.unfinished { stroke: var(--bad); stroke-dasharray: 6 4; }
.line.ours, .line.theirs { stroke: var(--solid); stroke-width: 2.5; }
.line.back { stroke-dasharray: 2 4; stroke-width: 1.5; } .line.ink { stroke: var(--ink); }
ul { margin: 8px 0 0; padding-left: 20px; } li { margin: 4px 0; }
h3 { margin-top: 22px; } h2 + h3, figcaption h3 { margin-top: 0; }
@media (min-width: 901px) { .facts { grid-template-columns: max-content 1fr max-content 1fr; } }
@media (max-width: 900px) { .cards { grid-template-columns: repeat(2, 1fr); } }
@media (max-width: 1100px) {
  thead { display: none; } table, tbody { display: block; }
  tr { display: grid; grid-template-columns: 1fr 1fr; column-gap: 48px; padding: 12px 0;
    border-bottom: 1px solid var(--rule); } tr:last-child { border-bottom: 0; }
  td { display: flex; justify-content: space-between; gap: 16px; padding: 2px 0; border: 0;
    text-align: right; white-space: normal; }
  td.first { padding-left: 0; }
  td::before { content: attr(data-name); color: var(--soft); font-weight: 400; text-align: left; }
  td:first-child { display: block; grid-column: 1 / -1; width: auto; font-size: 16px;
    padding-bottom: 4px; }
  td:first-child::before { content: none; } }
@media (max-width: 640px) { tr { grid-template-columns: 1fr; } h1 { font-size: 22px; }
  .card b { font-size: 22px; }
  .cards { gap: 10px; } .card { padding: 12px; } }
@media print { body { background: none; font-size: 12px; } main { max-width: none; padding: 0; }
  .card, section { break-inside: avoid; } section.long { break-inside: auto; }
  tr { break-inside: avoid; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
)
