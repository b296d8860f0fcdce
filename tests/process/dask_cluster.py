# SPDX-License-Identifier: Apache-2.0
"""A Dask cluster for tests, and a run on it that is disturbed while it is under way.

with local_cluster(workers=4) as cluster:
    run = DaskRun(cluster, rows, LABEL, {"n_estimators": 300})
    run.wait_for_tree(5)
    os.kill(run.processes()[run.coordinator()], signal.SIGKILL)
    assert run.model().digest == digest
"""

import contextlib
import itertools
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from distributed import Client, LocalCluster

import evergrove
import evergrove.dask
from evergrove.dask.worker_side import name_of
from tests import data_sets

PATIENCE_SECONDS = 90.0
NUMBERS = itertools.count(1)


def write_adult_rows(path: Path) -> Path:
    """Categories and missing values, in 20 row groups; the label is `income`."""
    table = pa.Table.from_pandas(data_sets.adult_like(20_000).frame, preserve_index=False)
    pq.write_table(table, path, row_group_size=1000)
    return path


@dataclass
class Cluster:
    cluster: Any
    client: Any


@contextlib.contextmanager
def local_cluster(**options: Any) -> Iterator[Cluster]:
    """Processes of this machine, each with a nanny in this one."""
    settings: dict[str, Any] = {"n_workers": 4, "threads_per_worker": 1, "memory_limit": "2GiB"}
    settings |= options
    with (
        LocalCluster(**settings, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        if settings["n_workers"] > 0:
            client.wait_for_workers(settings["n_workers"], timeout=60)
        yield Cluster(cluster, client)


class DaskRun:
    """evergrove.dask.train() in a thread; named, so that it can be looked at meanwhile."""

    def __init__(
        self,
        client: Any,
        data: Any,
        label: str,
        params: dict[str, Any],
        *,
        run_id: str | None = None,
        **how: Any,
    ) -> None:
        self.client = client
        self.run_id = run_id or f"test-{os.getpid()}-{next(NUMBERS)}"
        self.outcome: list[evergrove.Model | BaseException] = []

        def work() -> None:
            try:
                how.setdefault("progress", False)
                self.outcome.append(
                    evergrove.dask.train(client, params, data, label, run_id=self.run_id, **how)
                )
            except BaseException as error:
                self.outcome.append(error)

        self.thread = threading.Thread(target=work, daemon=True)
        self.thread.start()

    def view(self) -> dict[str, Any]:
        return evergrove.dask.runs(self.client).get(self.run_id, {})

    def wait_until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds(view := self.view()):
            assert not self.outcome, self.outcome
            assert time.monotonic() < deadline, view
            time.sleep(0.1)
        return view

    def wait_for_tree(self, tree: int) -> None:
        self.wait_until(lambda view: tree_of(view) >= tree)

    def coordinator(self) -> str:
        """Its place: the address of a Dask worker."""
        return str(self.wait_until(lambda view: bool(view.get("coordinator")))["coordinator"])

    def another(self) -> str:
        """A Dask worker that does not host the coordinator."""
        coordinator = self.coordinator()
        return next(address for address in self.processes() if address != coordinator)

    def processes(self) -> dict[str, int]:
        """The process of each Dask worker, by its address."""
        found: dict[str, int] = self.client.run(os.getpid)
        return found

    def labels(self) -> dict[str, str]:
        """The place of each Dask worker, by its name."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"]
        return {str(worker["name"]): place for place, worker in workers.items()}

    def stop(self) -> None:
        """As Ctrl-C at its client would."""

        async def ask() -> None:
            await getattr(self.client.scheduler, name_of(self.run_id))(question="stop")

        self.client.sync(ask)
        self.thread.join(PATIENCE_SECONDS)
        assert isinstance(self.outcome[0], evergrove.Stopped), self.outcome

    def model(self) -> evergrove.Model:
        self.thread.join(PATIENCE_SECONDS)
        assert self.outcome, self.view()
        if isinstance(self.outcome[0], BaseException):
            raise self.outcome[0]
        return self.outcome[0]


def tree_of(view: dict[str, Any]) -> int:
    return int(view.get("progress", {}).get("iteration", 0))


def left_behind(client: Any) -> list[str]:
    """What a run should not have left: folders, plugins of workers, threads of theirs."""

    def look(dask_worker: Any) -> list[str]:
        names = [name for name in dask_worker.plugins if "evergrove" in name]
        names += [name for name in dask_worker.handlers if "evergrove" in name]
        threads = [thread.name for thread in threading.enumerate() if thread.name == "evergrove"]
        return names + threads

    found = [thing for things in client.run(look).values() for thing in things]
    return found + [str(path) for run in evergrove.dask.runs(client) for path in own_logs(run)]


def own_logs(run_id: str) -> list[Path]:
    """The log of a run that was given none."""
    return list(Path(tempfile.gettempdir()).glob(f"evergrove-{'[0-9a-f]' * 8}-{run_id}"))
