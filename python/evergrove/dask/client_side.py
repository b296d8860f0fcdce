# SPDX-License-Identifier: Apache-2.0
"""train() and attach(): what a Dask client asks for, and the wait for it."""

import asyncio
import functools
import logging
import os
import re
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import cloudpickle
from distributed import Client, get_client

from evergrove import _core
from evergrove.dask import panel, scheduler_side, worker_side
from evergrove.dask.row_sets import RowSet, column_of, no_partitions, prepare_sets, row_sets
from evergrove.dask.scheduler_side import SchedulerSide
from evergrove.dask.worker_side import WorkerSide, host_of, is_name, name_of
from evergrove.engines import costs, orders, peers, steward
from evergrove.engines.orders import Limits
from evergrove.engines.run_spec import RunSpec, make_spec, port_range
from evergrove.model import Model, load, thread_count
from evergrove.parameters import check_settings, settings_of
from evergrove.progress import Display, Progress, make_display
from evergrove.training import Stopped

# How long the scheduler may take to answer how the run goes; it does so at once when it is over.
SHOWN_EVERY_SECONDS = 1.0
UNSEEN_EVERY_SECONDS = 5.0  # where nobody looks at it
ASK_SECONDS = 30.0
LOST_SECONDS = 15.0  # without an answer of the scheduler
EXCEPTIONS: dict[str, type[Exception]] = {
    "ValueError": ValueError,
    "TypeError": TypeError,
    "FileNotFoundError": FileNotFoundError,
    "ImportError": ImportError,
    "MemoryError": MemoryError,
    "OSError": OSError,
    "ConnectionError": ConnectionError,
    "TimeoutError": TimeoutError,
}

logger = logging.getLogger("evergrove")

# They go to where no Evergrove need be.
for module in (scheduler_side, worker_side, panel, steward, orders, peers, costs):
    cloudpickle.register_pickle_by_value(module)


def train(
    client: Client | None,
    params: Mapping[str, Any] | None,
    data: Any,
    label: Any,
    *,
    weight: Any = None,
    valid: Any = None,
    valid_fraction: float | None = None,
    categorical: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
    objective: str | None = None,
    threads_per_worker: int | None = None,
    log: str | os.PathLike[str] | None = None,
    resume: bool = False,
    continue_from: "Model | str | os.PathLike[str] | None" = None,
    run_id: str | None = None,
    wait_seconds: float = 300.0,
    cache: str | os.PathLike[str] | None = None,
    status_listen: str = "",
    ports: str | int | None = None,
    progress: bool | None = None,
) -> Model:
    """Trains a model on a Dask cluster; the same, to the bit, that evergrove.train() makes.

    client: a distributed.Client; None is the one that is current. Of an asynchronous one, train()
        returns an awaitable.
    params, valid, valid_fraction, categorical, exclude, objective, continue_from, progress: as
        evergrove.train() has them.
    data: paths that mean the same at all workers; a Dask frame or 2-D array; or a list of delayed
        frames. Each worker reads its own part; the order of partitions is that of the rows.
    label, weight: a column's name; or a Dask series or array with the partitions of the data.
    threads_per_worker: how many of its cores each worker lends; as many as Dask gave it if None.
    log: a folder that all workers see, or a URL of an object store. With it a run survives the loss
        of everything, and resume=True goes on from it. None: a folder of the run's own, where all
        workers are on one machine.
    run_id: a name to find the run by, with attach(); one is made if it is None.
    wait_seconds: how long a run waits for a worker while there is none.
    cache: a folder on the workers' local disks, to keep binned rows in.
    status_listen: HOST:PORT of a page about the run, such as 127.0.0.1:9464, on the machine of its
        coordinator.
    ports: where the run's coordinator and workers listen, such as "9500-9599", so that a firewall
        can be opened there. Each run needs one for each Dask worker of a machine, and one more.
        None: ports of the system's choice.
    """
    client = client or get_client()
    settings = settings_of(params or {})
    if objective is not None:
        settings.append(("objective", objective))
    check_settings(settings, stacklevel=2)
    if isinstance(continue_from, (str, os.PathLike)):
        continue_from = load(continue_from)
    sets = row_sets(data, label, weight, valid)
    spec = make_spec(
        settings,
        data=sets[0].paths,
        valid=[each.paths for each in sets[1:]],
        partitions=[],
        valid_fraction=valid_fraction,
        label=column_of(label, "label", data),
        weight=column_of(weight, "weight", data),
        exclude=[exclude] if isinstance(exclude, str) else list(exclude or ()),
        categorical=[categorical] if isinstance(categorical, str) else list(categorical or ()),
        log="" if log is None else os.fspath(log),
        resume=resume,
        continue_from=continue_from,
        threads=thread_count(threads_per_worker),
        cache="" if cache is None else os.fspath(cache),
        uses_tls=not _core.is_loopback(host_of(address_of_scheduler(client))),
        status_listen=status_listen,
        ports=port_range(ports),
    )
    if run_id is not None:
        spec["run_id"] = checked_run_id(run_id)
    limits = Limits(wait_seconds=wait_seconds)
    return wait_for_model(
        client, spec["run_id"], start_and_watch(client, spec, sets, limits, progress)
    )


