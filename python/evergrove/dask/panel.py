# SPDX-License-Identifier: Apache-2.0
"""Panel: a page about Evergrove's runs at the HTTP server of Dask's scheduler.

http://scheduler:8787/evergrove shows them as they go, /evergrove/runs.json has the same. Unlike
the dashboard beside it, it needs no Bokeh. It comes and goes with the runs, says nothing that is
secret, and changes nothing: whoever sees the dashboard may see it. Sent to the scheduler by value.

    add_panel(scheduler, lambda: [plugin.view() for plugin in ...])
    remove_panel(scheduler)
"""

import json
from collections.abc import Callable
from typing import Any

NAME = "evergrove"
NOTES_SHOWN = 8


def add_panel(scheduler: Any, views: Callable[[], list[dict[str, Any]]]) -> None:
    """Does nothing if it is there, or if the scheduler has no HTTP server."""
    application = getattr(scheduler, "http_application", None)
    if application is None or rule_of(application) is not None:
        return
    from tornado.routing import URLSpec
    from tornado.web import RequestHandler

    class Answer(RequestHandler):
        def set_default_headers(self) -> None:
            self.set_header("Cache-Control", "no-store")
            self.set_header("X-Content-Type-Options", "nosniff")
            self.set_header(
                "Content-Security-Policy",
                "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                "connect-src 'self'; img-src data:",
            )

    class Page(Answer):
        def get(self) -> None:
            self.write(PAGE)

    class Runs(Answer):
        def get(self) -> None:
            self.set_header("Content-Type", "application/json")
            self.write(json.dumps([shown(view) for view in views()]))

    path = f"(?:/.*)?/{NAME}"  # below whatever prefix the scheduler was given
    application.add_handlers(
        ".*", [URLSpec(path + "/?", Page, name=NAME), URLSpec(path + "/runs.json", Runs)]
    )


def remove_panel(scheduler: Any) -> None:
    application = getattr(scheduler, "http_application", None)
    if application is not None and (rule := rule_of(application)) is not None:
        application.default_router.rules.remove(rule)


def rule_of(application: Any) -> Any:
    """The rule by which the server finds the page, if it has one."""
    for rule in application.default_router.rules:
        if NAME in getattr(rule.target, "named_rules", {}):
            return rule
    return None


def shown(view: dict[str, Any]) -> dict[str, Any]:
    """What the page says of a run."""
    progress, costs = view["progress"], view.get("costs", {})  # of an earlier version, perhaps
    trees = progress.get("trees_per_iteration", 1)
    return {
        "run": view["run_id"],
        "state": view["state"],
        "phase": progress.get("phase", ""),
        "waits_for": view["waits_for"],
        "error": view["error"]["message"] if view["error"] else "",
        "share": progress.get("share", 0.0),
        "seconds": progress.get("seconds", 0.0),
        # Of the status too, which is of every two seconds, and of the end.
        "trees": max(progress.get("trees", 0), progress.get("iteration", 0) * trees),
        "trees_max": max(progress.get("trees_max", 0), progress.get("iteration_count", 0) * trees),
        "trees_per_second": progress.get("trees_per_minute", 0.0) / 60,
        "metrics": progress.get("metrics", {}),
        "rows": progress.get("rows", 0),
        "rows_moved": costs.get("rows_moved", 0),
        "work_seconds": costs.get("work_seconds", 0),
        "work_lost_seconds": costs.get("work_lost_seconds", 0),
        "lost": view["lost"],
        "workers": view["workers"],
        "holders": progress.get("holders", []),
        "notes": view["notes"][-NOTES_SHOWN:],
    }


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Evergrove on Dask</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; --paper: #fbfcfa; --card: #ffffff; --ink: #1b241f;
  --soft: #5b6860; --rule: #dfe5e0; --good: #117a48; --good-paper: #e5f4ea; --bad: #b3261e;
  --bad-paper: #fdeceb; --wait: #8a5a00; --wait-paper: #fbf0dc; --empty: #e8ece9; }
