# SPDX-License-Identifier: Apache-2.0
"""A Dask cluster on hosts of their own: network namespaces, so that nothing is on loopback."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import evergrove
from tests import data_sets
from tests.campaigns.real_runs_network import Host, Network, reason_not_possible

pytest.importorskip("distributed")

FEW = {"n_estimators": 20}
PORT = 8786
CLIENT = """
import sys
from distributed import Client
import evergrove.dask
address, rows, log = sys.argv[1:]
with Client(address) as client:
    client.wait_for_workers(2, timeout=60)
    how = {"valid_fraction": 0.1, "log": log, "progress": False}
    print(evergrove.dask.train(client, {"n_estimators": 20}, rows, "income", **how).digest)
"""


def test_workers_on_hosts_of_their_own_make_the_model_of_one(tmp_path: Path) -> None:
    if reason := reason_not_possible():
        pytest.skip(reason)
    rows = tmp_path / "rows.parquet"
    table = pa.Table.from_pandas(data_sets.adult_like().frame, preserve_index=False)
    pq.write_table(table, rows, row_group_size=500)
    processes: list[subprocess.Popen[bytes]] = []

    def start(host: Host, *arguments: str) -> None:
        command = [*host.command_prefix, sys.executable, "-m", "dask", *arguments]
        quiet = subprocess.DEVNULL
        processes.append(subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet))

    with Network(f"d{os.getpid() % 100_000}", seed=1, delay_seconds=0.001, loss=0.0) as network:
        scheduler, *workers = (network.add_host() for _ in range(3))
        address = f"tcp://{scheduler.address}:{PORT}"
        place = ("--host", scheduler.address, "--port", str(PORT))
        start(scheduler, "scheduler", *place, "--no-dashboard")
        for host in workers:
            options = ("--host", host.address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
            start(host, "worker", address, *options, "--local-directory", str(tmp_path))
        try:
            client = [*scheduler.command_prefix, sys.executable, "-c", CLIENT, address]
            done = subprocess.run(
                [*client, str(rows), str(tmp_path / "log")],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        finally:
            for process in processes:
                process.kill()
                process.wait()
    assert done.returncode == 0, done.stderr
    alone = evergrove.train(FEW, rows, "income", valid_fraction=0.1, progress=False)
    assert done.stdout.split()[-1] == alone.digest