def address_of_scheduler(client: Client) -> str:
    """As the scheduler has it. The client may come by a tunnel, from an address of its own."""
    return str(client.scheduler_info().get("address") or client.scheduler.address)


def attach(client: Client | None, run_id: str, *, progress: bool | None = None) -> Model:
    """Waits for a run that was begun before, by any client; its model is kept for an hour."""
    client = client or get_client()
    work = watch(client, checked_run_id(run_id), make_display(progress))
    return wait_for_model(client, run_id, work)


def runs(client: Client | None = None) -> dict[str, dict[str, Any]]:
    """What the cluster's runs are at, by their names: those under way, and those whose model was
    not taken yet. "state", "progress", "waits_for", "workers", "lost", "costs", "notes" and
    "error" are for whoever looks."""
    client = client or get_client()

    async def look() -> dict[str, dict[str, Any]]:
        return await views(client)

    found: dict[str, dict[str, Any]] = client.sync(look)
    return found


def wait_for_model(client: Client, run_id: str, work: Coroutine[Any, Any, Model]) -> Model:
    async def run() -> Model:
        return await work

    try:
        model: Model = client.sync(run)
    except KeyboardInterrupt:
        # Of this process, not of the run: which is to end too.
        client.sync(getattr(client.scheduler, name_of(run_id)), question="stop")
        raise
    return model


async def start_and_watch(
    client: Client, spec: RunSpec, sets: list[RowSet], limits: Limits, progress: bool | None
) -> Model:
    run_id = spec["run_id"]
    known = (await views(client)).get(run_id)
    if known is not None and not known["is_settled"]:
        raise ValueError(
            f"The cluster has a run of this name already; attach() to it, or choose another "
            f"(run_id: {run_id})"
        )
    if known is not None:
        await getattr(client.scheduler, name_of(run_id))(question="forget")
    display = make_display(progress)
    note = functools.partial(tell, is_shown=display is not None)
    prepared = await prepare_sets(client, sets, spec["label"], spec["weight"], limits, note)
    if any(prepared):
        spec["partitions"] = [each.known if each else no_partitions() for each in prepared]
    keys = [[future.key for future in each.tables] if each else [] for each in prepared]
    worker_side = cloudpickle.dumps(WorkerSide(dict(spec), keys))
    all_keys = [key for some in keys for key in some]
    plugin = SchedulerSide(run_id, worker_side, all_keys, limits, spec["ports"])
    await client.register_plugin(plugin, name=plugin.name)
    del prepared  # the steward keeps them from now on
    logger.info("Run %s: evergrove.dask.attach(client, %r) finds it again", run_id, run_id)
    if link := panel_link(client):
        logger.info("Run %s: %s shows it", run_id, link)
    try:
        return await watch(client, run_id, display)
    except OSError as error:
        if not isinstance(error, LostSchedulerError):
            raise
        raise LostSchedulerError(f"{error}; {went_on_from(spec)}") from error


