# SPDX-License-Identifier: Apache-2.0
"""Host: one run inside one of an engine's workers; starts and ends what the steward orders.

The coordinator and the worker run in this process, in threads that hold no GIL, so that they end
with it and leave nothing behind. What they have to say is given to `say` as plain dicts:

    {"kind": "listening", "attempt": 1, "address": "10.0.0.5:40123", "own_log": ""}
    {"kind": "progress", "attempt": 1, "progress": {...}}       # every 2 s, and of a new phase
    {"kind": "finished", "attempt": 1, "model": bytes, "notes": [...], "progress": {...}}
    {"kind": "failed", "attempt": 1, "error": {"type": "ValueError", "message": "..."}}
    {"kind": "worker_listens", "address": "10.0.0.5:40124"}
    {"kind": "worker_ended", "error": None or the same}
    {"kind": "unreachable", "address": "10.0.0.5:40123", "why": "timed out"}
    {"kind": "looked", "number": 1, "unreached": {"10.0.0.6:40125": "timed out"}}
    {"kind": "sees_log", "sees_log": True}
    {"kind": "note", "attempt": 1, "text": "..."}

All methods may be called from any thread; `say` is called from threads of the host's own.
"""

import contextlib
import getpass
import hashlib
import logging
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergrove import _core
from evergrove.engines.run_figures import RunFigures
from evergrove.engines.run_spec import RunSpec

LOOK_EVERY_SECONDS = 0.25
SAY_EVERY_SECONDS = 2.0
LISTENS_SOON_SECONDS = 0.02
REACH_SECONDS = 5.0
MEMORY_BYTES_MIN = 32 << 20

logger = logging.getLogger("distributed.worker.evergrove")


@dataclass(frozen=True)
class Surroundings:
    """What an engine knows of the worker that hosts."""

    name: str  # for people
    address: str  # the host or interface that the other workers reach this one by
    threads: int
    memory_bytes: Callable[[], int]  # that are left for rows; 0 says that there is no limit
    fetch: Callable[[int, int], Any]  # gives a partition of a set as an Arrow table


