# SPDX-License-Identifier: Apache-2.0
"""A Dask cluster of `dask scheduler` and `dask worker` processes, each of which a test may end.

with DaskProcesses(folder, workers=3, nanny=False) as cluster:
    cluster.workers[0].kill()
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from distributed import Client

PATIENCE_SECONDS = 60.0
SESSION = "EVERGROVE_TEST_SESSION"  # marks all processes of a cluster, those of nannies too


class DaskProcesses:
    def __init__(
        self,
        folder: Path,
        workers: int = 3,
        *,
        nanny: bool = False,
        options: tuple[str, ...] = (),
        worker_options: tuple[str, ...] = ("--nthreads", "1", "--memory-limit", "2GiB"),
        security: Any = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.options = options
        self.worker_options = (*worker_options, "--nanny" if nanny else "--no-nanny")
        self.mark = f"{os.getpid()}-{time.monotonic_ns()}"
        self.environment = {**os.environ, **(environment or {}), SESSION: self.mark}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.file = folder / "scheduler.json"
        place = ("--port", "0", "--no-dashboard", "--scheduler-file", str(self.file))
        host = () if security else ("--host", "127.0.0.1")
        self.scheduler = self._start("scheduler", *place, *host, *options)
        self.workers = [self.start_worker() for _ in range(workers)]
        self.address = self._address()
        self.client = Client(self.address, security=security)
        if workers > 0:
            self.client.wait_for_workers(workers, timeout=PATIENCE_SECONDS)

    def start_worker(self, *more: str, **environment: str) -> "subprocess.Popen[bytes]":
        place = ("--scheduler-file", str(self.file), "--no-dashboard")
        local = ("--local-directory", str(self.folder / "local"))
        return self._start(
            "worker", *place, *local, *self.options, *self.worker_options, *more, **environment
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close(timeout=5)
        for pid in self.living():
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGKILL)
        for process in self.processes:
            process.wait()

    def living(self) -> list[int]:
        """All processes of the cluster, by a mark in their environment."""
        found = []
        for place in Path("/proc").glob("[0-9]*/environ"):
            try:
                if f"{SESSION}={self.mark}".encode() in place.read_bytes():
                    found.append(int(place.parent.name))
            except (OSError, ValueError):
                continue
        return found

    def _start(self, what: str, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{what}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", what, *arguments],
                env={**self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def _address(self) -> str:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                return str(json.loads(self.file.read_text())["address"])
            except (OSError, ValueError):
                time.sleep(0.1)
        raise TimeoutError((self.folder / "scheduler.log").read_text())
