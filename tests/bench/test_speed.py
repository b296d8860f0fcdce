# SPDX-License-Identifier: Apache-2.0
"""The speed bench from end to end, tiny: each library that is installed trains each kind of task,
and what fails is said. Times are not looked at, only that they are there and add up."""

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bench.compare import case_data, machine, speed, speed_long, speed_page, speed_scaling, trial
from bench.compare import speed_verdicts as judged
from bench.compare import speed_views as views
from bench.compare.case import OWN_WORDS, Case, Entry, load_case
from bench.compare.outcome import DEFAULT_EVERGROVE
from tests.examples.page_outline import PageOutline

PEERS = ("lightgbm", "xgboost", "catboost", "ydf", "sklearn")
needs_command = pytest.mark.skipif(
    not DEFAULT_EVERGROVE.exists(), reason=f"needs {DEFAULT_EVERGROVE}; script/build makes it"
)


@pytest.fixture
def plan() -> speed.Plan:
    return speed.Plan(
        repetitions=1,
        libraries=None,
        seed=1,
        evergrove=DEFAULT_EVERGROVE,
        limit_seconds=120,
        repeats_slow=False,
    )


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = case_data.files
    for module in (case_data, speed):
        monkeypatch.setattr(module, "files", lambda case: whole(case, tmp_path / "data"))


def tiny(name: str, entries: tuple[str, ...] = ()) -> Case:
    case = load_case(name).cut(800, 3)
    return replace(case, entries={name: case.entries[name] for name in entries})


@needs_command
@pytest.mark.parametrize("library", PEERS)
@pytest.mark.parametrize("name", ["categories", "classes", "regression"])
def test_each_library_trains_each_task(library: str, name: str, plan: speed.Plan) -> None:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed (requirements/bench.txt)")
    case = tiny(name, (library,))
    part = speed.measure_part(case, 1, plan)
    assert part["failures"] == {}
    assert list(part["runs"]) == [trial.OURS, library]
    for entry in part["runs"]:
        (run,) = part["runs"][entry]
        assert run["process"] >= run["read"] + run["construct"] + run["fit"] > 0
        assert run["peak_rss_bytes"] > 10 << 20
        assert run["version"]
        curve = part["curves"][entry]
        assert curve["trees"] == [1, 2, 3]
        # By another way, after all trees: the same.
        assert curve["quality"][-1] == pytest.approx(run["quality"], rel=1e-4)
        assert curve["share"] == sorted(curve["share"])
        assert 0 < curve["share"][0] <= curve["share"][-1] <= 1.0001


@needs_command
@pytest.mark.parametrize("library", ["lightgbm", "xgboost", "catboost"])
def test_sparse_rows_are_trained_on_as_such(library: str, plan: speed.Plan) -> None:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed (requirements/bench.txt)")
    part = speed.measure_part(tiny("sparse", (library,)), 2, plan)
    assert part["failures"] == {}


@needs_command
def test_rows_that_are_read_by_batches_give_the_same_bins_and_model(plan: speed.Plan) -> None:
    pytest.importorskip("xgboost")
    part = speed.measure_part(tiny("regression", ("xgboost", "xgboost-batches")), 1, plan)
    assert part["failures"] == {}
    whole, batches = (part["runs"][name][0] for name in ("xgboost", "xgboost-batches"))
    assert batches["quality"] == pytest.approx(whole["quality"], rel=1e-6)


