# SPDX-License-Identifier: Apache-2.0
"""The parts of the fraud case that compute: traces, rows, quality, prices, and what is counted of
the machines and of XGBoost's rounds."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from examples.case import main, prices, rounds, rows, trace
from examples.case.machines import Life, Machines
from examples.case.quality import quality
from examples.fraud import features, transactions
from examples.fraud.demo import SMALL


def recorded(folder: Path, counts: list[int], gap_seconds: int = 300) -> Path:
    path = folder / "trace.json"
    path.write_text(json.dumps({"metadata": {"gap_seconds": gap_seconds}, "data": counts}))
    return path


def test_a_trace_is_scaled_so_that_none_stays_none_and_one_stays_one(tmp_path: Path) -> None:
    path = recorded(tmp_path, [16, 1, 0, 8, 9, 16])
    found = trace.read_trace(path, workers=4, step_seconds=2.0)
    assert found.levels == [(0.0, 4), (2.0, 1), (4.0, 0), (6.0, 2), (8.0, 3), (10.0, 4)]
    assert (found.kind, found.file, found.real_step_seconds) == ("recorded", "trace.json", 300)


def test_a_level_holds_until_the_next_and_the_window_begins_again(tmp_path: Path) -> None:
    found = trace.read_trace(recorded(tmp_path, [4, 4, 2, 4]), workers=4, step_seconds=2.0)
    assert [found.level(at) for at in (0.0, 3.9, 4.0, 5.9, 6.0)] == [4, 4, 2, 2, 4]
    assert found.level(found.seconds + 4.0) == 2
    assert found.seconds == trace.STEPS * 2.0


def test_the_window_that_changes_most_often_is_taken(tmp_path: Path) -> None:
    lively = [4, 2] * (trace.STEPS // 2)
    path = recorded(tmp_path, [4] * 100 + lively + [4] * 100)
    found = trace.read_trace(path, workers=4, step_seconds=1.0)
    assert len(found.levels) >= trace.STEPS - 1


def test_a_window_never_begins_without_a_machine(tmp_path: Path) -> None:
    counts = [0, 4] * 100
    found = trace.read_trace(recorded(tmp_path, counts), workers=4, step_seconds=1.0)
    assert found.levels[0] == (0.0, 4)


def test_a_trace_without_any_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="never has a machine; give another one"):
        trace.read_trace(recorded(tmp_path, [0] * 100), workers=4, step_seconds=1.0)


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_our_own_trace_has_no_more_workers_than_asked_for(workers: int) -> None:
    found = trace.read_trace(None, workers=workers, step_seconds=3.0)
    assert found.kind == "own"
    counts = [count for _, count in found.levels]
    assert 1 <= min(counts) <= max(counts) <= workers


def prepared() -> pa.Table:
    return features.add_features(transactions.generate(SMALL))


def test_copies_are_of_other_amounts_and_of_the_same_labels() -> None:
    table = prepared()
    parts = rows.parts(table, copies=3, file_count=5)
    whole = pa.concat_tables(parts)
    assert len(parts) == 5
    assert whole.num_rows == 3 * table.num_rows
    assert whole.column_names == [*features.FEATURES, features.LABEL]
    first, second = whole.slice(0, table.num_rows), whole.slice(table.num_rows, table.num_rows)
    assert first["TX_AMOUNT"].equals(table["TX_AMOUNT"])
    assert second[features.LABEL].to_pylist() == table[features.LABEL].to_pylist()
    name = "TERMINAL_ID_RISK_7DAY_WINDOW"
    assert second[name].to_pylist() == first[name].to_pylist()
    before, after = (each["TX_AMOUNT"].to_numpy() for each in (first, second))
    ratio = after[before > 10] / before[before > 10]
    assert 0.79 < ratio.min() < 0.9
    assert 1.1 < ratio.max() < 1.26


def test_one_customer_of_a_copy_spends_by_one_factor() -> None:
    table = prepared()
    whole = pa.concat_tables(rows.parts(table, copies=2, file_count=1))
    before = table["TX_AMOUNT"].to_numpy()
    after = whole["TX_AMOUNT"].to_numpy()[table.num_rows :]
    customer = table["CUSTOMER_ID"].to_numpy()
    chosen = (customer == customer[0]) & (before > 20)
    ratio = after[chosen] / before[chosen]
    assert len(ratio) > 3
    assert np.ptp(ratio) < 0.002  # whole cents


def test_the_same_copies_are_made_again() -> None:
    table = prepared()
    once, again = (pa.concat_tables(rows.parts(table, 2, 3)) for _ in range(2))
    assert once.equals(again)


def made_up_test() -> pa.Table:
    """Two days of four cards; frauds of two scenarios."""
    scenario = [0, 1, 0, 2, 0, 0, 0, 1]
    return pa.table(
        {
            "CUSTOMER_ID": pa.array([1, 2, 3, 4, 1, 2, 3, 4], pa.int32()),
            "TX_TIME_DAYS": pa.array([0, 0, 0, 0, 1, 1, 1, 1], pa.int32()),
            "TX_FRAUD": pa.array([int(each > 0) for each in scenario], pa.int8()),
            "TX_FRAUD_SCENARIO": pa.array(scenario, pa.int8()),
        }
    )


def test_quality_tells_a_scenario_that_is_found_from_one_that_is_not() -> None:
    #                  0    1    0    2    0    0    0    1
    scores = np.array([0.2, 0.9, 0.3, 0.1, 0.2, 0.4, 0.3, 0.8])
    found = quality(scores, made_up_test())
    assert found["by_scenario"]["1"] == {"frauds": 2, "roc_auc": 1.0}
    assert found["by_scenario"]["2"] == {"frauds": 1, "roc_auc": 0.0}
    assert found["roc_auc"] == pytest.approx(2 / 3)


def test_prices_are_those_of_the_hours() -> None:
    each = prices.Prices("m", 8, on_demand_per_hour=0.36, spot_per_hour=0.18, source="",
                         assumptions=[])  # fmt: skip
    cost = each.of(machine_seconds=100.0)
    assert cost == {"on_demand": pytest.approx(0.01), "spot": pytest.approx(0.005)}


@pytest.mark.parametrize("is_there", [True, False])
def test_spot_is_cheaper_in_the_catalogue_and_in_our_own_table(
    is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_there:
        monkeypatch.setattr(prices, "CATALOGUE", Path("/nowhere/spot_prices.csv"))
    found = prices.read_prices()
    assert 0 < found.spot_per_hour < found.on_demand_per_hour < 1
    assert found.assumptions
    assert found.source


def machines_of(*lives: Life) -> Machines:
    """What is counted needs no cluster."""
    found = Machines.__new__(Machines)
    found.lives = list(lives)
    found.begin = 0.0
    return found


def life(start: float, ready: float | None, end: float, how: str) -> Life:
    none: Any = None
    return Life("w", start, none, ready, end, how)


def test_a_machine_that_was_lost_before_it_was_ready_was_only_starting() -> None:
    found = machines_of(life(0.0, 2.0, 10.0, "ended"), life(4.0, None, 7.0, "killed"))
    assert found.machine_seconds() == {"starting": 5.0, "working": 8.0, "total": 13.0}
    assert found.loss_count == 1


def test_lost_work_is_taken_from_what_was_working() -> None:
    contender: dict[str, Any] = {
        "machine_seconds": {"starting": 5.0, "working": 80.0, "total": 85.0}
    }
    main.split_lost(contender, 0.25)
    assert contender["machine_seconds"] == {
        "starting": 5.0, "working": 60.0, "total": 85.0, "lost": 20.0
    }  # fmt: skip


def test_rounds_that_all_workers_tell_of_count_once_and_those_done_again_twice() -> None:
    told = [(1.0, 1), (1.1, 1), (2.0, 2), (2.1, 1), (2.2, 2), (3.0, 3), (9.0, 1), (9.1, 1),
            (10.0, 2)]  # fmt: skip
    found = main.first_of(told)
    assert found == [(1.0, 1), (2.0, 2), (3.0, 3), (9.0, 1), (10.0, 2)]
    assert main.rounds_of(found) == 5


def test_a_curve_that_is_thinned_keeps_where_it_falls_and_ends() -> None:
    curve = [(float(i), i + 1) for i in range(1000)] + [(1000.0 + i, i + 1) for i in range(505)]
    found = main.thinned(curve, most=100)
    assert len(found) < 130
    for point in (curve[0], curve[999], curve[1000], curve[-1]):
        assert point in found


def test_rounds_are_noted_by_processes_and_read_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(rounds.FOLDER_VARIABLE, str(tmp_path))
    rounds.note(1)
    rounds.note(2)
    (tmp_path / "7.rounds").write_text("[1.5, 40]\n[2.5, 41]\n[3.5, 4")  # killed as it wrote
    found = rounds.read_rounds(tmp_path)
    assert [trees for _, trees in found] == [40, 41, 1, 2]
    assert (tmp_path / f"{os.getpid()}.rounds").exists()
