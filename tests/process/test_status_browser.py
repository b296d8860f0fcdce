# SPDX-License-Identifier: Apache-2.0
"""The status page in a real browser: of a real run, and of runs that are hard to show.

The latter are served by a small server here: the coordinator's page with a status made up.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.process.browser import document, needs_browser, picture
from tests.process.rows import small_rows, write
from tests.process.watched_run import WatchedRun

pytestmark = needs_browser

# Says how wide the document wants to be, and what went wrong in it.
PROBE = """<script>
addEventListener("error", (e) => { document.body.dataset.error = e.message; });
addEventListener("unhandledrejection", (e) => { document.body.dataset.error = e.reason; });
setInterval(() => { document.body.dataset.width = document.documentElement.scrollWidth; }, 300);
</script></body>"""

PHONE_WIDTH = 390
# A window cannot be as narrow as a phone, but a frame can.
NARROW = f"""<body style="margin:0">
<iframe src="/" width={PHONE_WIDTH} height=2400 style="border:0"></iframe>
<script>
setInterval(() => {{
  document.body.dataset.width = frames[0].document.documentElement.scrollWidth;
}}, 300);
</script></body>"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedRun]:
    folder = tmp_path_factory.mktemp("run")
    rows = write(small_rows(150_000), folder / "rows.parquet", 8000)
    settings = ("n_estimators=1000000", "max_leaves=3", "min_rows=5")
    with WatchedRun(folder, rows, *settings) as run:
        run.start_worker()
        run.start_worker()
        # Long enough for a speed to be drawn.
        run.wait_until(lambda s: s["seconds"] > 6 and len(s["workers"]) == 2 and s["trees"] > 20)
        yield run