@needs_command
def test_what_fails_is_said_and_the_others_go_on(
    plan: speed.Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lightgbm")  # of script/setup --for bench
    entries = {
        "absent": Entry("absent", "no_such_library", "Absent", {}),
        "lightgbm": Entry("lightgbm", "lightgbm", "LightGBM", {"objective": "no such objective"}),
    }
    case = replace(tiny("dense"), entries=entries)
    monkeypatch.setitem(OWN_WORDS, "no_such_library", ("", "", ""))
    part = speed.measure_part(case, 1, plan)
    assert list(part["runs"]) == [trial.OURS]
    assert "not installed" in part["failures"]["absent"]
    assert "objective" in part["failures"]["lightgbm"]
    page = speed_page.page({"dense/1": part | PLACE}, "picture.svg")
    assert "Absent: not installed" in page


@needs_command
def test_parts_are_kept_resumed_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "speed.json"
    words = ["speed", "--cases", "small", "--rows", "600", "--trees", "2", "--repetitions", "2"]
    words += ["--libraries", "evergrove", "--out", str(out)]

    def run(*more: str) -> dict[str, Any]:
        monkeypatch.setattr("sys.argv", [*words, *more])
        assert speed.main() == 0
        figures: dict[str, Any] = json.loads(out.read_text())
        return figures

    first = run("--threads", "1")
    assert list(first) == ["small/1"]
    both = run("--threads", "1", "2", "--resume")
    assert both["small/1"] == first["small/1"]
    assert (
        both["small/1"]["runs"][trial.OURS][0]["digest"]
        == (both["small/2"]["runs"][trial.OURS][0]["digest"])
    )
    assert len(both["small/2"]["runs"][trial.OURS]) == 2
    capsys.readouterr()
    run("--threads", "1", "--against", str(out))
    said = capsys.readouterr().out
    assert "small/1: training " in said
    assert "the others meanwhile not measured" in said
    page = out.with_suffix(".md").read_text()
    assert "## small, 2 threads" in page
    PageOutline((tmp_path / "images/speed.svg").read_text())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--libraries", "lightgmb"], "no case has lightgmb; there are catboost"),
        (["--cases", "dens"], "invalid choice: 'dens'"),
        (["--against", "no/such.json"], "there is no no/such.json"),
    ],
)
def test_wrong_words_are_refused_before_anything_runs(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["speed", *words])
    with pytest.raises(SystemExit) as ended:
        speed.main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@needs_command
def test_the_digest_is_one_beside_busy_processes() -> None:
    part = speed_scaling.measure(tiny("small"), 1, DEFAULT_EVERGROVE)
    assert {name: len(values) for name, values in part["runs"].items()} == {
        "1": 1,
        "2": 1,
        "busy": 1,
    }
    assert speed_scaling.speed_up(part) > 0
    page = speed_page.page({"small/scaling": part | PLACE}, "picture.svg")
    assert f"| {speed_scaling.speed_up(part):.2f} | {speed_scaling.busy_factor(part):.2f} |" in page


@needs_command
def test_limits_of_memory_are_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"unlimited": 0, "2 GiB": 2 << 30, "20 MiB": 20 << 20}
    monkeypatch.setattr(speed_long, "LIMITS", limits)
    part = speed_long.measure(tiny("long"), DEFAULT_EVERGROVE)
    free, wide, narrow = part["runs"].values()
    assert free["error"] == wide["error"] == ""
    assert free["digest"] == wide["digest"]
    assert narrow["error"]  # it cannot even start
    assert speed_page.page({"long": part | PLACE}, "picture.svg").count(free["digest"][:12]) == 2


PLACE = {"machine": machine.describe(), "commit": "c"}


def test_the_fastest_other_is_the_one_with_the_least_median() -> None:
    part = made_up({"evergrove": [1, 2, 3], "a": [4, 5, 6], "b": [9, 1, 9]})
    ratio = views.ratio(part, "fit")
    assert ratio == views.Ratio("a", 2.5, 2.0, 4.0)
    assert views.memory_share(part) == views.Ratio("a", 0.4, 0.25, 0.5)


def test_a_peer_measured_once_is_compared_by_medians() -> None:
    ratio = views.ratio(made_up({"evergrove": [1, 2, 3], "a": [8]}), "fit")
    assert ratio == views.Ratio("a", 4, 4, 4)


def test_who_is_slow_in_both_views_is_measured_once() -> None:
    runs = made_up({"evergrove": [0.1], "a": [1], "b": [1.4], "c": [1.6]})["runs"]
    assert speed.slow(runs) == ["c"]
    runs["c"][0]["process"] = 1.4
    assert speed.slow(runs) == []


