# SPDX-License-Identifier: Apache-2.0
"""Runs of several processes: whoever comes, goes and is killed, the digest is that of one."""

import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.command import BAD_INPUT, DONE, STOPPED, evergrove, executable
from tests.process.coordinator_process import wait_until_it_listens
from tests.process.rows import LABEL, small_rows, write

TREES = 60
SETTINGS = ("--set", f"n_estimators={TREES}", "max_leaves=31", "min_rows=5", "subsample=0.8")


class Cluster:
    """A coordinator and its workers, as processes of their own."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        self.data = data
        self.settings: tuple[str, ...] = SETTINGS
        self.token = folder / "token"
        self.token.write_text("a-token-for-tests-of-some-length\n")
        self.token.chmod(0o600)
        self.address = ""
        self.coordinator: subprocess.Popen[str] | None = None
        self.workers: list[subprocess.Popen[str]] = []

    def start_coordinator(self) -> None:
        """Always at the same address, so that workers come back to the next one."""
        self.coordinator = subprocess.Popen(
            [
                *(executable(), "coordinator", "--data", self.data, "--label", LABEL),
                *("--valid-fraction", "0.2", *self.settings),
                *("--log", self.folder / "log", "--resume"),
                *("--listen", self.address or "127.0.0.1:0", "--token-file", self.token),
                *("--model", self.folder / "model"),
            ],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self.address = wait_until_it_listens(self.coordinator).address

    def start_worker(self, token: Path | None = None) -> subprocess.Popen[str]:
        worker = subprocess.Popen(
            [
                *(executable(), "worker", "--coordinator", self.address),
                *("--token-file", token or self.token, "--threads", "1"),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.workers.append(worker)
        return worker

    def living(self) -> list[subprocess.Popen[str]]:
        return [worker for worker in self.workers if worker.poll() is None]

    def logged(self) -> int:
        """Bytes of the log: what has been decided."""
        return sum(path.stat().st_size for path in (self.folder / "log").glob("run*.log"))

    def wait_for_more(self) -> None:
        """Until one more tree, at least, is decided."""
        deadline = time.monotonic() + 30
        before = 0
        while not before or self.logged() == before:  # first comes what is known of the data
            assert time.monotonic() < deadline, "nothing is decided any more"
            before = before or self.logged()
            time.sleep(0.01)

    def end(self) -> None:
        for process in [*self.workers, *([self.coordinator] if self.coordinator else [])]:
            process.kill()
            process.wait()
            if process.stderr:
                process.stderr.close()


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(small_rows(20_000), tmp_path_factory.mktemp("data") / "rows.parquet", 1000)


@pytest.fixture(scope="module")
def digest(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    model = tmp_path_factory.mktemp("model") / "model"
    options = ("--data", rows, "--label", LABEL, "--valid-fraction", "0.2", *SETTINGS)
    answer = evergrove("train", *options, "--model", model)
    assert answer.code == DONE, answer
    return evergrove("digest", model).out.split()[0]


@pytest.fixture
def cluster(tmp_path: Path, rows: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, rows)
    yield made
    made.end()


def digest_of(cluster: Cluster, seconds: float = 120) -> str:
    assert cluster.coordinator is not None
    assert cluster.coordinator.wait(seconds) == DONE
    return evergrove("digest", cluster.folder / "model").out.split()[0]


@pytest.mark.parametrize("workers", [1, 3])
def test_local_workers_make_the_model_of_one_process(
    workers: int, rows: Path, digest: str, tmp_path: Path
) -> None:
    answer = evergrove(
        *("train", "--data", rows, "--label", LABEL, "--valid-fraction", "0.2", *SETTINGS),
        *("--workers", str(workers), "--model", tmp_path / "model"),
    )
    assert answer.code == DONE, answer
    assert evergrove("digest", tmp_path / "model").out.split()[0] == digest


@pytest.mark.parametrize("seed", range(4))
def test_whoever_is_killed_the_model_is_the_same(seed: int, cluster: Cluster, digest: str) -> None:
    dice = random.Random(seed)
    cluster.start_coordinator()
    for _ in range(dice.randint(1, 3)):
        cluster.start_worker()
    deeds = 0
    assert cluster.coordinator is not None
    while cluster.coordinator.poll() is None and deeds < 12:
        # A deed, once something more has been decided; never two at the same state of the run.
        before = cluster.logged()
        deadline = time.monotonic() + 30
        while cluster.logged() == before and cluster.coordinator.poll() is None:
            assert time.monotonic() < deadline, "nothing is decided any more"
            if not cluster.living():
                cluster.start_worker()
            time.sleep(0.005)
        deeds += 1
        deed = dice.choice(["kill", "stop", "leave", "join", "join", "coordinator"])
        victims = cluster.living()
        if deed == "coordinator":
            cluster.coordinator.kill()
            cluster.coordinator.wait()
            cluster.start_coordinator()
        elif deed == "join" or not victims:
            cluster.start_worker()
        elif deed == "kill":
            dice.choice(victims).kill()
        elif deed == "leave":
            dice.choice(victims).send_signal(signal.SIGTERM)
        else:
            victim = dice.choice(victims)
            victim.send_signal(signal.SIGSTOP)
            time.sleep(0.5)
            victim.send_signal(signal.SIGCONT)
    cluster.start_worker()
    assert digest_of(cluster) == digest
    assert deeds > 0


def test_a_worker_that_is_asked_to_leave_hands_over_and_ends_well(
    cluster: Cluster, digest: str
) -> None:
    cluster.start_coordinator()
    leaver = cluster.start_worker()
    cluster.start_worker()
    deadline = time.monotonic() + 30
    while cluster.logged() < 20_000 and time.monotonic() < deadline:
        time.sleep(0.01)
    leaver.send_signal(signal.SIGTERM)
    assert leaver.wait(30) == DONE
    assert digest_of(cluster) == digest


def test_the_last_worker_says_that_it_waits_and_a_second_signal_ends_it(cluster: Cluster) -> None:
    cluster.settings = ("--set", "n_estimators=100000", "max_leaves=3")  # longer than anybody waits
    cluster.start_coordinator()
    last = cluster.start_worker()
    cluster.wait_for_more()
    last.send_signal(signal.SIGTERM)
    assert last.stderr is not None
    for line in last.stderr:
        if "Waits for another worker to take its shards" in line:
            break
    assert "stop it again (SIGTERM)" in line
    assert last.poll() is None
    cluster.wait_for_more()  # and works meanwhile
    last.send_signal(signal.SIGTERM)
    assert last.wait(5) == STOPPED
    cluster.start_worker()
    cluster.wait_for_more()


def test_a_worker_without_a_coordinator_leaves_when_asked(cluster: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # no coordinator
        cluster.address = f"127.0.0.1:{silent.getsockname()[1]}"
        worker = cluster.start_worker()
        silent.settimeout(30)
        silent.accept()[0].close()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(10) == DONE


def test_the_wrong_token_is_refused_and_the_run_goes_on(cluster: Cluster, digest: str) -> None:
    cluster.start_coordinator()
    wrong = cluster.folder / "wrong"
    wrong.write_text("another-token-for-tests\n")
    wrong.chmod(0o600)
    stranger = cluster.start_worker(wrong)
    assert stranger.wait(30) == BAD_INPUT
    cluster.start_worker()
    assert digest_of(cluster) == digest


def test_beyond_loopback_nobody_listens_without_credentials(rows: Path, tmp_path: Path) -> None:
    answer = evergrove(
        *("coordinator", "--data", rows, "--label", LABEL, "--listen", "0.0.0.0:0"),
        *("--log", tmp_path / "log", "--model", tmp_path / "model"),
    )
    assert answer.code == BAD_INPUT
    assert "evergrove credentials" in answer.err
    assert not (tmp_path / "model").exists()


def test_status_and_drain(cluster: Cluster) -> None:
    cluster.settings = ("--set", "n_estimators=100000", "max_leaves=3")  # longer than anybody waits
    cluster.start_coordinator()
    where = ("--coordinator", cluster.address, "--token-file", cluster.token)

    def status_when(holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while not holds(status := evergrove("status", *where, "--json").json):
            assert time.monotonic() < deadline, status
        return status

    empty = status_when(lambda status: status["shards_missing"] > 0)  # once the data are described
    assert empty["workers"] == []
    leaver = cluster.start_worker()
    status = status_when(lambda status: status["iterations"] > 0)
    assert [worker["is_member"] for worker in status["workers"]] == [True]
    assert "trees " in evergrove("status", *where).out
    unknown = evergrove("drain", *where, "nobody")
    assert unknown.code == BAD_INPUT
    assert "No worker has that name" in unknown.error
    cluster.start_worker()
    name = status["workers"][0]["name"]
    assert evergrove("drain", *where, name).code == DONE
    assert leaver.wait(30) == DONE
    cluster.wait_for_more()


def test_status_without_the_token_is_refused(cluster: Cluster) -> None:
    cluster.start_coordinator()
    answer = evergrove("status", "--coordinator", cluster.address)
    assert answer.code == BAD_INPUT
