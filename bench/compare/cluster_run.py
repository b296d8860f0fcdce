# SPDX-License-Identifier: Apache-2.0
"""A run of a coordinator and workers of one thread on this machine, watched by its status page.

with ClusterRun(evergrove, folder, data, "label", {"n_estimators": 100}) as run:
    run.add_worker()
    run.wait_until(lambda status: status["trees"] >= 20)
    run.kill_worker()
    report = run.end()
"""

import json
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LOOK_EVERY_SECONDS = 0.02
Status = dict[str, Any]


@dataclass(frozen=True)
class Look:
    """What the status page said at a time."""

    time: float
    trees: int
    members: int  # of the view
    lost: int


class ClusterRun:
    def __init__(
        self,
        evergrove: Path,
        folder: Path,
        data: Path,
        label: str,
        settings: dict[str, Any],
        *options: str,
        over_tls: bool = False,
    ) -> None:
        """over_tls: by TCP and without shared memory, as between machines; no status page."""
        self.evergrove = evergrove
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        self.looks: list[Look] = []
        command = [str(evergrove), "coordinator", "--data", str(data), "--label", label]
        command += ["--model", str(folder / "model"), "--json", "--threads", "1", *options, "--set"]
        command += [f"{name}={value}" for name, value in settings.items()]
        self.secrets = self._make_secrets() if over_tls else []
        command += [*self.secrets, "--status-listen", "off"] if over_tls else []
        self.begin = time.time()
        self.coordinator = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.coordinator.stderr is not None
        self.address, self.url, said = "", "", ""
        for line in self.coordinator.stderr:
            said += line
            if "Status page: " in line:
                self.url = line.split("Status page: ")[1].strip()
            if "Listens on " in line:
                self.address = line.split("Listens on ")[1].split()[0]
                break
        if not self.address or not (self.url or over_tls):
            raise RuntimeError(f"the coordinator does not listen: {said}")
        self._ends = [threading.Thread(target=self.coordinator.stderr.read, daemon=True)]
        if self.url:
            self._ends.append(threading.Thread(target=self._look, daemon=True))
        for thread in self._ends:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        processes: list[subprocess.Popen[Any]] = [*self.workers, self.coordinator]
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()

    def add_worker(self) -> subprocess.Popen[bytes]:
        place = len(self.workers)
        command = [str(self.evergrove), "worker", "--coordinator", self.address]
        command += ["--threads", "1", "--quiet", "--json", *self.secrets]
        command += ["--tls-ca", str(self.folder / "secrets/ca.pem")] if self.secrets else []
        with (self.folder / f"worker{place}.json").open("wb") as out:
            self.workers.append(subprocess.Popen(command, stdout=out))
        return self.workers[-1]

    def _make_secrets(self) -> list[str]:
        """What who listens needs, of a run of its own."""
        folder = self.folder / "secrets"
        command = [str(self.evergrove), "credentials", "--out", str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        options = {"--token-file": "token", "--tls-cert": "cert.pem", "--tls-key": "key.pem"}
        return [part for name, file in options.items() for part in (name, str(folder / file))]

    def kill_worker(self) -> int:
        """Kills one of those that count rows, with neither the most nor the fewest; its rows."""
        counting = [w for w in self.status()["workers"] if w["rows_active"] > 0]
        counting.sort(key=lambda w: w["rows_active"])
        victim = counting[len(counting) // 2 - 1 if len(counting) > 1 else 0]
        for worker in self.workers:
            if f"-{worker.pid}-" in victim["name"]:
                worker.kill()
                return int(victim["rows_active"])
        raise RuntimeError(f"no process is the worker {victim['name']}")

    def status(self) -> Status:
        with urllib.request.urlopen(self.url + "status.json", timeout=10) as answer:
            value = json.load(answer)
        assert isinstance(value, dict)
        return value

    def started_at(self) -> float:
        """The time from which the seconds of its events are counted."""
        with urllib.request.urlopen(self.url + "metrics", timeout=10) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith("process_start_time_seconds "):
                    return float(line.split()[1])
        raise RuntimeError("the coordinator does not say when it began")

    def wait_until(self, holds: Callable[[Status], bool], seconds: float = 300) -> Status:
        deadline = time.time() + seconds
        while not holds(status := self.status()):
            if time.time() > deadline or self.coordinator.poll() is not None:
                raise TimeoutError(f"the run did not come to it: {status}")
            time.sleep(LOOK_EVERY_SECONDS)
        return status

    def end(self, seconds: float = 600) -> dict[str, Any]:
        """Waits for the end of the run and of its workers; what --json printed."""
        assert self.coordinator.stdout is not None
        said = self.coordinator.stdout.read()
        if self.coordinator.wait(seconds) != 0:
            raise RuntimeError(f"the coordinator ended with {self.coordinator.returncode}")
        for worker in self.workers:
            worker.wait(seconds)
        report: dict[str, Any] = json.loads(said)
        return report

    def bytes_of_workers(self) -> list[tuple[int, int]]:
        """Received and sent, of each that came to the end."""
        found = []
        for place, worker in enumerate(self.workers):
            if worker.returncode == -signal.SIGKILL:
                continue
            said = json.loads((self.folder / f"worker{place}.json").read_text())
            found.append((said["received_bytes"], said["sent_bytes"]))
        return found

    def _look(self) -> None:
        while self.coordinator.poll() is None:
            try:
                status = self.status()
            except OSError:
                return
            members = sum(w["is_member"] for w in status["workers"])
            self.looks.append(Look(time.time(), status["trees"], members, status["lost"]))
            time.sleep(LOOK_EVERY_SECONDS)
