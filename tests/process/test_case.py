# SPDX-License-Identifier: Apache-2.0
"""The whole fraud case, small: real workers that are started and killed, a real S3 server, and the
page that comes of it, in a real browser. XGBoost takes part where it is installed."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from examples.case import report_words
from examples.case.figures import read_case
from tests.process.browser import document, executable, needs_browser, picture

ROOT = Path(__file__).resolve().parents[2]
HAS_PEER = importlib.util.find_spec("xgboost") is not None
OURS = ["evergrove_trace", "evergrove_static"]
PEERS = ["xgboost_static", "xgboost_trace", "xgboost_trace_checkpoints"]
# A peer that has not ended by then is given up, and the page says so: that is tested as well.
PEER_SECONDS_MAX = "8"
TREES = 300  # so many that a machine is lost before the last one

has_s3 = shutil.which("versitygw") or (Path.home() / "go/bin/versitygw").is_file()
needs_s3 = pytest.mark.skipif(
    not has_s3 and not Path(sys.executable).with_name("weed").is_file(),
    reason="needs an S3 server: versitygw, or SeaweedFS, which script/case installs",
)


def run_case(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "examples.case.main", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run of it has left its files."""
    out = tmp_path_factory.mktemp("case")
    arguments = ["--small", "--trees", str(TREES), "--step-seconds", "0.8", "--out", str(out)]
    arguments += ["--limit", PEER_SECONDS_MAX] if HAS_PEER else ["--no-peers"]
    done = run_case(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "case: one digest: " in done.stdout
    return out


@pytest.fixture(scope="module")
def case(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "case.json").read_text())
    return values


def words_of(page: str) -> str:
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(text).replace("\N{NO-BREAK SPACE}", " ").split())


@needs_s3
def test_all_runs_end_with_one_digest(case: dict[str, Any]) -> None:
    digests = case["digests"]
    assert set(digests) == {"one_machine", "static", "trace"}
    assert len(set(digests.values())) == 1
    assert re.fullmatch("[0-9a-f]{64}", digests["trace"])


@needs_s3
def test_machines_came_and_went_on_the_trace_alone(case: dict[str, Any]) -> None:
    by_name = {each["name"]: each for each in case["contenders"]}
    assert list(by_name) == OURS + (PEERS if HAS_PEER else [])
    lost = by_name["evergrove_trace"]
    assert lost["losses"] >= 1
    assert sum(worker["how"] == "killed" for worker in lost["workers"]) == lost["losses"]
    assert by_name["evergrove_static"]["losses"] == 0
    for name in OURS:
        assert by_name[name]["finished"]
        assert by_name[name]["trees"] == by_name[name]["curve"][-1][1] == TREES
        assert by_name[name]["quality"]["roc_auc"] > 0.65
    assert by_name[OURS[0]]["quality"] == by_name[OURS[1]]["quality"]


@needs_s3
def test_seconds_and_costs_add_up(case: dict[str, Any]) -> None:
    for each in case["contenders"]:
        used = each["machine_seconds"]
        parts = used["starting"] + used["working"] + used["lost"]
        assert parts == pytest.approx(used["total"])
        assert used["total"] <= each["seconds"] * case["settings"]["workers"] + 1
        hours = used["total"] / 3600
        for kind in ("on_demand", "spot"):
            price = case["prices"][f"{kind}_per_hour"]
            assert each["cost"][kind] == pytest.approx(hours * price)
        assert all(0 <= at <= each["seconds"] + 1 for at, _ in each["curve"])
        assert each["finished"] or each["gave_up_after"] == float(PEER_SECONDS_MAX)


@needs_s3
@pytest.mark.skipif(not HAS_PEER, reason="needs XGBoost, which script/case installs")
def test_checkpoints_are_to_a_peers_credit_even_if_it_is_given_up(case: dict[str, Any]) -> None:
    peer = next(each for each in case["contenders"] if each["name"] == PEERS[-1])
    slice_trees = 10
    # At most the slice at hand goes with each attempt, and what another worker told of late.
    assert peer["rounds_lost"] <= (slice_trees + 1) * peer["attempts"]
    assert peer["trees"] >= peer["rounds_trained"] - (slice_trees + 1) * peer["attempts"]


@needs_s3
def test_the_page_has_the_figures_of_the_json(folder: Path, case: dict[str, Any]) -> None:
    page = (folder / "report.html").read_text()
    assert not re.search(r"https?:|url\(|@import|<script|<link|src=", page)
    text = words_of(page)
    found = read_case(case)
    assert words_of(report_words.headline(found)) in text
    assert case["digests"]["trace"] in text
    for each in found.contenders:
        assert each.title in text
        assert words_of(report_words.seconds(each.seconds)) in text
        if each.finished:
            assert f"{each.quality.roc_auc:.3f}" in text
    for heading in (
        "All contenders, in the same run",
        "Workers and trees, second by second",
        "What the machine-seconds went into",
        "By scenario of fraud",
        "Digests of Evergrove's models",
        "For engineers",
    ):
        assert heading in text
    for words in (case["commit"], case["prices"]["instance"], case["machine"], case["command"]):
        assert words in text


@needs_s3
@needs_browser
def test_a_browser_opens_the_page_in_light_and_dark(folder: Path, tmp_path: Path) -> None:
    page = (folder / "report.html").as_uri()
    assert "All contenders, in the same run" in document(page)
    for width in (1280, 390):
        light, dark = tmp_path / f"light-{width}.png", tmp_path / f"dark-{width}.png"
        picture(page, light, width, 900)
        picture(page, dark, width, 900, dark=True)
        assert light.stat().st_size > 10_000
        assert light.read_bytes() != dark.read_bytes()


@needs_s3
@needs_browser
def test_a_browser_has_nothing_to_complain_of(folder: Path, tmp_path: Path) -> None:
    program = executable()
    assert program is not None
    done = subprocess.run(
        [
            *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *("--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}"),
            *("--virtual-time-budget=2000", (folder / "report.html").as_uri()),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in done.stderr, done.stderr


def test_an_option_that_it_does_not_know_is_refused() -> None:
    done = run_case("--no-such-option")
    assert done.returncode == 2
    assert "--no-such-option" in done.stderr


def test_a_trace_that_it_cannot_use_is_refused_in_words(tmp_path: Path) -> None:
    other, text = tmp_path / "other.json", tmp_path / "text.json"
    other.write_text("[4, 4, 2]")
    text.write_text("no JSON")
    for file, words in (
        (tmp_path / "nowhere.json", "nowhere.json"),
        (other, "A trace is a JSON object"),
        (text, "text.json is none"),
    ):
        done = run_case("--small", "--trace", str(file), "--out", str(tmp_path / "out"))
        assert done.returncode == 2, done.stdout + done.stderr
        assert done.stderr.startswith("case: ")
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert not list((tmp_path / "out").iterdir())


def test_options_of_the_script_and_of_the_program_are_the_same() -> None:
    shown = subprocess.run(
        [ROOT / "script/case", "--help"], capture_output=True, text=True, check=True
    ).stdout
    offered = set(re.findall(r"(?:^\s+|, )(--[a-z-]+)", shown, re.MULTILINE))
    known = set(re.findall(r"^\s+(--[a-z-]+)", run_case("--help").stdout, re.MULTILINE))
    assert offered == known