def panel_link(client: Client) -> str:
    """Where the panel is, if Dask knows where its dashboard is: a client in a task may not."""
    try:
        link = str(client.dashboard_link or "")
    except (AttributeError, KeyError, ValueError):
        return ""
    return link.rpartition("/")[0] + "/" + panel.NAME if link else ""


class LostSchedulerError(OSError):
    """The scheduler does not answer any more."""


def went_on_from(spec: RunSpec) -> str:
    if spec["log"]:
        return "train again with resume=True to go on from the log"
    return "nothing was kept, for the run had no log of yours; give log= to be able to go on"


async def views(client: Client) -> dict[str, dict[str, Any]]:
    def look(dask_scheduler: Any) -> dict[str, dict[str, Any]]:
        known = [plugin for name, plugin in dask_scheduler.plugins.items() if is_name(name)]
        return {plugin.run_id: plugin.view() for plugin in known}

    found: dict[str, dict[str, Any]] = await client.run_on_scheduler(look)
    return found


async def watch(client: Client, run_id: str, display: Display | None) -> Model:
    if run_id not in await views(client):
        raise ValueError(f"The cluster has no run of this name (run_id: {run_id!r})")
    try:
        view = await follow(client, run_id, display)
    finally:
        if display is not None:
            display.close()
    if view["state"] == "finished":
        return Model(_core.from_bytes(view["model"]))
    error = view["error"]
    if view["state"] == "stopped":
        raise Stopped(error["message"], int(view["progress"].get("iteration", 0)))
    raise EXCEPTIONS.get(error["type"], RuntimeError)(error["message"])


async def follow(client: Client, run_id: str, display: Display | None) -> dict[str, Any]:
    """Asks for the run until it is over; returns the last answer."""
    ask = getattr(client.scheduler, name_of(run_id))
    heard_at = time.monotonic()
    notes_known = 0
    wait = 0.0
    while True:
        try:
            view = await asyncio.wait_for(
                ask(question="look", notes_known=notes_known, wait_seconds=wait), ASK_SECONDS
            )
        # RuntimeError: the client was closed meanwhile.
        except (OSError, TimeoutError, RuntimeError) as error:
            if client.status != "running" or time.monotonic() > heard_at + LOST_SECONDS:
                raise LostSchedulerError(
                    f"The scheduler does not answer, and the run ends with it ({error})"
                ) from error
            await asyncio.sleep(1.0)
            continue
        if view is None:
            raise LostSchedulerError("The scheduler was started anew and does not know the run")
        heard_at = time.monotonic()
        notes_known += len(view["notes"])
        for note in view["notes"]:
            tell(note, is_shown=display is not None)
        if display is not None and view["progress"]:
            display.show(progress_of(view["progress"]))
        if view["is_settled"]:
            await ask(question="take")
            answer: dict[str, Any] = view
            return answer
        wait = UNSEEN_EVERY_SECONDS if display is None else SHOWN_EVERY_SECONDS


def tell(note: str, is_shown: bool) -> None:
    logger.info(note)
    if is_shown:
        print(f"evergrove: {note}", file=sys.stderr)


def progress_of(values: Mapping[str, Any]) -> Progress:
    return Progress(**{name: values[name] for name in Progress.__dataclass_fields__})


def checked_run_id(run_id: str) -> str:
    if not isinstance(run_id, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", run_id):
        raise ValueError(
            "A run's name is of 1 to 64 letters, digits, points, dashes and underscores "
            f"(run_id: {run_id!r})"
        )
    return run_id
