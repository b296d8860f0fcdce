# SPDX-License-Identifier: Apache-2.0
"""Ten runs with each process on a host of its own; script/campaign real_runs does many."""

from pathlib import Path

import pytest

from tests.campaigns.real_runs import one_run, prepare
from tests.campaigns.real_runs_network import reason_not_possible

pytestmark = pytest.mark.skipif(bool(reason_not_possible()), reason=reason_not_possible())


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    return prepare(tmp_path_factory.mktemp("hosts") / "runs")


@pytest.mark.parametrize("seed", range(1, 11))
def test_hosts_that_fail_make_the_model_of_one(seed: int, prepared: tuple[Path, Path, str]) -> None:
    rows, secrets, digest = prepared
    answer = one_run(seed, rows, secrets)
    assert answer["result"] == digest, answer
    assert answer["deeds"], "nothing befell the run"
    assert int(str(answer["packets"])) > 0
