# SPDX-License-Identifier: Apache-2.0
"""A log in a folder that a coordinator has taken over: its files are made here by the words of
docs/formats/log.md, and the command goes on from them."""

import hashlib
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest

from tests.process.command import BAD_INPUT, DONE, STORAGE, Answer, evergrove, finish, start
from tests.process.rows import LABEL, small_rows, write

MAGIC = b"EVERGROVE LOG 1\n"
TREES = 12


def frame(kind: int, payload: bytes) -> bytes:
    length = struct.pack("<I", len(payload))
    checksum = hashlib.sha256(length + bytes([kind]) + payload).digest()[:8]
    return length + checksum + bytes([kind]) + payload


def takeover(from_epoch: int, records: int) -> bytes:
    return MAGIC + frame(3, struct.pack("<IQQ", 1, from_epoch, records))


def take_epoch(log: Path, epoch: int) -> None:
    (log / "epochs").mkdir(exist_ok=True)
    (log / f"epochs/{epoch:020}").write_bytes(b"host:4000 17\n")


def segment(log: Path, epoch: int) -> Path:
    return log / f"run-{epoch:020}.log"


class Training:
    def __init__(self, folder: Path, trees: int = TREES) -> None:
        self.log = folder / "log"
        rows = folder / "rows.parquet"
        if not rows.exists():
            write(small_rows(), rows)
        self.arguments = [
            *("train", "--data", str(rows), "--label", LABEL, "--json", "--quiet", "--resume"),
            *("--log", str(self.log), "--model", str(folder / "model")),
            *("--set", f"n_estimators={trees}", "min_rows=5"),
        ]

    def run(self) -> Answer:
        return evergrove(*self.arguments)


@pytest.fixture
def training(tmp_path: Path) -> Training:
    training = Training(tmp_path)
    assert training.run().code == DONE
    return training


def test_goes_on_in_the_newest_file_and_leaves_the_others(training: Training) -> None:
    digest = training.run().json["digest"]
    old = (training.log / "run.log").read_bytes()
    take_epoch(training.log, 1)
    segment(training.log, 1).write_bytes(takeover(0, 5))
    answer = training.run()
    assert answer.code == DONE, answer
    assert answer.json["resumed_iterations"] == 4
    assert answer.json["digest"] == digest
    assert (training.log / "run.log").read_bytes() == old
    # And once more, from the taken-over file.
    take_epoch(training.log, 2)
    segment(training.log, 2).write_bytes(takeover(1, 8))
    assert training.run().json["resumed_iterations"] == 7
    inspected = evergrove("inspect", training.log)
    assert digest in inspected.out


def test_a_stale_file_that_nobody_goes_on_from_does_not_count(training: Training) -> None:
    for epoch in (1, 2):
        take_epoch(training.log, epoch)
    segment(training.log, 1).write_bytes(takeover(0, 2))
    segment(training.log, 2).write_bytes(takeover(0, 9))
    assert training.run().json["resumed_iterations"] == 8


def test_a_torn_takeover_does_not_count(training: Training) -> None:
    whole = takeover(0, 5)
    take_epoch(training.log, 1)
    for size in (0, 5, len(MAGIC), len(whole) - 1):
        segment(training.log, 1).write_bytes(whole[:size])
        assert training.run().json["resumed_iterations"] == TREES


@pytest.mark.parametrize(
    "content", [takeover(0, 500), takeover(1, 3), takeover(7, 3), b"no log at all, but long enough"]
)
def test_what_does_not_go_on_from_the_file_before_is_refused(
    training: Training, content: bytes
) -> None:
    take_epoch(training.log, 1)
    segment(training.log, 1).write_bytes(content)
    answer = training.run()
    assert answer.code == BAD_INPUT
    assert segment(training.log, 1).name in answer.error
    assert segment(training.log, 1).read_bytes() == content


def test_a_training_that_is_overtaken_while_it_was_stopped_ends(tmp_path: Path) -> None:
    training = Training(tmp_path, trees=1_000_000)
    process = start(*training.arguments)
    log = training.log / "run.log"
    deadline = time.monotonic() + 30
    while not (log.exists() and log.stat().st_size > 20_000):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGSTOP)
    assert training.run().code == BAD_INPUT, "a second training waits for the first to end"
    take_epoch(training.log, 1)
    segment(training.log, 1).write_bytes(takeover(0, 3))
    process.send_signal(signal.SIGCONT)
    answer = finish(process)
    assert answer.code == STORAGE
    assert "Another coordinator owns the log" in answer.error
    assert "host:4000" in answer.error
    shorter = Training(tmp_path)
    assert shorter.run().json["resumed_iterations"] == 2


@pytest.mark.parametrize("kind", ["io", "kill", "tear"])
def test_each_failing_operation_leaves_a_log_to_go_on_from(tmp_path: Path, kind: str) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to build the failing disk with")
    shim = tmp_path / "shim.so"
    source = Path(__file__).with_name("fault_shim.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    folder = tmp_path / "run"
    folder.mkdir()
    training = Training(folder)
    digest = training.run().json["digest"]
    take_epoch(training.log, 1)
    report = tmp_path / "report"
    faults = 0
    for at in range(1, 200, 4 if kind == "tear" else 9):
        segment(training.log, 1).write_bytes(takeover(0, 5))
        report.unlink(missing_ok=True)
        answer = evergrove(
            *training.arguments,
            env={
                "LD_PRELOAD": str(shim),
                "EVERGROVE_TEST_FAULT_FOLDER": str(folder),
                "EVERGROVE_TEST_FAULT_KIND": kind,
                "EVERGROVE_TEST_FAULT_AT": str(at),
                "EVERGROVE_TEST_FAULT_REPORT": str(report),
            },
        )
        if not report.exists() or not report.read_text().strip():
            break
        faults += 1
        assert answer.code in (DONE, STORAGE, -signal.SIGKILL), (at, report.read_text(), answer)
        again = training.run()
        assert again.code == DONE, (at, report.read_text(), again)
        assert again.json["digest"] == digest
        assert segment(training.log, 1).stat().st_size > 1000
    assert faults >= (1 if kind == "tear" else 3)