class Host:
    def __init__(
        self, spec: RunSpec, around: Surroundings, say: Callable[[dict[str, Any]], None]
    ) -> None:
        self.spec = spec
        self.around = around
        self.say = say
        self._lock = threading.Lock()
        self._coordinator: _core.Coordinator | None = None
        self._worker: _core.Worker | None = None
        self._threads: list[threading.Thread] = []
        self._is_closed = False

    def start_coordinator(self, attempt: int) -> None:
        spec = self.spec
        log = log_place(spec)
        with self._lock:
            if self._is_closed:
                return
            if self._coordinator is not None:
                self._coordinator.stop()
            if is_folder(log):
                mark = mark_of(spec)
                mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                mark.touch()
            continue_from = spec["continue_from"]
            coordinator = _core.Coordinator(
                data=spec["data"],
                valid=spec["valid"],
                partitions=[(kept["schemas"], kept["partitions"]) for kept in spec["partitions"]],
                valid_fraction=spec["valid_fraction"],
                label=spec["label"],
                weight=spec["weight"],
                exclude=spec["exclude"],
                categorical=spec["categorical"],
                settings=[(name, text) for name, text in spec["settings"]],
                threads=self._thread_count(),
                log=log,
                resume=spec["resume"] or attempt > 1 or not spec["log"],
                continue_from=_core.from_bytes(continue_from) if continue_from else None,
                listen=self._listen(),
                **self._secrets("token", "tls_cert_pem", "tls_key_pem"),
                status_listen=spec["status_listen"],
            )
            self._coordinator = coordinator
            figures = RunFigures()
            self._start(self._coordinate, coordinator, figures, attempt)
            self._start(self._watch, coordinator, figures, attempt, self._threads[-1])

    def start_worker(self, coordinator: str) -> None:
        spec = self.spec
        if is_folder(log_place(spec)):
            self.say({"kind": "sees_log", "sees_log": mark_of(spec).exists()})
        if why := reason_not_reached(coordinator):
            self.say({"kind": "unreachable", "address": coordinator, "why": why})
            return
        with self._lock:
            if self._is_closed:
                return
            if self._worker is not None:
                self._worker.stop()
            self._worker = _core.Worker(
                coordinator=coordinator,
                listen=self._listen(),
                name=f"{self.around.name}-{os.urandom(3).hex()}",
                **self._secrets("token", "tls_cert_pem", "tls_key_pem", "tls_ca_pem"),
                threads=self._thread_count(),
                memory_bytes=self.around.memory_bytes(),
                cache_folder=spec["cache"],
                fetch=self.around.fetch if spec["partitions"] else None,
            )
            self._start(self._work, self._worker)
            self._start(self._watch_worker, self._worker, self._threads[-1])

    def stop_worker(self) -> None:
        with self._lock:
            if self._worker is not None:
                self._worker.stop()

    def look(self, addresses: Sequence[str], number: int) -> None:
        """Sees which of the other workers can be connected to."""
        with self._lock:
            if not self._is_closed:
                self._start(self._look, addresses, number)

    def move_worker(self, coordinator: str) -> None:
        with self._lock:
            if self._worker is not None:
                self._worker.set_coordinator(coordinator)

    def drain_worker(self) -> None:
        with self._lock:
            if self._worker is not None:
                self._worker.leave()

    def has_worker(self) -> bool:
        with self._lock:
            return self._worker is not None

    def drain(self, seconds: float) -> None:
        """Hands over, waiting at most so long for it."""
        self.drain_worker()
        deadline = time.monotonic() + seconds
        while self.has_worker() and time.monotonic() < deadline:
            time.sleep(0.05)

    def close(self, stop_seconds: float) -> None:
        """Ends everything, waiting at most so long for it."""
        with self._lock:
            self._is_closed = True
            for running in (self._worker, self._coordinator):
                if running is not None:
                    running.stop()
        deadline = time.monotonic() + stop_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def clean_log(self) -> None:
        """Removes what the run needed while it was under way. Requires: nobody works on it."""
        if not self.spec["log"]:
            shutil.rmtree(log_place(self.spec), ignore_errors=True)
        elif is_folder(self.spec["log"]):
            with contextlib.suppress(OSError):
                mark_of(self.spec).unlink(missing_ok=True)

    def _coordinate(
        self, coordinator: _core.Coordinator, figures: RunFigures, attempt: int
    ) -> None:
        try:
            report = coordinator.run()
        except BaseException as error:
            self._say_of(attempt, kind="failed", error=described(error))
            return
        finally:
            with self._lock:
                if self._coordinator is coordinator:
                    self._coordinator = None
        progress = coordinator.progress() | figures.take(coordinator.status_json())
        self._say_of(
            attempt,
            kind="finished",
            model=report.model.to_bytes(compressed=True),
            notes=list(report.notes),
            progress=progress,
        )

    def _watch(
        self,
        coordinator: _core.Coordinator,
        figures: RunFigures,
        attempt: int,
        thread: threading.Thread,
    ) -> None:
        address = ""
        said, said_at = "", 0.0
        taken: dict[str, Any] = {}
        taken_at = 0.0
        while thread.is_alive():
            if address != coordinator.address:
                address = coordinator.address
                own_log = "" if self.spec["log"] else log_place(self.spec)
                self._say_of(attempt, kind="listening", address=address, own_log=own_log)
            progress = coordinator.progress()
            now = time.monotonic()
            # What is said takes three processes some milliseconds.
            if progress["phase"] != said or now - said_at > SAY_EVERY_SECONDS:
                said, said_at = progress["phase"], now
                if now > taken_at + SAY_EVERY_SECONDS:  # it is large where there are many shards
                    taken, taken_at = figures.take(coordinator.status_json()), now
                self._say_of(attempt, kind="progress", progress=progress | taken)
            thread.join(LOOK_EVERY_SECONDS if address else LISTENS_SOON_SECONDS)

    def _watch_worker(self, worker: _core.Worker, thread: threading.Thread) -> None:
        while thread.is_alive() and not worker.address:
            thread.join(LISTENS_SOON_SECONDS)
        if worker.address and not self._is_closed:
            self.say({"kind": "worker_listens", "address": worker.address})

    def _look(self, addresses: Sequence[str], number: int) -> None:
        with ThreadPoolExecutor(len(addresses), thread_name_prefix="evergrove") as pool:
            answers = zip(addresses, pool.map(reason_not_reached, addresses), strict=True)
            unreached = {address: why for address, why in answers if why}
        if not self._is_closed:
            self.say({"kind": "looked", "number": number, "unreached": unreached})

    def _work(self, worker: _core.Worker) -> None:
        error = None
        try:
            worker.run()
        except BaseException as caught:
            error = described(caught)
        with self._lock:
            is_ours = self._worker is worker
            if is_ours:
                self._worker = None
        for note in worker.take_notes():
            logger.info("Evergrove run %s: %s", self.spec["run_id"], note)
        if is_ours and not self._is_closed:
            self.say({"kind": "worker_ended", "error": error})

    def _say_of(self, attempt: int, **news: Any) -> None:
        if not self._is_closed:
            self.say({"attempt": attempt, **news})

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=target, args=arguments, daemon=True, name="evergrove")
        thread.start()
        self._threads.append(thread)

    def _listen(self) -> str:
        host = self.around.address
        ports = self.spec["ports"] or "0"
        return f"[{host}]:{ports}" if ":" in host else f"{host}:{ports}"

    def _thread_count(self) -> int:
        return self.spec["threads"] or self.around.threads

    def _secrets(self, *names: str) -> dict[str, Any]:
        kept = self.spec["secrets"]
        return {
            name: kept[name] if name == "token" or self.spec["uses_tls"] else "" for name in names
        }


def log_place(spec: RunSpec) -> str:
    """The log's folder or URL: the user's, or one that all workers of a machine know."""
    if spec["log"]:
        return spec["log"]
    user = hashlib.sha256(getpass.getuser().encode()).hexdigest()[:8]
    return str(Path(tempfile.gettempdir()) / f"evergrove-{user}-{spec['run_id']}")


def is_folder(log: str) -> bool:
    return "://" not in log


def mark_of(spec: RunSpec) -> Path:
    """A file in the log's folder that only this run makes: whoever sees it sees the same folder."""
    return Path(log_place(spec)) / f"seen-{spec['run_id']}"


def reason_not_reached(address: str) -> str:
    """Why a connection to HOST:PORT cannot be made; empty if it can."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS):
            return ""
    except OSError as error:
        return str(error)


def described(error: BaseException) -> dict[str, str]:
    return {"type": type(error).__name__, "message": str(error)}


def refusal(label: str, spec_version: str, memory_bytes: int) -> dict[str, str] | None:
    """Why this process cannot take part in a run."""
    if _core.__version__ != spec_version:
        return {
            "type": "ValueError",
            "message": (
                f"The worker {label} has Evergrove {_core.__version__}, but the client "
                f"{spec_version}; install the same version everywhere"
            ),
        }
    if 0 < memory_bytes < MEMORY_BYTES_MIN:
        return {
            "type": "MemoryError",
            "message": (
                f"The memory limit of the worker {label} leaves no room for rows; start it with a "
                f"larger --memory-limit (left: {memory_bytes >> 20} MiB of at least "
                f"{MEMORY_BYTES_MIN >> 20})"
            ),
        }
    return None
