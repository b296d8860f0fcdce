# SPDX-License-Identifier: Apache-2.0
"""A coordinator with a status page, and its workers, to be looked at while they work.

with WatchedRun(folder, data, "n_estimators=100000") as run:
    run.start_worker()
    run.wait_until(lambda status: status["trees"] > 0)
    text = run.get("/metrics").text
"""

import http.client
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.process.command import environment, executable
from tests.process.coordinator_process import wait_until_it_listens
from tests.process.rows import LABEL

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Page:
    code: int
    headers: dict[str, str]
    text: str


class WatchedRun:
    def __init__(self, folder: Path, data: Path, *settings: str, options: tuple[object, ...] = ()):
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        self.coordinator = subprocess.Popen(
            [
                *(executable(), "coordinator", "--data", str(data), "--label", LABEL),
                *("--valid-fraction", "0.2", "--model", str(folder / "model"), "--json"),
                *("--log", str(folder / "log"), "--resume", "--set", *settings),
                *map(str, options),
            ],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        listening = wait_until_it_listens(self.coordinator)
        self.address, self.url = listening.address, listening.page

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        processes: list[subprocess.Popen[Any]] = [*self.workers, self.coordinator]
        for process in processes:
            process.kill()
            process.wait()

    def start_worker(self, *options: str) -> subprocess.Popen[bytes]:
        worker = subprocess.Popen(
            [executable(), "worker", "--coordinator", self.address, "--threads", "1", *options],
            env=environment(),
            stderr=subprocess.DEVNULL,
        )
        self.workers.append(worker)
        return worker

    def get(self, path: str, method: str = "GET", **headers: str) -> Page:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=10)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        page = Page(answer.status, dict(answer.getheaders()), answer.read().decode())
        connection.close()
        return page

    def status(self) -> dict[str, Any]:
        page = self.get("/status.json")
        assert page.code == 200, page
        value = json.loads(page.text)
        assert isinstance(value, dict)
        return value

    def wait_until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds(status := self.status()):
            assert time.monotonic() < deadline, status
            time.sleep(0.1)
        return status

    def report(self, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Waits for the end; what --json prints."""
        assert self.coordinator.stdout is not None
        assert self.coordinator.wait(seconds) == 0
        value = json.loads(self.coordinator.stdout.read())
        assert isinstance(value, dict)
        return value
