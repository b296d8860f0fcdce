# SPDX-License-Identifier: Apache-2.0
"""evergrove worker --memory: no worker holds more than it said, and a run says what is missing."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.process.command import BAD_INPUT, DONE, evergrove, executable
from tests.process.rows import LABEL, small_rows, write

SETTINGS = ("--label", LABEL, "--set", "n_estimators=5")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(small_rows(200_000), tmp_path_factory.mktemp("data") / "rows.parquet", 10_000)


def test_a_run_waits_for_memory_and_says_how_much(rows: Path, tmp_path: Path) -> None:
    alone = evergrove("train", "--data", rows, *SETTINGS, "--model", tmp_path / "alone", "--json")
    token = tmp_path / "token"
    token.write_text("a-token-for-tests-of-some-length\n")
    token.chmod(0o600)
    coordinator = subprocess.Popen(
        [
            *(executable(), "coordinator", "--data", rows, *SETTINGS, "--token-file", token),
            *("--model", tmp_path / "model"),
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    workers: list[subprocess.Popen[bytes]] = []
    try:
        assert coordinator.stderr is not None
        lines = iter(coordinator.stderr)
        address = next(
            line.split("Listens on ")[1].split()[0] for line in lines if "Listens on " in line
        )
        connection = ("--coordinator", address, "--token-file", token)

        def start(memory: str) -> None:
            command: list[str | Path] = [
                *(executable(), "worker", *connection, "--threads", "1", "--memory", memory)
            ]
            workers.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))

        start("6MB")  # a shard needs 5 to 6
        waits = next(line for line in lines if "waits for workers with" in line)
        assert "more memory" in waits
        status = evergrove("status", *connection, "--json").json
        assert "more bytes of worker memory needed" in status["waits_for"]
        assert status["iterations"] == 0
        start("6MB")
        start("1GiB")
        assert coordinator.wait(60) == DONE
        assert [worker.wait(30) for worker in workers] == [DONE] * 3
    finally:
        processes: list[subprocess.Popen[Any]] = [*workers, coordinator]
        for process in processes:
            process.kill()
            process.wait()
        assert coordinator.stderr is not None
        coordinator.stderr.close()
    digest = evergrove("digest", tmp_path / "model").out.split()[0]
    assert digest == alone.json["digest"]


@pytest.mark.parametrize("size", ["0", "a lot", "-4GB"])
def test_what_is_no_size_is_refused(size: str) -> None:
    answer = evergrove("worker", "--coordinator", "127.0.0.1:1", f"--memory={size}")
    assert answer.code == BAD_INPUT
    assert "--memory" in answer.error
