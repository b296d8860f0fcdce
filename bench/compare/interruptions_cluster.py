# SPDX-License-Identifier: Apache-2.0
"""A real Dask or Spark cluster of processes on this machine, whose machines can be lost and added.

A machine is a Dask worker (under its nanny, if asked) or a Spark worker with all that it starts;
it carries its name in its environment, so that all of its processes are found, also those that
left its process group, as Spark's Python daemon does.

    with DaskCluster(folder, nanny=False, variables={}) as cluster:
        cluster.add("w0")
        cluster.lose("w0")        # SIGKILL to every process of w0
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.compare.interruptions_progress import FOLDER_VARIABLE, WORKER_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 60


class Cluster:
    """What both have: processes with a name, a log each, and an end."""

    has_joined = ""  # the words in a worker's log that say so

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.port = free_port()
        self.variables = variables | {
            FOLDER_VARIABLE: str(folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
        }
        self.names: list[str] = []

    @property
    def address(self) -> str:
        raise NotImplementedError

    def master_command(self) -> list[str]:
        raise NotImplementedError

    def worker_command(self, name: str) -> list[str]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start("master", self.master_command())
        deadline = time.time() + START_SECONDS_MAX
        while not answers(self.port):
            if time.time() > deadline:
                raise TimeoutError(f"no master answers; its log is {self.log('master')}")
            time.sleep(0.1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        kill(self.processes())

    def start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        self.names.append(name)
        with self.log(name).open("ab") as log:
            return subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env=os.environ | self.variables | {WORKER_VARIABLE: name},
                start_new_session=True,
            )

    def add(self, name: str) -> None:
        """Starts a machine and waits until it belongs to the cluster."""
        process = self.start(name, self.worker_command(name))
        deadline = time.time() + START_SECONDS_MAX
        while self.has_joined not in self.log(name).read_text(errors="replace"):
            if time.time() > deadline or process.poll() is not None:
                raise TimeoutError(f"{name} did not join; its log is {self.log(name)}")
            time.sleep(0.05)

    def lose(self, name: str) -> None:
        """Kills every process of the machine at once, as when it is taken away."""
        kill(self.processes(name))

    def silence(self, name: str) -> None:
        """Stops every process of the machine: nothing is said any more, no connection is closed."""
        kill(self.processes(name), signal.SIGSTOP)

    def lose_trainer(self, name: str) -> None:
        """Kills what trains on the machine, and leaves the process that watches over it."""
        kill(pid for pid in self.processes(name) if not self.watches(pid))

    def watches(self, pid: int) -> bool:
        raise NotImplementedError

    def processes(self, name: str | None = None) -> list[int]:
        """Returns the processes of one machine, or of all."""
        wanted = [f"{FOLDER_VARIABLE}={self.folder}"]
        wanted += [f"{WORKER_VARIABLE}={name}"] if name else []
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                variables = read_process(entry / "environ").split("\0")
                if all(variable in variables for variable in wanted):
                    found.append(int(entry.name))
        return found

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


class DaskCluster(Cluster):
    has_joined = "Registered to:"

    def __init__(self, folder: Path, variables: dict[str, str], *, nanny: bool) -> None:
        super().__init__(folder, variables)
        self.nanny = nanny

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def master_command(self) -> list[str]:
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
        return [*command, "--port", str(self.port), "--no-dashboard"]

    def worker_command(self, name: str) -> list[str]:
        command = [sys.executable, "-m", "distributed.cli.dask_worker", self.address]
        command += ["--nthreads", "1", "--name", name, "--memory-limit", "2GiB", "--no-dashboard"]
        command += ["--local-directory", str(self.folder / name)]
        return [*command, "--nanny" if self.nanny else "--no-nanny"]

    def watches(self, pid: int) -> bool:
        return "dask_worker" in read_process(Path(f"/proc/{pid}/cmdline"))


class SparkCluster(Cluster):
    has_joined = "Successfully registered with master"

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        import pyspark

        self.home = Path(pyspark.__file__).parent
        python = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
        here = {"SPARK_HOME": str(self.home), "SPARK_LOCAL_IP": "127.0.0.1"}
        super().__init__(folder, python | here | variables)

    @property
    def address(self) -> str:
        return f"spark://127.0.0.1:{self.port}"

    def master_command(self) -> list[str]:
        command = [str(self.home / "bin/spark-class"), "org.apache.spark.deploy.master.Master"]
        return [*command, "--host", "127.0.0.1", "--port", str(self.port), "--webui-port", "0"]

    def worker_command(self, name: str) -> list[str]:
        command = [str(self.home / "bin/spark-class"), "org.apache.spark.deploy.worker.Worker"]
        command += ["--host", "127.0.0.1", "--cores", "1", "--memory", "2g", "--webui-port", "0"]
        return [*command, "--work-dir", str(self.folder / name), self.address]

    def watches(self, pid: int) -> bool:
        return "deploy.worker.Worker" in read_process(Path(f"/proc/{pid}/cmdline"))


def read_process(path: Path) -> str:
    """Returns what a file of /proc holds, nothing if its process has gone."""
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def kill(pids: Iterable[int], sign: signal.Signals = signal.SIGKILL) -> None:
    for pid in list(pids):
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            continue


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
