# SPDX-License-Identifier: Apache-2.0
"""The curves of cost: what a point comes to, and a tiny run of each curve into page and picture."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.compare import growth, growth_picture
from bench.compare.outcome import DEFAULT_EVERGROVE
from tests.examples.page_outline import PageOutline


def test_a_point_is_said_per_row_column_level_and_tree() -> None:
    point = growth.Point(rows=1_000, columns=10, leaves=16, trees=5)
    assert point.ns(seconds=1.0) == 1e9 / (1_000 * 10 * 4 * 5)
    # A tree a class, but one for two.
    assert replace(point, classes=2).trees_in_all == 5
    assert replace(point, classes=3).trees_in_all == 15


def test_a_curve_changes_one_thing() -> None:
    for name, points in growth.CURVES.items():
        values = [getattr(point, name) for point in points]
        assert values == sorted(set(values))
        assert len({replace(point, **{name: values[0]}) for point in points}) == 1


@pytest.mark.skipif(
    not DEFAULT_EVERGROVE.exists(), reason=f"needs {DEFAULT_EVERGROVE}; script/build makes it"
)
def test_a_tiny_run_gives_page_and_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "CACHE", tmp_path)
    tiny = growth.Point(rows=20_000, columns=5, leaves=7)
    curves = {
        "columns": [tiny, replace(tiny, columns=9)],
        "classes": [tiny, replace(tiny, classes=3)],
    }
    monkeypatch.setattr(growth, "CURVES", curves)
    out = tmp_path / "out/growth.json"
    words = ["growth", "--quick", "--out", str(out), "--curves", "columns", "classes"]
    monkeypatch.setattr("sys.argv", words)
    assert growth.main() == 0
    figures = json.loads(out.read_text())
    for name in ("growth/columns", "growth/classes"):
        for point in figures[name]["points"]:
            assert point["seconds"] > 0 and point["ns"] > 0
            assert set(point["parts_ns"]) == set(growth.PARTS)
            assert all(ns > 0 for ns in point["parts_ns"].values())
    page = out.with_suffix(".md").read_text()
    assert "images/growth_growth.svg" in page
    assert "| classes | 1,000 | 5 | 7 | 3 |" in page
    picture = PageOutline((out.parent / "images/growth_growth.svg").read_text())
    assert f"{growth_picture.BOUND_NS} ns" in picture.text


def test_a_point_outside_of_the_axis_lies_on_its_edge() -> None:
    assert growth_picture.axis_y(1e-9) == growth_picture.BOTTOM
    assert growth_picture.axis_y(1e9) == growth_picture.TOP
