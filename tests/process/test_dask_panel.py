# SPDX-License-Identifier: Apache-2.0
"""The page about runs at the HTTP server of Dask's scheduler: its figures, and in a browser."""

import html
import json
import os
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import data_sets

pytest.importorskip("distributed")

from tests.process.browser import document, needs_browser, picture
from tests.process.dask_cluster import Cluster, DaskRun, local_cluster, tree_of, write_adult_rows

FOLDER = Path(__file__).resolve().parents[2] / "build" / "dask-panel"
LABEL = "income"
ENDLESS = {"n_estimators": 1_000_000, "max_leaves": 31, "metrics": ["auc"]}
NAME = "fraud.may_2"


@dataclass
class Watched:
    cluster: Cluster
    run: DaskRun
    url: str

    def runs(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + "/runs.json", timeout=10) as answer:
            assert answer.headers["Content-Type"] == "application/json"
            return {run["run"]: run for run in json.load(answer)}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    rows = tmp_path_factory.mktemp("rows") / "rows.parquet"
    table = pa.Table.from_pandas(data_sets.adult_like(80_000).frame, preserve_index=False)
    pq.write_table(table, rows, row_group_size=4000)
    with local_cluster(n_workers=3) as cluster:
        port = cluster.cluster.scheduler.http_server.port
        run = DaskRun(
            cluster.client, rows, LABEL, ENDLESS, run_id=NAME, valid_fraction=0.2, log=rows.parent
        )
        run.wait_for_tree(5)
        yield Watched(cluster, run, f"http://127.0.0.1:{port}/evergrove")
        run.stop()


def test_its_figures_are_those_of_the_run(watched: Watched) -> None:
    run = watched.run
    victim = ""

    def others_hold_rows(view: dict[str, Any]) -> bool:
        nonlocal victim
        places = run.labels()
        found = [places[name] for name in holders(view) if places[name] != view["coordinator"]]
        victim = next(iter(found), "")
        return bool(found) and view["progress"]["trees_per_minute"] > 0

    before = run.wait_until(others_hold_rows)
    shown = watched.runs()[NAME]
    assert shown["state"] == "running"
    assert shown["trees_max"] == ENDLESS["n_estimators"]
    assert shown["trees_per_second"] > 0
    assert 63_000 < shown["rows"] < 65_000  # a fifth of the 80,000 is kept to validate
    assert len(shown["workers"]) == 3
    assert sum(rows for _, rows in shown["holders"]) == 80_000
    assert 0.5 < shown["metrics"]["valid"]["auc"] <= 1.0
    assert shown["seconds"] >= before["progress"]["seconds"] > 0
    # A worker is lost: its rows move, and what was under way is done again.
    os.kill(run.processes()[victim], signal.SIGKILL)
    run.wait_until(lambda view: view["lost"] == 1 and view["costs"]["rows_moved"] > 0)
    tree = tree_of(run.view())
    run.wait_for_tree(tree + 50)
    run.wait_until(lambda view: view["costs"]["work_lost_seconds"] > 0)
    shown = watched.runs()[NAME]
    assert shown["lost"] == 1
    assert 0 < shown["rows_moved"] <= 2 * shown["rows"]
    assert 0 < shown["work_lost_seconds"] < shown["work_seconds"]
    assert any("is gone" in note for note in shown["notes"])


def holders(view: dict[str, Any]) -> list[str]:
    """The names, in Dask, of workers that count rows."""
    found = view.get("progress", {}).get("holders", [])
    return [name.rpartition("-")[0] for name, _ in found]


def test_the_coordinator_may_be_lost(watched: Watched) -> None:
    before = watched.run.view()["costs"]
    attempt = watched.run.view()["attempt"]
    os.kill(watched.run.processes()[watched.run.coordinator()], signal.SIGKILL)
    watched.run.wait_until(lambda view: view["attempt"] > attempt)
    tree = tree_of(watched.run.view())
    watched.run.wait_until(
        lambda view: tree_of(view) > tree and view["costs"]["work_seconds"] > before["work_seconds"]
    )
    after = watched.run.view()["costs"]
    assert after["work_lost_seconds"] >= before["work_lost_seconds"]


def test_it_is_polite(watched: Watched) -> None:
    with urllib.request.urlopen(watched.url + "/", timeout=10) as answer:
        page = answer.read().decode()
        assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]
    assert '<html lang="en">' in page
    assert not re.search(r'(src|href)="https?:', page), "it loads nothing from elsewhere"
    token = str(watched.cluster.client.run_on_scheduler(spec_of, name=f"evergrove_{NAME}"))
    assert token not in json.dumps(watched.runs())


def spec_of(dask_scheduler: Any, name: str) -> str:
    import pickle

    return str(pickle.loads(dask_scheduler.plugins[name].worker_side).spec["secrets"]["token"])


@needs_browser
def test_in_a_browser(watched: Watched) -> None:
    watched.run.wait_until(
        lambda view: bool(holders(view)) and view["progress"]["trees_per_minute"] > 0
    )
    text = seen(watched.url)
    assert NAME in text
    assert re.search(r"trees [\d,]+ of 1,000,000", text), text
    assert re.search(r"trees a second [\d.]+", text), text
    assert re.search(r"at work \d-[0-9a-f]{6}: [\d,]+ rows", text), text
    assert re.search(r"valid auc 0\.\d+", text), text
    assert "workers 3" in text or "workers 2" in text
    assert re.search(r"rows 6[34],\d\d\d rows moved [\d]", text), text


@needs_browser
def test_pictures_in_light_and_dark_wide_and_narrow(watched: Watched) -> None:
    """For people to look at: build/dask-panel."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    sizes = []
    for name, width, dark in (("light", 1000, False), ("dark", 1000, True), ("narrow", 500, False)):
        to = FOLDER / f"{name}.png"
        picture(watched.url, to, width, 900, dark)
        sizes.append(to.stat().st_size)
    assert min(sizes) > 10_000


def test_it_goes_with_the_last_run(tmp_path: Path) -> None:
    rows = write_adult_rows(tmp_path / "rows.parquet")
    with local_cluster(n_workers=1) as cluster:
        url = f"http://127.0.0.1:{cluster.cluster.scheduler.http_server.port}/evergrove"
        few = {"n_estimators": 3}
        for run_id in ("one", "two"):
            model = DaskRun(cluster.client, rows, LABEL, few, run_id=run_id).model()
        watched = Watched(cluster, None, url)  # type: ignore[arg-type]
        shown = watched.runs()
        assert sorted(shown) == ["one", "two"]
        assert (shown["two"]["state"], shown["two"]["trees"]) == ("finished", model.tree_count)

        async def forget() -> None:
            for run_id in ("one", "two"):
                ask = getattr(cluster.client.scheduler, f"evergrove_{run_id}")
                assert await ask(question="forget") == "forgotten"

        cluster.client.sync(forget)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            watched.runs()
        DaskRun(cluster.client, rows, LABEL, few, run_id="three").model()
        assert list(watched.runs()) == ["three"]


def seen(url: str) -> str:
    """The words that a reader has before him."""
    body = re.sub(r"<(script|style)[^>]*>.*?</\1>", " ", document(url), flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))
