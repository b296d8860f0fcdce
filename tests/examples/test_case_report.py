# SPDX-License-Identifier: Apache-2.0
"""The report of the fraud case: that what it says is true for any outcome, its drawings, and how it
looks in a real browser, all of it on figures made up."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from examples.case import charts, report, report_words
from examples.case.figures import Life, read_case
from tests.examples.made_up_case import DIGEST, made_up_case
from tests.examples.page_outline import PageOutline
from tests.process.browser import document, needs_browser, picture

OTHER_DIGEST = "cd" * 32
PHONE_WIDTH = 390
# A window cannot be as narrow as a phone, but a frame can. It and the page are of one file, as
# frames of other files may not be looked into.
FRAME = """<!DOCTYPE html><body style="margin:0"><iframe width={width} height=2000></iframe>
<script>
const page = {page};
const frame = document.querySelector("iframe");
frame.style.border = 0;
frame.onload = () => {{
  const inside = frame.contentDocument;
  document.body.dataset.width = inside.documentElement.scrollWidth;
  document.body.dataset.cut = [...inside.querySelectorAll(".scroll")]
    .filter((each) => each.scrollWidth > each.clientWidth).length;
  document.body.dataset.texts = [...inside.querySelectorAll("svg")].flatMap((drawing) => {{
    const edge = drawing.getBoundingClientRect();
    return [...drawing.querySelectorAll("text")].filter((text) => {{
      const box = text.getBoundingClientRect();
      return box.width > 0 && (box.left < edge.left - 1 || box.right > edge.right + 1);
    }}).map((text) => text.textContent);
  }}).join("|");
}};
frame.srcdoc = page;
</script></body>"""


def outline_of(page: str) -> PageOutline:
    return PageOutline(page, never_closed=("meta", "br"))


def headline(values: dict[str, Any]) -> str:
    return report_words.headline(read_case(values)).replace("\N{NO-BREAK SPACE}", " ")


def contender(values: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in values["contenders"] if each["name"] == name)
    return found


def row(page: str, title: str) -> str:
    """Returns the words of a contender's row in the first table."""
    table = page.split("<tbody>")[1].split("</tbody>")[0]
    found = next(each for each in table.split("<tr>") if title in each)
    return " ".join(re.sub("<[^>]*>", " ", found).split())


def test_the_headline_tells_time_cost_and_what_became_of_the_peer() -> None:
    values = made_up_case()
    spot = contender(values, "evergrove_trace")["cost"]["spot"]
    on_demand = contender(values, "evergrove_static")["cost"]["on_demand"]
    assert headline(values) == (
        "On machines that came and went, Evergrove made the very model of a quiet cluster, in 52 s "
        f"instead of 41 s, at {100 * spot / on_demand:.0f} % of its on-demand cost; XGBoost with "
        "restarts did not finish in 150 s."
    )


def test_a_peer_that_finishes_is_said_to() -> None:
    values = made_up_case()
    contender(values, "xgboost_trace").update(
        finished=True, gave_up_after=None, seconds=49.6, attempts=1
    )
    assert headline(values).endswith("; XGBoost with restarts took 50 s.")
    contender(values, "xgboost_trace").update(attempts=3)
    assert headline(values).endswith("; XGBoost with restarts took 50 s and 3 attempts.")


def test_a_peer_that_failed_by_itself_was_not_given_up() -> None:
    values = made_up_case()
    contender(values, "xgboost_trace").update(gave_up_after=None, seconds=30.0)
    assert headline(values).endswith("; XGBoost with restarts failed after 30 s.")


def test_without_peers_nothing_is_said_of_them() -> None:
    values = made_up_case()
    values["contenders"] = values["contenders"][:2]
    text = outline_of(report.render(values)).text
    assert "XGBoost" not in text.split("For engineers")[0]


@pytest.mark.parametrize("name", ["one_machine", "static", "trace"])
def test_models_that_differ_are_never_called_the_same(name: str) -> None:
    values = made_up_case()
    values["digests"][name] = OTHER_DIGEST
    page = report.render(values)
    assert "made a model, but not the same one as elsewhere;" in headline(values)
    assert '<h1 class="differs">' in page
    assert '<div class="card differs"><span class="name">Model</span><b>NOT the same' in page
    assert '<section class="verdict differs">' in page
    for words in ("the very model", "Equal to the bit"):
        assert words not in page
    assert OTHER_DIGEST in page


@pytest.mark.parametrize("name", ["one_machine", "static", "trace"])
def test_a_digest_that_is_missing_proves_nothing(name: str) -> None:
    values = made_up_case()
    values["digests"][name] = ""
    assert report_words.verdict(read_case(values)) is report_words.Verdict.UNKNOWN
    del values["digests"][name]
    page = report.render(values)
    assert "Evergrove made a model, in 52 s" in headline(values)
    assert "of a quiet cluster's on-demand cost" in headline(values)
    assert "the very model" not in page
    assert "Equal to the bit" not in page
    assert "Not compared" in page


