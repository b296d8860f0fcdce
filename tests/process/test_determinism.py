# SPDX-License-Identifier: Apache-2.0
"""One digest, as a small test: each data set and growth, trained in ways that must not matter.

The whole of it, with more rows, builds and kills, is `script/campaign determinism`.
"""

import sys
from pathlib import Path

import pytest

from tests import data_sets
from tests.one_digest import GROWTHS, Case, Layout, Trainer, Way, simd_names

COMMAND = Path(sys.executable).with_name("evergrove")

WAYS = [
    Way(threads=1, layout=Layout(group_rows=1_000)),
    Way(threads=3, layout=Layout(files=7, group_rows=333)),
    Way(threads=8, layout=Layout("csv")),
    Way(layout=Layout("csv", files=3)),
    Way(layout=Layout("ipc", group_rows=1_500)),
    *(Way(simd=name) for name in simd_names()),
]


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    assert COMMAND.exists(), "the command is not built; run script/build"
    return Trainer(tmp_path_factory.mktemp("one_digest"), {"release": COMMAND})


@pytest.fixture(scope="module", params=list(data_sets.BY_NAME))
def data(request: pytest.FixtureRequest) -> data_sets.DataSet:
    return data_sets.BY_NAME[request.param]()


@pytest.mark.parametrize("growth", GROWTHS)
def test_is_the_same_however_rows_lie_and_whatever_runs_them(
    trainer: Trainer, data: data_sets.DataSet, growth: str
) -> None:
    case = Case(data, growth, sampled=True, trees=10)
    digest = trainer.digest(case, Way())
    assert len(digest) == 64
    assert {str(way): trainer.digest(case, way) for way in WAYS} == {
        str(way): digest for way in WAYS
    }


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow"])
def test_is_the_same_from_frames(trainer: Trainer, data: data_sets.DataSet, kind: str) -> None:
    case = Case(data, "leaf", sampled=True, trees=10)
    assert trainer.digest(case, Way(layout=Layout(kind))) == trainer.digest(case, Way())


@pytest.mark.parametrize("growth", GROWTHS)
def test_is_the_same_after_kills_at_random_instants(trainer: Trainer, growth: str) -> None:
    case = Case(data_sets.adult_like(), growth, sampled=True, trees=60)
    digest = trainer.digest(case, Way())
    kills_before = trainer.kill_count
    for seed in range(4):
        assert trainer.digest(case, Way(kill_seed=seed)) == digest, f"kill_seed={seed}"
    assert trainer.kill_count > kills_before, "no kill came before the end"


def test_differs_with_what_decides_it(trainer: Trainer) -> None:
    """So that a digest that never changes would be noticed."""
    data = data_sets.adult_like(rows=2_000)
    cases = [
        Case(data, "leaf", sampled=False, trees=5),
        Case(data, "leaf", sampled=True, trees=5),
        Case(data, "depth", sampled=False, trees=5),
        Case(data, "symmetric", sampled=False, trees=5),
        Case(data, "leaf", sampled=False, trees=6),
        Case(data, "leaf", sampled=True, trees=5, seed=8),
        Case(data_sets.adult_like(rows=2_001), "leaf", sampled=False, trees=5),
    ]
    assert len({trainer.digest(case, Way()) for case in cases}) == len(cases)
