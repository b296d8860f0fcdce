# SPDX-License-Identifier: Apache-2.0
"""Clusters of `dask worker` processes: without nannies, over TLS, without scheduler or client, and
such as cannot train."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import evergrove

pytest.importorskip("distributed")

import dask
from distributed import Client, Security, worker_client

import evergrove.dask
from tests.process.dask_cluster import (
    DaskRun,
    left_behind,
    local_cluster,
    tree_of,
    write_adult_rows,
)
from tests.process.dask_processes import DaskProcesses

LABEL = "income"
PARAMS = {"n_estimators": 600, "max_leaves": 31}
# Dask looks for a scheduler that is gone for half a minute, unless it is told less.
CONNECT = "distributed.comm.timeouts.connect"
CONNECT_SOON = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "3s"}
FEW = {"n_estimators": 20}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adult_rows(tmp_path_factory.mktemp("rows") / "rows.parquet")


@pytest.fixture(scope="module")
def digest(rows: Path) -> str:
    return evergrove.train(PARAMS, rows, LABEL, progress=False).digest


@pytest.fixture(scope="module")
def digest_of_few(rows: Path) -> str:
    return evergrove.train(FEW, rows, LABEL, progress=False).digest


def test_workers_without_nannies_may_be_killed(rows: Path, digest: str, tmp_path: Path) -> None:
    with DaskProcesses(tmp_path, workers=3) as cluster:
        run = DaskRun(cluster.client, rows, LABEL, PARAMS)
        run.wait_for_tree(5)
        os.kill(run.processes()[run.coordinator()], signal.SIGKILL)
        cluster.start_worker()
        assert run.model().digest == digest
        assert left_behind(cluster.client) == []


def test_a_nanny_may_be_killed(rows: Path, digest: str, tmp_path: Path) -> None:
    with DaskProcesses(tmp_path, workers=2, nanny=True) as cluster:
        run = DaskRun(cluster.client, rows, LABEL, PARAMS)
        run.wait_for_tree(5)
        cluster.workers[0].kill()
        assert run.model().digest == digest
        assert left_behind(cluster.client) == []


def test_a_lost_scheduler_ends_the_run_and_its_log_goes_on(
    rows: Path, digest: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    soon = dask.config.set({CONNECT: "3s"})
    with soon, DaskProcesses(tmp_path, workers=2, environment=CONNECT_SOON) as cluster:
        run = DaskRun(cluster.client, rows, LABEL, PARAMS, log=log)
        run.wait_for_tree(50)
        cluster.scheduler.kill()
        for worker in cluster.workers:
            worker.wait(60)  # each ends by itself, and leaves nothing
        assert cluster.living() == []
        with pytest.raises(OSError, match="resume=True"):
            run.model()
    (tmp_path / "scheduler.json").unlink()
    with DaskProcesses(tmp_path, workers=1) as cluster:
        again = evergrove.dask.train(
            cluster.client, PARAMS, rows, LABEL, log=log, resume=True, progress=False
        )
        assert again.digest == digest


CLIENT = """
import sys
from distributed import Client
import evergrove.dask
address, rows, label, trees = sys.argv[1:]
params = {"n_estimators": int(trees), "max_leaves": 31}
evergrove.dask.train(Client(address), params, rows, label, run_id="lonely", progress=False)
"""


def test_a_run_goes_on_without_its_client(rows: Path, digest: str, tmp_path: Path) -> None:
    with DaskProcesses(tmp_path, workers=2) as cluster:
        trees = str(PARAMS["n_estimators"])
        command = [sys.executable, "-c", CLIENT, cluster.address, str(rows), LABEL, trees]
        client = subprocess.Popen(command)
        while "lonely" not in evergrove.dask.runs(cluster.client):
            assert client.poll() is None
        client.kill()
        client.wait()
        model = evergrove.dask.attach(cluster.client, "lonely", progress=False)
        assert model.digest == digest
        with pytest.raises(ValueError, match="no run of this name"):
            evergrove.dask.attach(cluster.client, "other")


def test_a_client_that_is_interrupted_stops_its_run(rows: Path, tmp_path: Path) -> None:
    with DaskProcesses(tmp_path, workers=1) as cluster:
        command = [sys.executable, "-c", CLIENT, cluster.address, str(rows), LABEL, "1000000"]
        client = subprocess.Popen(command, stderr=subprocess.PIPE)
        while not evergrove.dask.runs(cluster.client).get("lonely", {}).get("progress"):
            assert client.poll() is None
        client.send_signal(signal.SIGINT)
        _, errors = client.communicate(timeout=60)
        assert b"KeyboardInterrupt" in errors
        with pytest.raises(evergrove.Stopped, match="was stopped"):
            evergrove.dask.attach(cluster.client, "lonely", progress=False)
        assert left_behind(cluster.client) == []
        # Its name is free again.
        params = {"n_estimators": 3}
        evergrove.dask.train(cluster.client, params, rows, LABEL, run_id="lonely", progress=False)


def test_over_tls(rows: Path, digest_of_few: str, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, for Dask's certificate")
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    make = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    subprocess.run(
        [*make, "-subj", "/CN=dask", "-keyout", key, "-out", cert], check=True, capture_output=True
    )
    ca = cert
    security = Security(
        tls_ca_file=ca,
        tls_client_cert=cert,
        tls_client_key=key,
        require_encryption=True,
    )
    options = ("--tls-ca-file", ca, "--tls-cert", cert, "--tls-key", key, "--protocol", "tls")
    with DaskProcesses(tmp_path, workers=2, options=options, security=security) as cluster:
        assert cluster.address.startswith("tls://")
        model = evergrove.dask.train(cluster.client, FEW, rows, LABEL, progress=False)
        assert model.digest == digest_of_few


def test_asynchronous_clients_and_tasks(rows: Path, digest_of_few: str) -> None:
    def nested(path: str) -> str:
        with worker_client() as client:
            return evergrove.dask.train(client, FEW, path, LABEL, progress=False).digest

    async def asynchronous(address: str) -> str:
        async with Client(address, asynchronous=True) as client:
            model: Any = evergrove.dask.train(client, FEW, str(rows), LABEL, progress=False)
            return str((await model).digest)

    with local_cluster(n_workers=2) as cluster:
        assert cluster.client.submit(nested, str(rows)).result(60) == digest_of_few
        assert asyncio.run(asynchronous(cluster.cluster.scheduler_address)) == digest_of_few
        assert left_behind(cluster.client) == []


def test_a_cluster_without_workers_is_waited_for(rows: Path, digest_of_few: str) -> None:
    with local_cluster(n_workers=0) as cluster:
        with pytest.raises(TimeoutError, match="No worker came for 2 s"):
            evergrove.dask.train(cluster.client, FEW, rows, LABEL, progress=False, wait_seconds=2.0)
        run = DaskRun(cluster.client, rows, LABEL, FEW)
        run.wait_until(lambda view: "No worker is there" in str(view.get("notes")))
        cluster.cluster.scale(1)
        assert run.model().digest == digest_of_few


def test_a_memory_limit_that_is_too_small_is_said(rows: Path) -> None:
    with local_cluster(n_workers=1, memory_limit="200MiB") as cluster:
        with pytest.raises(
            MemoryError, match=r"memory limit of the worker 0 \(.*\) leaves no room"
        ):
            evergrove.dask.train(cluster.client, FEW, rows, LABEL, progress=False)
        assert left_behind(cluster.client) == []


def test_data_that_is_not_there_is_said(rows: Path, tmp_path: Path) -> None:
    with local_cluster(n_workers=2) as cluster:
        for data, label, error in (
            (tmp_path / "absent.parquet", LABEL, FileNotFoundError),
            (rows, "salary", ValueError),
        ):
            with pytest.raises(error):
                evergrove.dask.train(cluster.client, FEW, data, label, progress=False)
        with pytest.raises(ValueError, match="run's name"):
            evergrove.dask.train(cluster.client, FEW, rows, LABEL, run_id="a b")
        with pytest.raises(ValueError, match="nothing to resume"):
            evergrove.dask.train(cluster.client, FEW, rows, LABEL, resume=True)
        assert left_behind(cluster.client) == []


def test_beyond_loopback_the_run_has_tls_of_its_own(rows: Path, digest_of_few: str) -> None:
    address = own_address()
    if not address:
        pytest.skip("this machine has no address but loopback")
    with local_cluster(n_workers=2, host=address) as cluster:
        assert address in cluster.client.scheduler.address
        model = evergrove.dask.train(cluster.client, FEW, rows, LABEL, progress=False)
        assert model.digest == digest_of_few


def test_ports_may_be_chosen(rows: Path, digest_of_few: str) -> None:
    def listening() -> list[int]:
        """The ports of this process, by Linux's own table."""
        own = {
            str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()
        }
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        found = [line for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in own]
        return [int(line[1].partition(":")[2], 16) for line in found]

    first = free_ports(4)
    with local_cluster(n_workers=3) as cluster:
        params = {"n_estimators": 100_000}
        ports = f"{first}:{first + 3}"
        run = DaskRun(cluster.client, rows, LABEL, params, run_id="in-ports", ports=ports)
        run.wait_for_tree(1)
        run.wait_until(lambda view: len(view["workers"]) == 3)
        taken = [port for ports in cluster.client.run(listening).values() for port in ports]
        assert sorted(port for port in taken if first <= port < first + 4) == [
            first + place for place in range(4)
        ]
        # There is none left for another run; what it can do then is said, and the first goes on.
        with pytest.raises(OSError, match="listens on all of the ports already; give a wider"):
            evergrove.dask.train(
                cluster.client, FEW, rows, LABEL, progress=False, ports=f"{first}-{first + 3}"
            )
        tree = tree_of(run.view())
        run.wait_for_tree(tree + 5)
        for wrong in ("9500-", "0-80", "9599-9500", "65536", "all"):
            with pytest.raises(ValueError, match='ports are a range, such as "9500-9599"'):
                evergrove.dask.train(cluster.client, FEW, rows, LABEL, ports=wrong)
        run.stop()
        # A worker that finds no port is named.
        begin = time.monotonic()
        with pytest.raises(OSError, match=r"tcp://127\.0\.0\.1:\d+\): Somebody listens on"):
            train = evergrove.dask.train
            train(cluster.client, params, rows, LABEL, progress=False, ports=first)
        assert time.monotonic() < begin + 30
        assert left_behind(cluster.client) == []


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody listens at, below those given to dial."""
    for first in range(20_000, 30_000, count):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise AssertionError("no free ports")


def own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            address = str(probe.getsockname()[0])
        except OSError:
            return ""
    return "" if address.startswith("127.") else address
