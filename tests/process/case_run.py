# SPDX-License-Identifier: Apache-2.0
"""A scenario with real processes: a coordinator, workers, and what befalls them, in its order.

with CaseRun(case, data, folder) as run:
    report = run.run()           # what the last coordinator printed with --json

Each event waits for what it asks for: so many iterations in the log, and that all workers that are
there take part, as the status page has it. TooFastError: the run has ended before.
"""

import http.client
import json
import signal
import struct
import subprocess
import time
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.docs.run_log import ITERATIONS, MAGIC, Reader, frame_at
from tests.process.case_file import LABEL, WEIGHT, Case, Event, Worker, memory_bytes
from tests.process.command import environment, executable
from tests.process.coordinator_process import wait_until_it_listens

PATIENCE_SECONDS = 90.0


class TooFastError(Exception):
    """The run has ended before all events of the case had happened."""


def settings(case: Case, data: Path) -> list[str]:
    """What one machine and a coordinator are both told."""
    options = ["--data", str(data), "--label", LABEL, "--objective", case.data.objective]
    options += ["--weight", WEIGHT] if case.data.weighted else []
    if case.data.valid_fraction > 0:
        options += ["--valid-fraction", str(case.data.valid_fraction)]
    return [*options, "--set", *(f"{name}={value}" for name, value in case.parameters.items())]


class LogReader:
    """How many iterations are in a log that grows; reads what is new only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read_up_to: dict[Path, int] = {}
        self.count = 0

    def iterations(self) -> int:
        for path in sorted(self.folder.glob("run*.log")):
            data = path.read_bytes()
            while frame := frame_at(data, self.read_up_to.get(path, len(MAGIC))):
                self.read_up_to[path] = frame.end
                payload = Reader(frame.payload)
                while frame.type == ITERATIONS and not payload.is_at_end():
                    iteration = payload.take(payload.number("I"))
                    self.count = max(self.count, 1 + int(struct.unpack_from("<Q", iteration, 4)[0]))
        return self.count


class CaseRun:
    def __init__(self, case: Case, data: Path, folder: Path) -> None:
        self.case = case
        self.data = data
        self.folder = folder
        folder.mkdir()
        self.address = ""
        self.page = ""
        self.log = LogReader(folder / "log")
        self.coordinator: subprocess.Popen[str]
        self.workers: list[subprocess.Popen[bytes]] = []
        self.stopped: dict[int, float] = {}  # places of workers, and when they go on
        self.drained: set[int] = set()
        self.start_coordinator()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        processes: list[subprocess.Popen[Any]] = [*self.workers, self.coordinator]
        for process in processes:
            process.kill()
            process.wait()

    def start_coordinator(self) -> None:
        """Always at the same address, so that workers come back to the next one."""
        command = [
            *(executable(), "coordinator", *settings(self.case, self.data), "--json", "--resume"),
            *("--log", self.folder / "log", "--model", self.folder / "model"),
            *("--listen", self.address or "127.0.0.1:0"),
        ]
        self.coordinator = subprocess.Popen(
            list(map(str, command)),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        listening = wait_until_it_listens(self.coordinator)
        self.address, self.page = listening.address, listening.page
        assert self.page

    def start_worker(self, worker: Worker) -> None:
        command = ["worker", "--coordinator", self.address, "--threads", str(worker.threads)]
        if worker.memory is not None:
            command += ["--memory", str(int(worker.memory * memory_bytes(self.case)))]
        self.workers.append(
            subprocess.Popen([executable(), *command], env=environment(), stderr=subprocess.DEVNULL)
        )

    def status(self) -> dict[str, Any]:
        """As the coordinator has it; nothing while it is not to be asked."""
        connection = http.client.HTTPConnection(urlsplit(self.page).netloc, timeout=10)
        try:
            connection.request("GET", "/status.json")
            value = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException):
            return {}
        finally:
            connection.close()
        return value if isinstance(value, dict) else {}

    def run(self) -> dict[str, Any]:
        for worker in self.case.workers:
            self.start_worker(worker)
        last = time.monotonic()
        for event in self.case.events:
            self.wait_for(event, last)
            self.happen(event)
            last = time.monotonic()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.coordinator.poll() is None:
            assert time.monotonic() < deadline, self.status()
            self.wake()
            time.sleep(0.01)
        assert self.coordinator.stdout is not None
        assert self.coordinator.returncode == 0, self.coordinator.returncode
        value = json.loads(self.coordinator.stdout.read())
        assert isinstance(value, dict)
        return value

    def wait_for(self, event: Event, last: float) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        status: dict[str, Any] = {}
        while time.monotonic() < deadline:
            self.wake()
            if self.coordinator.poll() is not None:
                assert self.coordinator.returncode == 0
                raise TooFastError(event.do)
            is_time = time.monotonic() >= last + event.after_seconds
            if is_time and self.log.iterations() >= event.at_iteration:
                status = self.status()
                if self.all_take_part(status):
                    return
            time.sleep(0.002)
        raise AssertionError(f"{event} does not come to happen: {status}")

    def all_take_part(self, status: dict[str, Any]) -> bool:
        """Whoever is there, stopped ones and those that are leaving aside."""
        awaited = sum(
            worker.poll() is None and place not in self.drained and place not in self.stopped
            for place, worker in enumerate(self.workers, 1)
        )
        workers = status.get("workers", [])
        active = [w for w in workers if w["rows_active"] > 0 and not w["is_leaving"]]
        return len(active) >= awaited

    def wake(self) -> None:
        for place, due in list(self.stopped.items()):
            if due <= time.monotonic():
                del self.stopped[place]
                self.workers[place - 1].send_signal(signal.SIGCONT)

    def happen(self, event: Event) -> None:
        worker = self.workers[event.worker - 1] if event.worker > 0 else None
        if event.do == "add_worker":
            self.start_worker(Worker(event.threads, event.memory))
        elif event.do == "kill_worker" and worker:
            worker.kill()
            worker.wait()
        elif event.do == "stop_worker" and worker:
            worker.send_signal(signal.SIGSTOP)
            self.stopped[event.worker] = time.monotonic() + event.for_seconds
        elif event.do == "drain_worker" and worker:
            worker.send_signal(signal.SIGTERM)
            self.drained.add(event.worker)
        elif event.do == "kill_coordinator":
            self.coordinator.kill()
            self.coordinator.wait()
            time.sleep(event.for_seconds)
            self.start_coordinator()
        elif event.do == "stop_coordinator":
            self.coordinator.send_signal(signal.SIGSTOP)
            time.sleep(event.for_seconds)
            self.coordinator.send_signal(signal.SIGCONT)
        else:
            raise AssertionError(f"real processes cannot have {event.do}")
