# SPDX-License-Identifier: Apache-2.0
"""What a run has to know of its data is found by the workers that are there, by the coordinator
where there are none; and bad data is refused with the words of one process, to everybody."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.process.command import BAD_INPUT, DONE, evergrove, executable
from tests.process.coordinator_process import wait_until_it_listens
from tests.process.rows import LABEL, small_rows, write

ROWS = 200_000
GROUP = 10_000


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(small_rows(ROWS), tmp_path_factory.mktemp("data") / "good.parquet", GROUP)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory, good: Path) -> Path:
    """Labels are missing in parts that different workers read."""
    table = pq.read_table(good)
    labels = table[LABEL].to_pylist()
    for row in (199_999, 150_001, 77_777):
        labels[row] = None
    place = table.column_names.index(LABEL)
    table = table.set_column(place, LABEL, pa.array(labels, table[LABEL].type))
    path = tmp_path_factory.mktemp("data") / "bad.parquet"
    pq.write_table(table, path, row_group_size=GROUP)
    return path


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("a-token-for-tests-of-some-length\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()


def options(data: Path, folder: Path) -> list[str | Path]:
    some = ["--set", "n_estimators=3", "max_leaves=7"]
    return ["--data", data, "--label", LABEL, *some, "--model", folder / "model"]


def test_workers_refuse_bad_rows_of_all_parts_with_the_words_of_one_process(
    bad: Path, tmp_path: Path
) -> None:
    alone = evergrove("train", *options(bad, tmp_path))
    together = evergrove("train", *options(bad, tmp_path), "--workers", "3")
    assert alone.code == together.code == BAD_INPUT
    assert "rows: 3" in alone.err and "first row: 77777" in alone.err
    assert together.err.splitlines()[-1] == alone.err.splitlines()[-1]


def test_a_coordinator_alone_refuses_bad_data_before_any_machine_is_rented(
    bad: Path, token: Path, tmp_path: Path
) -> None:
    answer = evergrove("coordinator", *options(bad, tmp_path), "--token-file", token)
    assert answer.code == BAD_INPUT
    assert "The label has missing values" in answer.err


def test_workers_are_told_why_the_run_ends(
    bad: Path, token: Path, tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    for _ in range(10):
        coordinator = subprocess.Popen(
            [executable(), "coordinator", *options(bad, tmp_path), "--token-file", token],
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(coordinator)
        address = wait_until_it_listens(coordinator).address
        coordinator.send_signal(signal.SIGSTOP)  # so that it is not alone for long
        time.sleep(0.1)
        if coordinator.poll() is None:
            break  # else it was quicker, and has refused the data alone
    worker = subprocess.Popen(
        [executable(), "worker", "--coordinator", address, "--token-file", token],
        stderr=subprocess.PIPE,
        text=True,
    )
    started.append(worker)
    time.sleep(0.5)
    coordinator.send_signal(signal.SIGCONT)
    _, said = worker.communicate(timeout=30)
    assert coordinator.wait(30) == BAD_INPUT
    assert worker.returncode == BAD_INPUT, said
    assert "The coordinator ends the run: The label has missing values" in said


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_model_is_that_of_one_process(workers: int, good: Path, tmp_path: Path) -> None:
    assert evergrove("train", *options(good, tmp_path)).code == DONE
    digest = evergrove("digest", tmp_path / "model").out.split()[0]
    for extra in (["--workers", str(workers)], ["--workers", str(workers), "--threads", "1"]):
        answer = evergrove("train", *options(good, tmp_path), *extra)
        assert answer.code == DONE, answer
        assert evergrove("digest", tmp_path / "model").out.split()[0] == digest
