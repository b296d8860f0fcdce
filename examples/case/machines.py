# SPDX-License-Identifier: Apache-2.0
"""A Dask cluster whose workers come and go: processes, started and killed as a trace says.

with Machines(folder, environment) as machines:
    machines.keep(4)                     # four workers, none of which is lost
    machines.follow(trace)               # or as many as the trace has, from now on
    ...
lives = machines.lives                   # when each worker was started, was ready, was lost

The scheduler stays. A worker that the trace takes away gets SIGKILL, without a word before.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from distributed import Client

from examples.case.trace import Trace

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60.0
LOOK_EVERY_SECONDS = 0.1


@dataclass
class Life:
    name: str
    start: float  # seconds since the beginning
    process: "subprocess.Popen[bytes]" = field(repr=False)
    ready: float | None = None
    end: float | None = None
    how: str = "ended"


class Machines:
    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            **environment,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }
        folder.mkdir(parents=True)
        self.lives: list[Life] = []
        self.begin = time.time()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        place = folder / "scheduler.json"
        self._scheduler = self._start(
            "scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard",
            "--scheduler-file", str(place),
        )  # fmt: skip
        deadline = time.time() + PATIENCE_SECONDS
        while not place.exists():
            if time.time() > deadline:
                raise TimeoutError((folder / "scheduler.log").read_text())
            time.sleep(0.05)
        self.client = Client(scheduler_file=str(place), timeout=PATIENCE_SECONDS)
        self.address: str = self.client.scheduler.address

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.client.close(timeout=5)
        self._scheduler.kill()
        self._scheduler.wait()

    @property
    def seconds(self) -> float:
        return time.time() - self.begin

    def keep(self, count: int) -> None:
        self._begin(lambda _: count)

    def follow(self, trace: Trace) -> None:
        self._begin(trace.level)

    def stop(self) -> None:
        """All workers are ended; what was seen of them stays."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        for life in self.lives:
            self._end(life, "ended")

    @property
    def loss_count(self) -> int:
        return sum(life.how == "killed" for life in self.lives)

    def machine_seconds(self) -> dict[str, float]:
        """Of all workers: until they were ready, and from then to their end."""
        starting = working = 0.0
        for life in self.lives:
            end = self.seconds if life.end is None else life.end
            ready = end if life.ready is None else life.ready
            starting += ready - life.start
            working += end - ready
        return {"starting": starting, "working": working, "total": starting + working}

    def _begin(self, level: "object") -> None:
        assert callable(level)
        self.begin = time.time()

        def live() -> None:
            while not self._over.is_set():
                wanted = level(self.seconds)
                living = [life for life in self.lives if life.end is None]
                # The oldest goes: it has the most to lose.
                for life in living[: max(0, len(living) - wanted)]:
                    self._end(life, "killed")
                for _ in range(wanted - len(living)):
                    self._add()
                self._over.wait(LOOK_EVERY_SECONDS)

        def look() -> None:
            while not self._over.is_set():
                # None where the scheduler does not answer: a peer may have stopped it.
                known = self.client.scheduler_info(n_workers=-1).get("workers", {}).values()
                names = {str(worker["name"]) for worker in known}
                for life in list(self.lives):
                    if life.ready is None and life.name in names:
                        life.ready = self.seconds
                self._over.wait(LOOK_EVERY_SECONDS)

        self._threads = [threading.Thread(target=each, daemon=True) for each in (live, look)]
        for thread in self._threads:
            thread.start()

    def _add(self) -> None:
        name = f"w{len(self.lives)}"
        begin = self.seconds
        process = self._start(
            "worker", self.address, "--name", name, "--nthreads", "1", "--no-nanny",
            "--no-dashboard", "--memory-limit", "4GiB",
            "--local-directory", str(self.folder / "local"),
        )  # fmt: skip
        self.lives.append(Life(name, begin, process))

    def _end(self, life: Life, how: str) -> None:
        if life.end is not None:
            return
        life.process.send_signal(signal.SIGKILL)
        life.process.wait()
        life.end = self.seconds
        life.how = how

    def _start(self, what: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{what}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", what, *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
