# SPDX-License-Identifier: Apache-2.0
"""WorkerSide: what a run has in each Dask worker, as a plugin of it.

It takes the steward's orders (scheduler_side.py) and carries the host's news to it. It is sent to
workers by value, and imports Evergrove only when it is there, so that one without it can say so.
"""

import asyncio
import concurrent.futures
import contextlib
import functools
import logging
from collections.abc import Callable
from typing import Any

from distributed import WorkerPlugin
from distributed.utils_comm import gather_from_workers

# A nanny ends its worker after 4 s; what is left of these is for Dask's own.
DRAIN_SECONDS = 2.5
STOP_SECONDS = 1.0
SAY_SECONDS = 30.0
FETCH_SECONDS = 600.0  # which a partition may take to be computed again
PREFIX = "evergrove_"
AGAIN_SECONDS = 0.5
# Dask spills and pauses by the share of its limit that the process takes: rows stay below these.
MEMORY_SHARE = 0.6

logger = logging.getLogger("distributed.worker.evergrove")


def name_of(run_id: str) -> str:
    """Of the plugins, and of the handlers by which they are called."""
    return PREFIX + run_id


def is_name(name: str) -> bool:
    return name.startswith(PREFIX)


class WorkerSide(WorkerPlugin):  # type: ignore[misc]
    def __init__(self, spec: dict[str, Any], keys: list[list[str]]) -> None:
        """keys: of each set, the tasks whose results are its partitions."""
        self.spec = spec
        self.keys = keys
        self.name = name_of(spec["run_id"])

    def setup(self, worker: Any) -> None:
        self.worker = worker
        self.loop = asyncio.get_running_loop()
        self.news: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.host: Any = None
        self.is_ending = False
        label = label_of(worker)
        refusal = self._make_host(label)
        worker.handlers[self.name] = self.take_order
        facts = {"label": label, "refusal": refusal}
        self.news.put_nowait({"kind": "came", "facts": facts})
        self.carrier = asyncio.create_task(self._carry())

    async def teardown(self, worker: Any) -> None:
        if self.host is not None:
            # While it drains, others need what it says.
            await asyncio.to_thread(self.host.drain, DRAIN_SECONDS)
            self.is_ending = True
            await asyncio.to_thread(self.host.close, STOP_SECONDS)
            if worker.batched_stream.closed():  # no scheduler: nobody else ends the run
                self.host.clean_log()
        self.carrier.cancel()
        worker.handlers.pop(self.name, None)

    async def take_order(self, order: str, **details: Any) -> str:
        """Returns "taken"; a scheduler that gets anything else gives the order again."""
        if self.host is None:
            return "no host"
        self.is_ending |= order == "close"
        # Orders wait for locks and connections, which must not hold up Dask's loop.
        await asyncio.to_thread(functools.partial(getattr(self.host, order), **details))
        return "taken"

    def _make_host(self, label: str) -> dict[str, str] | None:
        """Returns why there is none."""
        try:
            from evergrove.engines import host as hosts
        except Exception as error:
            message = (
                f"The worker {label} has no Evergrove that can be imported; install "
                f"evergrove[dask] everywhere ({type(error).__name__}: {error})"
            )
            return {"type": "ImportError", "message": message}
        memory_bytes = memory_left(self.worker)
        refusal = hosts.refusal(label, self.spec["version"], memory_bytes)
        if refusal is None:
            self.host = hosts.Host(
                self.spec,  # type: ignore[arg-type]
                hosts.Surroundings(
                    name=str(self.worker.name),
                    address=host_of(self.worker.address),
                    threads=self.worker.state.nthreads,
                    memory_bytes=functools.partial(memory_left, self.worker),
                    fetch=self._fetch,
                ),
                self._say,
            )
        return refusal

    def _say(self, news: dict[str, Any]) -> None:
        """Called from the host's threads."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self.loop.call_soon_threadsafe(self.news.put_nowait, news)

    def _fetch(self, which: int, partition: int) -> Any:
        """A partition as it is in the cluster's memory; called from the host's threads."""
        key = self.keys[which][partition]
        found = self.worker.data.get(key)
        if found is not None:
            return found
        coming = asyncio.run_coroutine_threadsafe(self._fetch_from_peers(key), self.loop)
        while True:
            try:
                return coming.result(AGAIN_SECONDS)
            except concurrent.futures.TimeoutError:
                if self.is_ending:
                    coming.cancel()
                    raise OSError("The worker ends") from None

    async def _fetch_from_peers(self, key: str) -> Any:
        """Straight from the worker that has it. One that is lost is made again by Dask."""
        deadline = self.loop.time() + FETCH_SECONDS
        while self.loop.time() < deadline:
            where = await getattr(self.worker.scheduler, self.name)(question="where", key=key)
            if where is not None and where["error"]:
                raise ValueError(f"A partition could not be computed again: {where['error']}")
            if where is not None and where["workers"]:
                data, *_ = await gather_from_workers({key: where["workers"]}, self.worker.rpc)
                if key in data:
                    return data[key]
            await asyncio.sleep(AGAIN_SECONDS)
        raise OSError(f"A partition was not there for {FETCH_SECONDS:.0f} s (task: {key})")

    async def _carry(self) -> None:
        """Brings news to the scheduler, one after the other, each until it has arrived."""
        while True:
            news = await self.news.get()
            # Of several progresses the last one says all.
            while news["kind"] == "progress" and not self.news.empty():
                news = self.news.get_nowait()
            while not await self._bring(news):
                await asyncio.sleep(AGAIN_SECONDS)

    async def _bring(self, news: dict[str, Any]) -> bool:
        tell: Callable[..., Any] = getattr(self.worker.scheduler, self.name)
        try:
            answer = await asyncio.wait_for(
                tell(question="news", place=self.worker.address, news=news), SAY_SECONDS
            )
        except (OSError, TimeoutError) as error:
            logger.info("Evergrove: news could not be brought yet: %s", error)
            return False
        return bool(answer == "heard")


def host_of(address: str) -> str:
    """The host of tcp://HOST:PORT; a worker in the scheduler's own process is on loopback."""
    scheme, _, place = address.partition("://")
    if scheme == "inproc":
        return "127.0.0.1"
    return place.rpartition(":")[0].strip("[]")


def label_of(worker: Any) -> str:
    """By which people know it."""
    name, address = str(worker.name), str(worker.address)
    return address if name == address else f"{name} ({address})"


def memory_left(worker: Any) -> int:
    """Bytes that rows may take under the worker's memory limit; 0: it has none."""
    limit = worker.memory_manager.memory_limit
    if not limit:
        return 0
    used = worker.monitor.get_process_memory()
    return max(1, int(limit * MEMORY_SHARE) - int(used))