def test_the_common_quality_is_the_worst_librarys_best() -> None:
    part = made_up({"evergrove": [10], "a": [20], "a-quick": [5], "b": [30]})
    part["curves"] = {
        "evergrove": curve(0.5, 0.7, 0.9),
        "a": curve(0.6, 0.8, 0.85),
        "a-quick": curve(0.4, 0.5, 0.6),
        "b": curve(0.8, 0.9, 0.95),
    }
    assert views.target(part) == 0.85
    reach = views.reach_times(part)
    assert "a-quick" not in reach  # never gets there
    assert reach["a"] == [20]
    assert reach["evergrove"] == [pytest.approx(10 * (0.5 + 0.5 * 0.75))]
    assert reach["b"] == [pytest.approx(30 * (0.25 + 0.25 * 0.5))]
    part["case"]["measure"] = "rmse"  # less is better: who begins below is there at once
    assert views.target(part) == 0.95
    assert views.reach_times(part)["a"] == [5]


def test_each_goal_is_met_or_not() -> None:
    twice = made_up({"evergrove": [1, 1], "a": [2, 2]}) | {"threads": 1}
    verdicts = {v.words.partition(",")[0]: v for v in judged.verdicts({"dense/1": twice})}
    assert verdicts["Training"].met  # twice as fast is the goal
    assert "1 of 6 cases (dense)" in verdicts["Training"].words
    assert not verdicts["From Parquet to the model file"].met  # and 2.5 times here
    assert verdicts["Peak memory"].met
    assert verdicts["Quality"].met
    # One case that is too slow is too slow, however fast the others are.
    slow = made_up({"evergrove": [1.0], "a": [1.4]}) | {"threads": 1}
    fast = made_up({"evergrove": [1.0], "a": [40.0]}) | {"threads": 1}
    both = judged.verdicts({"dense/1": fast, "sparse/1": slow})
    assert not both[0].met
    assert "least 1.40 (sparse)" in both[0].words
    assert not any(verdict.words.startswith("Quality") for verdict in both)  # one seed: no spread


def test_a_limit_that_is_not_kept_is_a_goal_that_is_not_met() -> None:
    free = {"seconds": 10.0, "error": "", "digest": "a" * 64}
    runs = {
        "unlimited": free,
        "2 GiB": free | {"seconds": 15.0},
        "1 GiB": free | {"seconds": 25.0},
        "500 MiB": free | {"digest": "b" * 64},
        "300 MiB": free | {"error": "ended by SIGKILL"},
    }
    verdicts = judged.verdicts({"long": {"runs": runs}})
    assert [verdict.met for verdict in verdicts] == [True, False, False, False]
    assert "ANOTHER digest" in verdicts[2].words
    assert "SIGKILL" in verdicts[3].words


def test_quality_is_equal_within_the_spread_over_seeds() -> None:
    part = made_up({"evergrove": [1, 1], "a": [1, 1]})
    for name, values in (("evergrove", (0.80, 0.82)), ("a", (0.815, 0.825))):
        for run, value in zip(part["runs"][name], values, strict=True):
            run["quality"] = value
    quality = views.quality(part)
    assert quality is not None
    assert quality.behind == pytest.approx(0.01)
    assert quality.is_equal
    part["runs"]["evergrove"][1]["quality"] = 0.801
    worse = views.quality(part)
    assert worse is not None
    assert not worse.is_equal


def curve(*quality: float) -> dict[str, list[float]]:
    return {"trees": [1, 2, 3], "share": [0.25, 0.5, 1.0], "quality": list(quality)}


def made_up(seconds: dict[str, list[float]]) -> dict[str, Any]:
    runs = {
        name: [
            {"fit": s, "process": s, "peak_rss_bytes": s, "cpu": s, "quality": 1.0} for s in values
        ]
        for name, values in seconds.items()
    }
    return {
        "case": {"measure": "roc_auc", "counts": True},
        "runs": runs,
        "curves": {},
        "failures": {},
    }