def test_when_ours_does_not_finish_the_headline_says_so() -> None:
    values = made_up_case()
    contender(values, "evergrove_trace").update(
        finished=False, gave_up_after=200.0, error="no worker", digest="", quality=None
    )
    values["digests"]["trace"] = ""
    assert headline(values).startswith(
        "On machines that came and went, Evergrove did not finish in 200 s; XGBoost"
    )
    text = outline_of(report.render(values)).text
    assert "no end" in text
    assert "without a model" in text
    assert "on-demand cost" not in text


def test_a_trace_without_a_loss_is_not_called_one_where_machines_went() -> None:
    values = made_up_case()
    contender(values, "evergrove_trace")["losses"] = 0
    assert headline(values).startswith("On spot machines of which none was lost, Evergrove made")


def test_the_table_has_the_figures_of_each_contender() -> None:
    values = made_up_case()
    contender(values, "xgboost_trace_checkpoints").update(
        machine_seconds={"starting": 22.4, "working": 283.3, "lost": 75.2, "total": 380.9},
        cost={"on_demand": 0.0406, "spot": 0.1179},
    )
    page = report.render(values).replace("\N{NO-BREAK SPACE}", " ")
    assert row(page, "with checkpoints") == (
        "xgboost.dask on the trace, with checkpoints 121 s 400 5 21 % 84 of 484 22 283 75 $40.60 "
        "$118 0.881 0.684 0.291"
    )
    assert "150 s not finished 0 6 100 % 912 of 912" in row(page, "begun again")
    assert row(page, "begun again").endswith("– – –")
    # What one would pay: on demand for a quiet cluster, spot for one on the trace.
    paid = re.findall(r'class="paid[^"]*" data-name="1,000 trainings, (on demand|spot)"', page)
    assert paid == ["spot", "on demand", "on demand", "spot", "spot"]


def test_page_is_whole_and_needs_nothing_from_elsewhere() -> None:
    page = report.render(made_up_case())
    outline = outline_of(page)
    assert not {"src", "href", "srcset", "xlink:href"} & {name for name, _ in outline.attributes}
    assert not re.search(r"https?:|url\(|@import|<script|<link", page)
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    for words in (
        *(
            "3,500,000",
            "117.7 MiB",
            "availability__16-node__aws-08-27-2023",
            "Billed by the second.",
        ),
        *("2: terminals taken over", "1,133 frauds", DIGEST, "43852a7", "script/case", "2026.1.1"),
    ):
        assert words in outline.text


def test_texts_are_text_and_never_markup() -> None:
    evil = "<img src=x onerror=alert(1)></style><b>'\"&"

    def soiled(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                f"{evil} {key}" if key == "dask" else key: soiled(v) for key, v in value.items()
            }
        if isinstance(value, list):
            return [soiled(each) for each in value]
        return f"{value}{evil}" if isinstance(value, str) else value

    values = soiled(made_up_case())
    values["contenders"][0]["quality"]["by_scenario"] = {evil: {"frauds": 3, "roc_auc": 0.5}}
    page = report.render(values)
    assert "<img" not in page
    assert "<b>&" not in page
    assert evil in outline_of(page).text


def nothing_known(values: dict[str, Any]) -> dict[str, Any]:
    """The same contenders, with null for all that may be unknown."""
    contenders = [
        {key: value if key in ("name", "title") else None for key, value in each.items()}
        for each in values["contenders"]
    ]
    kept = {"version": 1, "contenders": contenders}
    return {key: kept.get(key) for key in values}


