# SPDX-License-Identifier: Apache-2.0
"""A Dask cluster on hosts of their own: network namespaces, so that nothing is on loopback, and
firewalls between them."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import evergrove
from tests import data_sets
from tests.campaigns.real_runs_network import Host, Network, reason_not_possible

pytest.importorskip("distributed")

FEW = 20
PORT, WORKER_PORT = 8786, 9000
CLIENT = """
import sys
from distributed import Client
import evergrove.dask
from tests.process.dask_cluster import left_behind
from tests.process.tunnel import tunnel
address, workers, rows, log, ports, trees, way = sys.argv[1:]
with tunnel(address) as near, Client(near if way == "tunnel" else address) as client:
    client.wait_for_workers(int(workers), timeout=60)
    how = {"valid_fraction": 0.1, "log": log, "progress": False, "ports": ports or None}
    try:
        params = {"n_estimators": int(trees)}
        print(evergrove.dask.train(client, params, rows, "income", **how).digest)
    except ConnectionError as error:
        print(error)
    assert left_behind(client) == []
"""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    table = pa.Table.from_pandas(data_sets.adult_like().frame, preserve_index=False)
    pq.write_table(table, path, row_group_size=500)
    return path


@dataclass
class Hosts:
    network: Network
    scheduler: Host
    workers: list[Host]
    train: Callable[..., str]  # prints the digest, or what was wrong


@contextlib.contextmanager
def dask_hosts(folder: Path, rows: Path, workers: int) -> Iterator[Hosts]:
    if reason := reason_not_possible():
        pytest.skip(reason)
    processes: list[subprocess.Popen[bytes]] = []

    def start(host: Host, *arguments: str) -> None:
        command = [*host.command_prefix, sys.executable, "-m", "dask", *arguments]
        quiet = subprocess.DEVNULL
        processes.append(subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet))

    with Network(f"d{os.getpid() % 100_000}", seed=1, delay_seconds=0.001, loss=0.0) as network:
        scheduler, *others = (network.add_host() for _ in range(workers + 1))
        address = f"tcp://{scheduler.address}:{PORT}"
        place = ("--host", scheduler.address, "--port", str(PORT))
        start(scheduler, "scheduler", *place, "--no-dashboard")
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--worker-port")
        for number, host in enumerate(others):
            named = ("--host", host.address, "--name", f"w{number}")
            local = ("--local-directory", str(folder))
            start(host, "worker", address, *named, *options, str(WORKER_PORT), *local)

        def train(log: str, ports: str = "", trees: int = FEW, way: str = "straight") -> str:
            client = [*scheduler.command_prefix, sys.executable, "-c", CLIENT, address]
            done = subprocess.run(
                [*client, str(workers), str(rows), str(folder / log), ports, str(trees), way],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        try:
            yield Hosts(network, scheduler, others, train)
        finally:
            for process in processes:
                process.kill()
                process.wait()


def digest_of_one_machine(rows: Path) -> str:
    params = {"n_estimators": FEW}
    return evergrove.train(params, rows, "income", valid_fraction=0.1, progress=False).digest


def test_workers_on_hosts_of_their_own_make_the_model_of_one(tmp_path: Path, rows: Path) -> None:
    with dask_hosts(tmp_path, rows, workers=2) as hosts:
        assert hosts.train("log") == digest_of_one_machine(rows)
        # To this client the scheduler is on loopback, and the workers are not: they need TLS.
        assert hosts.train("other", way="tunnel") == digest_of_one_machine(rows)


def test_a_firewall_is_named_and_ports_that_it_leaves_open_are_enough(
    tmp_path: Path, rows: Path
) -> None:
    with dask_hosts(tmp_path, rows, workers=2) as hosts:
        first, second = hosts.workers
        for source, target in ((first, second), (second, first)):
            hosts.network.wall(source, target, open_ports=[WORKER_PORT, *range(9500, 9503)])
        assert hosts.train("behind", ports="9500-9502") == digest_of_one_machine(rows)
        begin = time.monotonic()
        said = hosts.train("before", trees=100_000)
        words = (
            r"The worker (w[01]) \(tcp://10\.77\.0\.([23]):9000\) cannot reach the coordinator, "
            r"which is at (w[01]) \(.*\), at 10\.77\.0\.([23]):\d+ \(timed out\); if a firewall is "
            r"between them, open all ports between the workers, or give "
            r'ports="9500-9599" and open these'
        )
        found = re.fullmatch(words, said)
        assert found, said
        assert (found[1], found[2]) != (found[3], found[4])
        assert time.monotonic() < begin + 40


def test_a_firewall_between_two_workers_is_named(tmp_path: Path, rows: Path) -> None:
    with dask_hosts(tmp_path, rows, workers=3) as hosts:
        # Whichever of them has the coordinator: the others reach it, and one of them not the other.
        for source in hosts.workers:
            for target in hosts.workers:
                if source is not target:
                    hosts.network.wall(source, target, open_ports=[WORKER_PORT, 9500])
        said = hosts.train("log", ports="9500-9502", trees=100_000)
        words = (
            r"The worker (w\d) .* cannot reach the worker (w\d) .* at 10\.77\.0\.\d:9501 \(timed "
        )
        found = re.match(words, said)
        assert found, said
        assert found[1] != found[2]
        assert said.endswith("open the ports 9500-9502")