def a_status(workers: int, shards: int, **changes: Any) -> dict[str, Any]:
    names = [f"host-{i}-{1000 + 7 * i}-{i * 31 % 97:06d}" for i in range(workers)]
    places = [
        {
            "id": i,
            "rows": 65_536,
            "state": "counted" if names else "missing",
            "worker": names[i * workers // shards] if names else None,
            "copies": 1 if names else 0,
        }
        for i in range(shards)
    ]
    status: dict[str, Any] = {
        **{"state": "training", "seconds": 900.0, "epoch": 2, "label": "fraud", "view": 7},
        **{"rows": 65_536 * shards, "columns": 28, "iterations": 410, "iterations_max": 1000},
        **{"resumed_iterations": 100, "trees": 410, "trees_max": 1000, "rounds": 9000},
        **{"trees_per_minute": 21.5, "seconds_to_go": 1646.0, "waits_for": "", "shards_missing": 0},
        **{"memory_bytes_missing": 0},
        **{"metrics": {"valid": {"auc": 0.98123, "log_loss": 0.0123}}, "joined": workers + 1},
        **{"lost": 1, "left": 0, "sent_bytes": 123456789, "received_bytes": 98765432},
        **{"log_wait_seconds": 0.0, "work_seconds": 3500.0, "work_lost_seconds": 12.5},
        "recovery_seconds": 6.2,
        "losses": [{"worker": "gone", "seconds": 420.0, "recovery_seconds": 6.2}],
        "workers": [
            {
                **{"name": name, "address": f"10.0.{i // 250}.{i % 250}:7071", "threads": 16},
                **{"shards_active": shards // workers, "shards_held": shards // workers},
                **{"shards_reading": 0, "rows_active": 65_536 * (shards // workers)},
                **{
                    "rows_per_second": 12.5e6 if i else None,
                    "memory_bytes": 123456789,
                    "memory_bytes_max": 2e9,
                },
                **{"is_member": True, "is_leaving": False, "silent_seconds": 0.4},
            }
            for i, name in enumerate(names)
        ],
        "shards": places,
        "events": [
            *(
                {"seconds": 3.0 + i, "event": "joined", "worker": name}
                for i, name in enumerate(names)
            ),
            {"seconds": 420.0, "event": "lost", "worker": "gone"},
        ],
        "progress": [[5 + i * 6, 100 + 2 * i + i * i // 160] for i in range(150)],
    }
    return {**status, **changes}


@contextmanager
def served(page: str, status: dict[str, Any], answers: int = 1_000_000) -> Iterator[str]:
    """The page with this status, which is answered so many times and then fails."""
    left = [answers]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_status = self.path == "/status.json"
            if is_status:
                left[0] -= 1
            if self.path == "/narrow":
                text = NARROW
            elif is_status:
                text = json.dumps(status)
            else:
                text = page.replace("</body>", PROBE)
            self.send_response(500 if is_status and left[0] < 0 else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def text_of(document: str) -> str:
    body = document.split("<body", 1)[1].split("<script", 1)[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


def rows_of(document: str) -> list[str]:
    table = document.split('<tbody id="workers">')[1].split("</tbody>")[0]
    return re.findall(r"<tr>.*?</tr>", table)


def squares_of(document: str) -> list[str]:
    squares = document.split('id="map"')[1].split("</div>")[0]
    return re.findall(r'<i class="([^"]*)"', squares)


def test_a_real_run_is_shown(run: WatchedRun) -> None:
    shown = document(run.url)
    status = run.status()
    text = text_of(shown)
    assert "Learning fraud training" in text
    assert re.search(r"trees [\d,]+ of 1,000,000", text), text
    assert "valid auc 0." in text
    assert len(rows_of(shown)) == 2
    for worker in status["workers"]:
        assert worker["name"] in shown
        assert sum(1 for row in rows_of(shown) if worker["name"] in row and "at work" in row) == 1
    squares = squares_of(shown)
    assert len(squares) == len(status["shards"]) > 1
    assert {css.split()[0] for css in squares} == {"counted"}
    assert len({css.split()[1] for css in squares}) == 2  # a colour each
    assert shown.count('class="pin joined"') == 2
    assert 'class="line"' in shown  # trees a minute
    assert "as of now" in text


def test_names_are_text_and_never_markup(run: WatchedRun) -> None:
    evil = '<img src=x onerror="document.body.dataset.hit=1"></script><b>\'"&'
    status = a_status(1, 4, label=evil)
    status["workers"][0]["name"] = status["shards"][0]["worker"] = evil
    status["events"][0]["worker"] = evil
    status["metrics"] = {evil: {evil: 0.5}}
    with served(run.get("/").text, status) as url:
        shown = document(url)
    assert "data-hit" not in shown.split(">", 1)[1].split("<script")[0]
    assert "<img" not in shown
    assert "&lt;img src=x" in shown
    assert "data-error" not in shown


@pytest.mark.parametrize(("workers", "shards"), [(0, 0), (0, 40), (1, 1), (4, 256), (1000, 16_000)])
def test_any_size_of_run_fits(run: WatchedRun, workers: int, shards: int) -> None:
    state = "training" if workers else "waiting"
    status = a_status(workers, shards, state=state, waits_for="" if workers else "a worker")
    with served(run.get("/").text, status) as url:
        shown = document(url)
    assert len(rows_of(shown)) == workers
    assert len(squares_of(shown)) == shards
    assert "data-error" not in shown
    assert ("Waits for a worker" in text_of(shown)) == (workers == 0)
    width = re.search(r'data-width="(\d+)"', shown)
    assert width is not None and int(width.group(1)) <= 900  # the window's


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("place", ["/", "/narrow"])
def test_pictures_in_light_and_dark_wide_and_narrow(
    run: WatchedRun, tmp_path: Path, dark: bool, place: str
) -> None:
    status = a_status(6, 96)
    for shard, state in ((3, "reading"), (4, "held"), (90, "missing")):
        status["shards"][shard]["state"] = state
    status["workers"][5]["is_leaving"] = True
    to = tmp_path / "page.png"
    with served(run.get("/").text, status) as url:
        picture(url + place, to, 1000, 1500, dark)
    light = to.read_bytes()
    assert light.startswith(b"\x89PNG")
    assert len(light) > 30_000  # not an empty page


def test_on_a_phone_nothing_is_beyond_the_edge(run: WatchedRun) -> None:
    with served(run.get("/").text, a_status(6, 96)) as url:
        shown = document(url + "/narrow")
    width = re.search(r'data-width="(\d+)"', shown)
    assert width is not None and int(width.group(1)) == PHONE_WIDTH


def test_a_coordinator_that_is_gone_is_said_to_be(run: WatchedRun) -> None:
    with served(run.get("/").text, a_status(2, 8), answers=2) as url:
        shown = document(url, milliseconds=12_000)
    assert "no answer" in text_of(shown)
    assert len(rows_of(shown)) == 2  # what was known stays


def test_before_the_data_is_described_there_is_a_page(run: WatchedRun) -> None:
    status = a_status(
        0, 0, state="preparing", label="", trees=0, trees_max=0, progress=[], events=[]
    )
    status.update(metrics={}, losses=[], seconds=0.0, epoch=0, seconds_to_go=None)
    status.update(work_seconds=0.0, work_lost_seconds=0.0)
    with served(run.get("/").text, status) as url:
        shown = document(url)
    assert "describing the data" in text_of(shown)
    assert "data-error" not in shown