def test_what_is_unknown_is_left_out() -> None:
    for values in (
        nothing_known(made_up_case()),
        {"version": 1, "contenders": [{"name": "evergrove_trace"}]},
        {"version": 1, "contenders": [{"name": "xgboost_trace", "library": "XGBoost"}]},
    ):
        text = outline_of(report.render(values)).text
        assert "None" not in text
        assert "second by second" not in text  # nothing to be drawn
        assert "Equal to the bit" not in text
        assert "the very model" not in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "Expecting property name"),
        ('{"version": 2, "contenders": [{"name": "x"}]}', "version=2 expected=1"),
        ("{}", "version=None expected=1"),
        ('{"version": 1, "contenders": []}', "has no contenders"),
        ('{"version": 1, "contenders": [{"title": "x"}]}', "has no name"),
        ("[1]", "is not a JSON object"),
    ],
)
def test_a_file_that_is_no_case_is_refused(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "case.json").write_text(text)
    assert report.main([str(tmp_path / "case.json"), "--out", str(tmp_path / "page.html")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("report: ")
    assert words in said
    assert not (tmp_path / "page.html").exists()


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    (tmp_path / "case.json").write_text(json.dumps(made_up_case()))
    assert report.main([str(tmp_path / "case.json"), "--out", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").read_text() == report.render(made_up_case())
    assert report.main([str(tmp_path / "nowhere.json"), "--out", str(tmp_path / "x.html")]) == 2


def ends_of(drawing: str) -> list[float]:
    return [float(x) for x in re.findall(r'<line class="over[^"]*" x1="([\d.]+)"', drawing)]


def test_all_pictures_have_the_same_seconds() -> None:
    case = read_case(made_up_case())
    most = charts.seconds_shown(case.contenders)
    assert most == 150.0
    for each in case.contenders:
        drawing = charts.run(each, 998, seconds_max=most, trees_max=400)
        assert each.seconds is not None
        # Between the edges, in proportion to the time.
        expected = 40 + (998 - 40 - charts.RIGHT) * each.seconds / most
        assert ends_of(drawing) == [pytest.approx(expected, abs=0.06)]
        losses = sum(life.how == "killed" for life in each.workers)
        assert drawing.count('class="killed"') == drawing.count('class="loss"') == losses


def test_a_curve_is_cut_where_trees_are_thrown_away() -> None:
    case = read_case(made_up_case())
    for name, cuts in (("evergrove_trace", 0), ("xgboost_trace", 3)):
        each = case.of(name)
        assert each is not None
        drawing = charts.run(each, 998, seconds_max=150.0, trees_max=400)
        css = charts.css_of(each)
        assert drawing.count(f'class="line back {css}"') == cuts
        assert drawing.count(f'class="line {css}"') == cuts + 1


def test_workers_share_a_lane_when_they_were_not_there_at_once() -> None:
    lives = [
        Life("a", 0.0, 1.0, 10.0, "killed"),
        Life("b", 2.0, 3.0, 12.0, "killed"),
        Life("c", 11.0, None, 11.5, "killed"),
        Life("d", 12.5, 13.0, None),
        Life("e", 14.0, 15.0, 20.0),
    ]
    named = [[life.name for life in lane] for lane in charts.lanes(lives, 20.0)]
    assert named == [["a", "c", "d"], ["b", "e"]]
    # With room for the cross.
    assert len(charts.lanes(lives, 20.0, gap=1.1)) == 3


def test_a_thousand_workers_make_no_longer_picture() -> None:
    values = made_up_case()
    values["contenders"][0]["workers"] = [
        {"name": f"w{i}", "start": 0.0, "ready": 2.0, "end": 50.0, "how": "ended"}
        for i in range(1000)
    ]
    drawing = charts.run(read_case(values).contenders[0], 998, seconds_max=52.0, trees_max=400)
    height = re.search(r'viewBox="0 0 998 (\d+)"', drawing)
    assert height is not None and int(height.group(1)) < 500


@pytest.mark.parametrize("most", [0.3, 1.0, 7.0, 52.1, 150.0, 4000.0])
def test_axes_have_a_few_round_steps(most: float) -> None:
    for steps_max in (4, 10):
        ticks = list(charts.Axis(0, 100, most, steps_max).ticks())
        assert 1 <= len(ticks) - 1 <= steps_max
        assert ticks[0] == 0
        assert ticks[-1] <= most * (1 + 1e-9)
        assert re.fullmatch(r"[125](\.0)?e[+-]\d+", f"{ticks[1]:.1e}"), ticks


def measured(page: str, width: int, folder: Path) -> dict[str, str]:
    """Shows the page so wide; what the frame around it has found."""
    place = folder / "frame.html"
    text = json.dumps(page).replace("</", "<\\/")
    place.write_text(FRAME.format(width=width, page=text))
    shown = document(place.as_uri())
    found = dict(re.findall(r' data-(\w+)="([^"]*)"', shown.split("<body", 1)[1].split(">", 1)[0]))
    assert set(found) == {"width", "cut", "texts"}
    return found


@needs_browser
@pytest.mark.parametrize("width", [1280, 1101, 800, PHONE_WIDTH])
def test_nothing_is_beyond_the_edge(width: int, tmp_path: Path) -> None:
    found = measured(report.render(made_up_case()), width, tmp_path)
    assert found == {"width": str(width), "cut": "0", "texts": ""}


@needs_browser
def test_light_and_dark_are_two_pictures(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(report.render(made_up_case()))
    url = (tmp_path / "page.html").as_uri()
    for name, dark in (("light", False), ("dark", True)):
        picture(url, tmp_path / f"{name}.png", 1280, 900, dark)
    light, dark_one = ((tmp_path / f"{name}.png").read_bytes() for name in ("light", "dark"))
    assert light.startswith(b"\x89PNG")
    assert min(len(light), len(dark_one)) > 30_000  # not empty pages
    assert light != dark_one
