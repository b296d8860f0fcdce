# SPDX-License-Identifier: Apache-2.0
"""SchedulerSide: a run's steward, living in Dask's scheduler as a plugin of it.

It sees workers come, go and retire, hears what their hosts say, and carries out what the steward
decides. Clients ask it through one handler. It is sent to the scheduler by value, so that no
Evergrove need be there, and goes when its result was taken, or an hour after the run's end.
"""

import asyncio
import contextlib
import dataclasses
import logging
import shutil
import time
from typing import Any

from distributed import SchedulerPlugin
from distributed.core import Status

from evergrove.dask.panel import add_panel, remove_panel
from evergrove.dask.worker_side import is_name, name_of
from evergrove.engines.orders import (
    DrainWorker,
    Limits,
    MoveWorker,
    Order,
    StartCoordinator,
    StartWorker,
    StopWorker,
)
from evergrove.engines.peers import Look
from evergrove.engines.steward import Steward

TICK_SECONDS = 0.25
ORDER_SECONDS = 15.0
CLEAN_SECONDS = 15.0
KEEP_SECONDS = 3600.0
METHODS = {
    StartCoordinator: "start_coordinator",
    StartWorker: "start_worker",
    MoveWorker: "move_worker",
    DrainWorker: "drain_worker",
    StopWorker: "stop_worker",
    Look: "look",
}

logger = logging.getLogger("distributed.scheduler.evergrove")


