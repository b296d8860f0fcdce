# SPDX-License-Identifier: Apache-2.0
"""The demo: its kill on a real process, its page and drawings on made-up stories, and the whole of
it, small, with the command that was built."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench.compare import outcome, settings  # noqa: E402
from bench.compare.job import Job  # noqa: E402
from examples.fraud import (  # noqa: E402
    chart,
    console,
    demo,
    interruption,
    report,
    transactions,
)
from examples.fraud.story import Library, Story  # noqa: E402
from tests.examples.page_outline import PageOutline  # noqa: E402

# Writes one record of 100 bytes a step, then the model; goes on from the log, as the command does.
RUN = """
import pathlib, sys, time
log, model, count = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
log.mkdir(exist_ok=True)
file = open(log / "records", "ab", buffering=0)
while file.tell() < 100 * count:
    file.write(b"x" * 100)
    time.sleep(0.002)
model.write_text("whole")
"""


def run_command(folder: Path, count: int) -> list[str]:
    return [sys.executable, "-c", RUN, str(folder / "log"), str(folder / "model"), str(count)]


def kill(folder: Path, count: int, command: list[str]) -> interruption.Cut:
    return interruption.kill_half_way(
        command,
        folder / "log",
        folder / "model",
        whole_bytes=100 * count,
        tree_count=count,
        count_trees=lambda log: interruption.log_bytes(log) // 100,
    )


def test_kill_comes_half_way_and_leaves_a_log_to_go_on_from(tmp_path: Path) -> None:
    command = run_command(tmp_path, 400)
    cut = kill(tmp_path, 400, command)
    assert 200 <= cut.trees < 400
    assert cut.log_bytes == interruption.log_bytes(tmp_path / "log")
    assert not (tmp_path / "model").exists()
    subprocess.run(command, check=True)
    assert (tmp_path / "model").read_text() == "whole"
    assert interruption.log_bytes(tmp_path / "log") == 400 * 100


def test_kill_refuses_a_run_that_is_over_before_it_can_be_killed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="give it more trees"):
        kill(tmp_path, 1_000_000, run_command(tmp_path, 3))


def test_kill_says_when_the_run_failed_by_itself(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="exit status 3"):
        kill(tmp_path, 100, [sys.executable, "-c", "raise SystemExit(3)"])


def make_story(**changes: Any) -> Story:
    seconds = {"whole": 2.5, "fit": 2.25}
    quality = {"roc_auc": 0.87, "average_precision": 0.66, "card_precision": 0.29}
    ours = Library("Evergrove", "0.1.0", seconds, 80 << 20, quality, [0.7, 0.8, 0.86, 0.87])
    slower = {name: 2 * value for name, value in seconds.items()}
    peer = Library("LightGBM", "4.7.0", slower, 160 << 20, quality, [0.6, 0.8, 0.85, 0.86])
    missing = Library("CatBoost", error="not installed")
    values: dict[str, Any] = {
        "data": {"Transactions": "12 <b>cards</b> & more"},
        "settings": {"trees": 4},
        "machine": dict.fromkeys(("date", "processor", "cores", "memory", "system"), "x"),
        "tree_count": 4,
        "command": "evergrove train --resume",
        "undisturbed_seconds": 2.5,
        "undisturbed_digest": "ab" * 32,
        "killed_seconds": 1.5,
        "killed_trees": 2,
        "resumed_seconds": 1.25,
        "resumed_from": 2,
        "resumed_digest": "ab" * 32,
        "libraries": [ours, peer, missing],
    }
    return Story(**values | changes)


def test_page_is_whole_and_needs_nothing_from_elsewhere() -> None:
    page = report.page(make_story())
    outline = PageOutline(page)
    assert not {"src", "href", "srcset", "xlink:href"} & {name for name, _ in outline.attributes}
    assert not re.search(r"https?:|url\(|@import|<script|<link", page)
    assert "prefers-color-scheme: dark" in page
    assert "12 <b>cards</b> & more" in outline.text
    for words in ("Equal to the bit", "ab" * 32, "0.8700", "CatBoost not installed", "80 MiB"):
        assert words in outline.text
    assert page.count('class="line s0"') == 2  # wide and narrow
    assert 'class="line s2"' not in page  # what did not run has no curve


def test_page_says_so_when_the_models_differ() -> None:
    text = PageOutline(report.page(make_story(resumed_digest="cd" * 32))).text
    assert "Different" in text
    assert "another model" in text
    assert "Equal to the bit" not in text
    assert "still the same" not in text


def test_page_marks_the_best_of_each_column() -> None:
    rows = re.findall(r"<tr>(<td>.*?)</tr>", report.page(make_story()))
    assert [row.count('class="best"') for row in rows] == [6, 3, 0]


def test_page_without_curves_has_no_chart() -> None:
    story = make_story()
    for library in story.libraries:
        library.curve = []
    assert "tree by tree" not in PageOutline(report.page(story)).text


@pytest.mark.parametrize(
    "values", [[0.5], [0.7] * 9, [0.1, 0.9, 0.2], [0.86001, 0.86002], [1000.0, 3.0, 2.0]]
)
def test_axis_has_a_few_round_steps_around_the_values(values: list[float]) -> None:
    low, high, step = chart.scale([chart.Series("x", values, "s0")], len(values))
    assert low <= min(values) + 1e-9
    assert high >= max(values) - 1e-9
    assert 1 <= round((high - low) / step) <= 7
    assert round((high - low) / step) == pytest.approx((high - low) / step)


def test_names_at_the_ends_of_lines_do_not_lie_on_each_other() -> None:
    series = [chart.Series(f"line {i}", [0.5, 0.8 + i * 1e-4], f"s{i}") for i in range(4)]
    drawing = chart.rounds(series, 838, mark=1, mark_text="here", metric="AUC")
    places = sorted(
        float(y) for y in re.findall(r'class="label s\d" x="[\d.]+" y="([\d.]+)"', drawing)
    )
    assert len(places) == 4
    assert all(after - before >= 16 for before, after in itertools.pairwise(places))


def test_table_has_straight_columns_and_says_why_one_did_not_run() -> None:
    text = console.table(["", "time"], [["ours", "1.00 s"], ["theirs", "12.00 s"], ["x", "gone"]])
    assert text.splitlines()[1:] == ["  ours     1.00 s", "  theirs  12.00 s", "  x          gone"]
    assert console.table(["", "a", "b"], [["x", "gone"]]).splitlines()[1] == "  x  gone"


def test_days_are_the_books_or_the_last_possible_ones() -> None:
    def last(day: int) -> pa.Table:
        return pa.table({"TX_TIME_DAYS": pa.array([0, day], pa.int32())})

    assert demo.choose_days(None, last(182)).first_day == 115
    assert demo.choose_days(None, last(83)).first_day == 63
    assert demo.choose_days(70, last(83)).first_day == 70
    with pytest.raises(ValueError, match="end on day 19"):
        demo.choose_days(None, last(19))


def test_a_peer_that_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = ("no_such_library", settings.lightgbm, "LightGBM")
    monkeypatch.setitem(settings.PEERS, "lightgbm", missing)
    job = Job("", "", "", "binary", "", settings.Settings())
    answer = outcome.run_peer("lightgbm", job, tmp_path)
    assert answer.error.startswith("not installed")
    assert Library(answer.title, error=answer.error).cells() == ["LightGBM", answer.error]


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    if not outcome.DEFAULT_EVERGROVE.exists():
        pytest.skip("needs .venv/bin/evergrove, which script/build makes")
    return subprocess.run(
        [sys.executable, "-m", "examples.fraud.demo", "--small", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_whole_demo_small(tmp_path: Path) -> None:
    done = run_demo("--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SIGKILL after" in done.stdout
    assert "the same model, to the bit" in done.stdout
    story = json.loads((tmp_path / "results.json").read_text())
    assert re.fullmatch("[0-9a-f]{64}", story["undisturbed_digest"])
    assert story["undisturbed_digest"] == story["resumed_digest"]
    assert 0 < story["killed_trees"] == story["resumed_from"] < story["tree_count"] == 150
    ours, *peers = story["libraries"]
    assert ours["quality"]["roc_auc"] > 0.65
    assert len(ours["curve"]) == 150
    assert ours["curve"][-1] == pytest.approx(ours["quality"]["roc_auc"], abs=1e-6)
    assert len(peers) == 3
    for peer in peers:
        assert peer["error"].startswith("not installed") or peer["quality"]["roc_auc"] > 0.65
    PageOutline((tmp_path / "report.html").read_text())


def test_the_demo_refuses_data_that_it_cannot_use(tmp_path: Path) -> None:
    table = transactions.generate(transactions.Options(60, 120, day_count=30, radius=15))
    lacking = tmp_path / "lacking.parquet"
    pq.write_table(table.drop_columns(["TERMINAL_ID"]), lacking)
    short = tmp_path / "short.parquet"
    pq.write_table(table.filter(pa.compute.less(table["TX_TIME_DAYS"], 10)), short)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and then nothing")
    for file, words in (
        (tmp_path / "nowhere.parquet", "There is no file"),
        (lacking, "TERMINAL_ID"),
        (short, "end on day 9"),
        (broken, "broken.parquet"),
    ):
        out = tmp_path / f"{file.stem}-out"
        done = run_demo("--data", str(file), "--out", str(out), "--no-peers")
        assert done.returncode == 2, done.stdout + done.stderr
        assert done.stderr.startswith("demo: ")
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert not (out / "report.html").exists()


def test_options_of_the_script_and_of_the_program_are_the_same() -> None:
    shown = subprocess.run(
        [ROOT / "script/demo", "--help"], capture_output=True, text=True, check=True
    ).stdout
    offered = set(re.findall(r"^\s+(--[a-z-]+)", shown, re.MULTILINE))
    parser_help = subprocess.run(
        [sys.executable, "-m", "examples.fraud.demo", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    known = set(re.findall(r"^\s+(--[a-z-]+)", parser_help, re.MULTILINE))
    assert offered == known - {"--evergrove"}
