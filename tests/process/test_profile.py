# SPDX-License-Identifier: Apache-2.0
"""`--profile`: where the time went, in words, in JSON and as a trace."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.process.command import BAD_INPUT, DONE, Answer, evergrove


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(1)
    columns = {f"x{i}": random.random(20_000) for i in range(5)}
    columns["label"] = (columns["x0"] + random.random(20_000) > 1).astype(np.int8)
    path = tmp_path_factory.mktemp("profile") / "rows.parquet"
    parquet.write_table(pa.table(columns), path)
    return path


def train(rows: Path, tmp_path: Path, *options: object) -> Answer:
    settings = ("--set", "n_estimators=5", "--model", tmp_path / "model", "--threads", "1")
    return evergrove("train", "--data", rows, "--label", "label", *settings, *options)


def test_it_is_printed_and_alters_nothing(rows: Path, tmp_path: Path) -> None:
    plain = train(rows, tmp_path, "--json")
    assert json.loads(plain.out)["profile"] is None
    answer = train(rows, tmp_path, "--profile")
    assert answer.code == DONE, answer
    lines = {line.split()[0] for line in answer.out.splitlines() if line}
    assert {
        "read",
        "sample",
        "cut",
        "bin",
        "gradients",
        "partition",
        "histogram",
        "search",
    } <= lines
    assert json.loads(plain.out)["digest"] in answer.out


def test_its_seconds_are_no_more_than_there_were(rows: Path, tmp_path: Path) -> None:
    answer = train(rows, tmp_path, "--profile", "--json")
    profile = json.loads(answer.out)["profile"]
    phases = profile["phases"]
    assert 0 < sum(phase["seconds"] for phase in phases.values()) <= profile["seconds"]
    assert phases["cut"]["times"] == 5  # columns
    assert phases["histogram"]["times"] >= 5  # trees


def test_a_trace_has_each_span(rows: Path, tmp_path: Path) -> None:
    answer = train(rows, tmp_path, "--profile-trace", tmp_path / "trace.json", "--json")
    assert answer.code == DONE, answer
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    phases = json.loads(answer.out)["profile"]["phases"]
    for name, phase in phases.items():
        assert sum(event["name"] == name for event in events) == phase["times"]


def test_workers_are_not_profiled(rows: Path, tmp_path: Path) -> None:
    answer = train(rows, tmp_path, "--profile", "--workers", "2")
    assert answer.code == BAD_INPUT
    assert "--workers" in answer.error