class SchedulerSide(SchedulerPlugin):  # type: ignore[misc]
    def __init__(
        self, run_id: str, worker_side: bytes, keys: list[str], limits: Limits, ports: str
    ) -> None:
        """keys: tasks whose results the run needs until it is over."""
        self.run_id = run_id
        self.name = name_of(run_id)
        self.worker_side = worker_side
        self.keys = keys
        self.steward = Steward(run_id, limits, ports)
        self.settled = asyncio.Event()  # the run is over, and nothing of it is left at the workers
        self.removes_at = 0.0
        self.noted = 0
        self.logged_iteration = 0

    @property
    def is_settled(self) -> bool:
        return self.settled.is_set()

    async def start(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.orders: set[asyncio.Task[None]] = set()
        self.clock = time.monotonic
        self.over = asyncio.Event()  # as the steward has it
        scheduler.handlers[self.name] = self.answer
        add_panel(scheduler, lambda: [plugin.view() for plugin in known_runs(scheduler)])
        # As a client would, so that they stay, and are made again, when the client is gone.
        scheduler.client_desires_keys(self.keys, self.name)
        self._carry_out(self.steward.begin(list(scheduler.workers), self.clock()))
        self.ticker = asyncio.create_task(self._tick())
        # In a task of its own: a worker that is stopped does not hold up the client's call.
        self.registration = asyncio.create_task(
            scheduler.register_worker_plugin(
                None, self.worker_side, name=self.name, idempotent=True
            )
        )

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        self._carry_out(self.steward.gone(worker, self.clock()))

    def valid_workers_downscaling(self, scheduler: Any, workers: list[Any]) -> list[Any]:
        """Lets the coordinator's host stay while there is another one to go."""
        others = [worker for worker in workers if worker.address != self.steward.coordinator_place]
        return others or workers

    async def close(self) -> None:
        """The cluster ends with its runs; where it is one machine, nothing is left on it."""
        self.ticker.cancel()
        if self.steward.own_log and not self.is_settled:
            shutil.rmtree(self.steward.own_log, ignore_errors=True)

    async def answer(self, question: str, **details: Any) -> Any:
        """What clients and workers ask."""
        if question == "news":
            return self._hear(**details)
        if question == "look":
            return await self._look(**details)
        if question == "where":
            return self._where(**details)
        if question == "stop":
            self.steward.stop()
            return "stopped"
        if question == "forget" and self.is_settled:
            self.ticker.cancel()
            self._forget()
            return "forgotten"
        if question == "take":
            # The client has the model when this is called; another one may still be at it.
            self.removes_at = self.clock() + 60.0
            return "taken"
        return None

    def view(self) -> dict[str, Any]:
        return {**self.steward.view(), "is_settled": self.is_settled}

    async def _look(self, notes_known: int, wait_seconds: float) -> dict[str, Any]:
        """As view(), with the notes that are new, and the model when there is one; after so long,
        or as soon as the run is settled."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.settled.wait(), wait_seconds)
        view = self.view()
        view["notes"] = view["notes"][notes_known:]
        if self.is_settled:
            view["model"] = self.steward.model
        return view

    def _where(self, key: str) -> dict[str, Any]:
        """Who has a task's result, or why nobody can."""
        task = self.scheduler.tasks.get(key)
        if task is None:
            forgotten = (
                "Dask has forgotten the task, as client.restart() makes it; restart_workers() does "
                "not, and paths need no tasks"
            )
            return {"workers": [], "error": forgotten}
        error = ""
        if task.state == "erred":
            error = task.exception_text or "its task failed"
        return {"workers": [worker.address for worker in task.who_has or ()], "error": error}

    def _hear(self, place: str, news: dict[str, Any]) -> str:
        # News that was under way when its place went is nobody's.
        if place in self.scheduler.workers:
            now = self.clock()
            if news["kind"] == "came":
                self._carry_out(self.steward.came(place, news["facts"], now))
            else:
                self._carry_out(self.steward.said(place, news, now))
        self._log()
        if self.steward.is_over:
            self.over.set()
        return "heard"

    async def _tick(self) -> None:
        while not self.steward.is_over:
            now = self.clock()
            for address, worker in list(self.scheduler.workers.items()):
                # A worker that retires has this status while its data is taken elsewhere.
                change = (
                    self.steward.retires
                    if worker.status is Status.closing_gracefully
                    else self.steward.stays
                )
                self._carry_out(change(address, now))
            self._carry_out(self.steward.tick(now))
            self._log()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), TICK_SECONDS)
        await self._settle()
        self.removes_at = self.removes_at or self.clock() + KEEP_SECONDS
        while self.clock() < self.removes_at:
            await asyncio.sleep(1.0)
        self._forget()

    def _forget(self) -> None:
        self.removes_at = 0.0
        self.scheduler.handlers.pop(self.name, None)
        if self.scheduler.plugins.get(self.name) is self:
            self.scheduler.remove_plugin(name=self.name)
        if not known_runs(self.scheduler):
            remove_panel(self.scheduler)

    def _carry_out(self, orders: list[Order]) -> None:
        for order in orders:
            task = asyncio.create_task(self._give(order))
            self.orders.add(task)
            task.add_done_callback(self.orders.discard)

    async def _give(self, order: Order) -> None:
        details = dataclasses.asdict(order)
        place = details.pop("place")
        method = METHODS[type(order)]
        logger.info("Evergrove run %s: %s %s at %s", self.run_id, method, details, place)
        try:
            tell = getattr(self.scheduler.rpc(place), self.name)
            answer = await asyncio.wait_for(tell(order=method, **details), ORDER_SECONDS)
            why = "" if answer == "taken" else f"the worker answered {answer}"
        except (OSError, TimeoutError) as error:
            why = str(error) or type(error).__name__
        except Exception as error:
            # The order itself failed, such as with a folder that cannot be made.
            logger.exception("Evergrove run %s: an order failed", self.run_id)
            why = f"{type(error).__name__}: {error}"
        if why:
            self._carry_out(self.steward.order_failed(order, why, self.clock()))

    async def _settle(self) -> None:
        """Takes the run from the workers: their plugins end whatever is left of it."""
        self.scheduler.worker_plugins.pop(self.name, None)
        for message in (
            {"op": self.name, "order": "close", "stop_seconds": 10.0},
            {"op": self.name, "order": "clean_log"},
            {"op": "plugin-remove", "name": self.name},
        ):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    self.scheduler.broadcast(msg=message, on_error="ignore"), CLEAN_SECONDS
                )
        if self.steward.own_log:
            # A worker that was restarted just now may not have been there to be told.
            await asyncio.to_thread(shutil.rmtree, self.steward.own_log, ignore_errors=True)
        self.scheduler.client_releases_keys(self.keys, self.name)
        self.scheduler.clients.pop(self.name, None)
        self.settled.set()
        error = self.steward.error
        logger.info(
            "Evergrove run %s: %s%s",
            self.run_id,
            self.steward.state,
            "" if error is None else f", {error['message']}",
        )

    def _log(self) -> None:
        """A line a tree, as far as they are heard of, and the steward's notes."""
        for note in self.steward.notes[self.noted :]:
            logger.info("Evergrove run %s: %s", self.run_id, note)
        self.noted = len(self.steward.notes)
        progress = self.steward.progress
        iteration = int(progress.get("iteration", 0))
        if iteration <= self.logged_iteration:
            return
        self.logged_iteration = iteration
        metrics = "".join(
            f", {name} {metric} {value:.5g}"
            for name, values in progress["metrics"].items()
            for metric, value in values.items()
        )
        count = progress["iteration_count"]
        logger.info("Evergrove run %s: tree %d of %d%s", self.run_id, iteration, count, metrics)


def known_runs(scheduler: Any) -> list[SchedulerSide]:
    return [plugin for name, plugin in scheduler.plugins.items() if is_name(name)]
