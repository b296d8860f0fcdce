# SPDX-License-Identifier: Apache-2.0
"""evergrove status of a log: how far a run is, whether anybody works on it or not."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.command import BAD_INPUT, DONE, environment, evergrove, executable, start
from tests.process.object_store import S3Server, needs_s3, s3_server
from tests.process.rows import LABEL, small_rows, write

TREES = 30


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(small_rows(3000), tmp_path_factory.mktemp("data") / "rows.parquet")


def train(data: Path, model: Path, log: object, *settings: str) -> tuple[object, ...]:
    return (
        *("train", "--data", data, "--label", LABEL, "--valid-fraction", "0.2", "--quiet"),
        *("--model", model, "--log", log, "--resume", "--json"),
        *("--set", *(settings or (f"n_estimators={TREES}", "max_leaves=15"))),
    )


def test_a_finished_run(data: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    result = evergrove(*train(data, tmp_path / "model", log)).json
    status = evergrove("status", log, "--json").json
    assert status["state"] == "finished"
    assert status["trees"] == status["trees_max"] == TREES
    assert status["metrics"]["valid"] == result["metrics"]["valid"]
    assert (status["rows"], status["columns"]) == (result["rows"] + held_out(result), 5)
    assert status["seconds_to_go"] is None
    assert status["trees_per_minute"] is None
    words = evergrove("status", "--log", log).out
    assert re.search(rf"trees +{TREES} of {TREES}, finished\n", words), words
    assert "auc" in words


def held_out(result: dict[str, object]) -> int:
    """Rows that are in the log's manifest and were not learnt from."""
    rows = result["rows"]
    assert isinstance(rows, int)
    return 3000 - rows


def test_a_run_that_was_killed_and_one_that_goes_on(data: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = train(data, tmp_path / "model", log, "n_estimators=1000000", "max_leaves=3")
    process = start(*command)
    deadline = time.monotonic() + 60
    while (answer := evergrove("status", log, "--json")).code != DONE or not answer.json["trees"]:
        assert time.monotonic() < deadline, answer
    watch = subprocess.Popen(
        [executable(), "status", log, "--watch", "--json"],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watch.stdout is not None
        first, second = (json.loads(watch.stdout.readline()) for _ in range(2))
        watch.send_signal(signal.SIGTERM)
        assert watch.wait(10) == DONE
        assert second["trees"] > first["trees"] > 0
        assert second["state"] == "unfinished"
        assert first["trees_per_minute"] is None
        assert second["trees_per_minute"] > 0  # from one look to the next
        assert second["seconds_to_go"] > 0
    finally:
        process.kill()
        process.communicate()
        watch.kill()
        watch.communicate()
    dead = evergrove("status", log, "--json").json
    assert dead["trees"] >= second["trees"]
    assert evergrove("status", log, "--json").json == dead  # looking changes nothing


def test_early_stopping_has_finished_before_its_last_tree(data: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    settings = ("n_estimators=5000", "learning_rate=1", "early_stopping_rounds=5")
    result = evergrove(*train(data, tmp_path / "model", log, *settings)).json
    status = evergrove("status", log, "--json").json
    assert status["state"] == "finished"
    assert status["trees"] < 5000
    assert status["best_iteration"] == result["best_iteration"]


def test_the_epoch_is_that_of_the_newest_coordinator(data: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for trees in (5, 10):
        answer = evergrove(
            *train(data, tmp_path / "model", log, f"n_estimators={trees}"), "--workers", "1"
        )
        assert answer.code == DONE, answer
    assert evergrove("status", log, "--json").json["epoch"] == 2


@pytest.mark.parametrize("make", [None, "folder", "file"])
def test_what_is_no_log_is_refused(make: str | None, data: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    if make == "folder":
        place.mkdir()
    elif make == "file":
        place.write_bytes(data.read_bytes())
    answer = evergrove("status", place)
    assert answer.code == BAD_INPUT
    assert str(place) in answer.error


def test_one_of_coordinator_and_log_is_to_be_said(tmp_path: Path) -> None:
    assert "--coordinator HOST:PORT" in evergrove("status").error
    both = evergrove("status", tmp_path, "--coordinator", "127.0.0.1:1")
    assert both.code == BAD_INPUT
    assert "not both" in both.error


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        server.file_system().create_dir("logs")
        yield server


@needs_s3
def test_a_log_on_an_object_store(server: S3Server, data: Path, tmp_path: Path) -> None:
    log = "s3://logs/run"
    result = evergrove(*train(data, tmp_path / "model", log), env=server.environment).json
    status = evergrove("status", log, "--json", env=server.environment).json
    assert status["state"] == "finished"
    assert status["log"] == log
    assert status["trees"] == TREES
    assert status["metrics"]["valid"] == result["metrics"]["valid"]
    nothing = evergrove("status", "s3://logs/another", env=server.environment)
    assert nothing.code == BAD_INPUT
    assert "No run has begun in this log yet" in nothing.error