@media (prefers-color-scheme: dark) { :root { --paper: #121714; --card: #1a211d; --ink: #e6ece8;
  --soft: #9aa8a0; --rule: #2e3833; --good: #4fd18c; --good-paper: #16301f; --bad: #ff8a80;
  --bad-paper: #3a1815; --wait: #f0b95b; --wait-paper: #35290f; --empty: #28312c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 980px; margin: 0 auto; padding: 28px 20px 56px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0; }
h2 { font-size: 20px; margin: 0; overflow-wrap: anywhere; }
h3 { font-size: 14px; font-weight: 600; color: var(--soft); margin: 16px 0 4px; }
p { margin: 6px 0 0; } .soft { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 12px;
  padding: 18px 20px; margin-top: 16px; }
.head { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 14px; }
.seal { padding: 2px 12px; border-radius: 99px; font-weight: 600; font-size: 14px;
  background: var(--good-paper); color: var(--good); }
.seal.waiting { background: var(--wait-paper); color: var(--wait); }
.seal.failed, .seal.stopped { background: var(--bad-paper); color: var(--bad); }
.bad { color: var(--bad); overflow-wrap: anywhere; }
.bar { height: 10px; border-radius: 99px; background: var(--empty); overflow: hidden;
  margin-top: 12px; }
.bar div { height: 100%; background: var(--good); border-radius: 99px; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(130px, 1fr)); gap: 14px 20px;
  margin: 16px 0 0; }
dt { color: var(--soft); font-size: 14px; }
dd { margin: 0; font-size: 18px; font-weight: 600; overflow-wrap: anywhere; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
ul { list-style: none; margin: 0; padding: 0; } li { overflow-wrap: anywhere; }
.workers { display: flex; flex-wrap: wrap; gap: 6px; }
.workers li { background: var(--empty); border-radius: 6px; padding: 1px 8px; font-size: 14px; }
.notes li { font-size: 14px; padding: 3px 0; border-top: 1px solid var(--rule); }
.notes li:first-child { border-top: 0; }
footer { color: var(--soft); font-size: 14px; margin-top: 18px; }
footer a { color: inherit; }
@media (max-width: 640px) { main { padding: 18px 12px 36px; } h1 { font-size: 23px; }
  section { padding: 14px; } dl { grid-template-columns: 1fr 1fr; } }
</style>
</head>
<body>
<main>
<h1>Evergrove on Dask</h1>
<noscript><p>This page needs its script; evergrove/runs.json has the same.</p></noscript>
<p id="none" class="soft" hidden>No run is under way. One is shown until a minute after its model
was taken.</p>
<div id="runs"></div>
<footer><a id="json" href="#">runs.json</a> &middot; <a id="dask" href="#">Dask's dashboard</a>
&middot; <span id="fresh">not heard of the scheduler yet</span></footer>
</main>
<script>
"use strict";
// Whatever comes from a run is put in as text, never as markup: names may hold anything.
const at = (id) => document.getElementById(id);
const base = location.pathname.replace(/[/]+$/, "");
at("json").href = base + "/runs.json";
at("dask").href = base.replace(/[^/]*$/, "status");

function element(name, css, text, ...children) {
  const made = document.createElement(name);
  if (css) made.className = css;
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}
const count = (n) => Math.round(n).toLocaleString("en");
function time(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min " + (s % 60) + " s";
  return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
}
function figures(run) {
  const speed = run.trees_per_second;
  const shown = [
    ["trees", count(run.trees) + " of " + count(run.trees_max)],
    ["trees a second", speed > 0 ? speed.toPrecision(3) : "\\u2013"],
    ["time", time(run.seconds)],
    ["workers", count(run.workers.length)],
    ["workers lost", count(run.lost)],
    ["rows", run.rows > 0 ? count(run.rows) : "\\u2013"],
    ["rows moved", count(run.rows_moved)],
    ["work done twice", run.work_seconds > 0
      ? (100 * run.work_lost_seconds / run.work_seconds).toFixed(1) + " %" : "\\u2013"],
  ];
  for (const [set, metrics] of Object.entries(run.metrics)) {
    for (const [metric, value] of Object.entries(metrics)) {
      shown.push([set + " " + metric, value === null ? "\\u2013" : value.toPrecision(5)]);
    }
  }
  const list = element("dl");
  for (const [name, value] of shown) {
    list.append(element("div", "", undefined, element("dt", "", name), element("dd", "", value)));
  }
  return list;
}
// Every round waits for somebody; it is worth a word when nothing comes of it.
const moved = new Map();
function stands(run) {
  const known = moved.get(run.run);
  if (!known || known.trees !== run.trees) {
    moved.set(run.run, { trees: run.trees, at: Date.now() });
  }
  return run.phase !== "training" || Date.now() - moved.get(run.run).at > 5000;
}
function card(run) {
  const state = run.state === "running" ? run.phase || "beginning" : run.state;
  const made = element("section", "", undefined, element("div", "head", undefined,
    element("h2", "", run.run), element("span", "seal " + run.state, state)));
  const done = element("div");
  const share = run.phase === "training" || run.state === "finished" ? run.share : 0;
  done.style.width = 100 * (run.state === "finished" ? 1 : share) + "%";
  made.append(element("div", "bar", undefined, done));
  if (run.error) made.append(element("p", "bad", run.error));
  if (run.waits_for && stands(run)) made.append(element("p", "soft", run.waits_for));
  made.append(figures(run));
  const list = (css, title, texts) => {
    if (texts.length === 0) return;
    made.append(element("h3", "", title),
      element("ul", css, undefined, ...texts.map((text) => element("li", "", text))));
  };
  const rows = ([name, held]) => name + ": " + count(held) + " rows";
  list("workers", "at work", run.holders.length > 0 ? run.holders.map(rows) : run.workers);
  list("notes", "what happened last", run.notes.slice().reverse());
  return made;
}
async function look() {
  try {
    const answer = await fetch(base + "/runs.json", { cache: "no-store" });
    // The page goes with the last run.
    const runs = answer.status === 404 ? [] : await answer.json();
    at("none").hidden = runs.length > 0;
    at("runs").replaceChildren(...runs.map(card));
    at("fresh").textContent = "as of " + new Date().toLocaleTimeString();
  } catch (error) {
    at("fresh").textContent = "the scheduler does not answer";
  }
  setTimeout(look, 1000);
}
look();
</script>
</body>
</html>
"""
