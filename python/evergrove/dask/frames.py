# SPDX-License-Identifier: Apache-2.0
"""Frames: Dask's frames, arrays and lists of delayed frames, made ready for a run.

The order of the partitions is the order of the rows. Each partition becomes one task whose result
is an Arrow table with all columns, kept in the cluster's memory while the run needs it, and made
again by Dask when it is lost; another task describes it. The client sees the descriptions alone.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask
from dask.delayed import Delayed
from distributed import Client, Future

from evergrove.dask.there import there
from evergrove.engines.frames import partition_set
from evergrove.engines.run_spec import PartitionSet
from evergrove.sources import column_names_of, free_name


@dataclass(frozen=True)
class Parts:
    """One set of rows, as delayed partitions."""

    rows: list[Any]
    label: list[Any] | None
    weight: list[Any] | None
    names: list[str] | None  # of an array's columns


@dataclass
class Prepared:
    known: PartitionSet
    tables: list[Future]


def is_rows(data: Any) -> bool:
    """Whether the data is in Dask's memory, or will be."""
    if is_frame(data) or is_array(data):
        return True
    return isinstance(data, (list, tuple)) and bool(data) and all(map(is_part, data))


def is_part(item: Any) -> bool:
    return isinstance(item, (Delayed, Future))


def is_frame(data: Any) -> bool:
    return hasattr(data, "to_delayed") and hasattr(data, "npartitions") and hasattr(data, "columns")


def is_array(data: Any) -> bool:
    return hasattr(data, "to_delayed") and hasattr(data, "chunks")


def parts_of(data: Any, label: Any, weight: Any) -> Parts:
    names = None
    if is_array(data):
        if data.ndim != 2:
            raise ValueError(
                f"Data must be a frame or a 2-D array; reshape it (dimensions: {data.ndim})"
            )
        names = column_names_of(data.shape[1], None)
    rows = blocks_of(data)
    return Parts(
        rows, values_of(label, "label", len(rows)), values_of(weight, "weight", len(rows)), names
    )


def blocks_of(data: Any) -> list[Any]:
    if is_array(data):
        if data.ndim == 2 and len(data.chunks[1]) > 1:
            data = data.rechunk({1: -1})
        return list(data.to_delayed().ravel())
    if hasattr(data, "to_delayed"):
        return list(data.to_delayed())
    return list(data)


def values_of(values: Any, role: str, count: int) -> list[Any] | None:
    if values is None or isinstance(values, str):
        return None
    if isinstance(values, float):
        return [values] * count
    if not (hasattr(values, "to_delayed") or isinstance(values, (list, tuple))):
        raise TypeError(
            f"The {role} must be the name of a column, or a Dask series or array with the "
            f"partitions of the data (type: {type(values).__name__})"
        )
    blocks = blocks_of(values)
    if len(blocks) != count:
        raise ValueError(
            f"The {role} must have the partitions of the data; rechunk or repartition one of them "
            f"({role}: {len(blocks)}, data: {count})"
        )
    return blocks


def column_of(values: Any, role: str, data: Any) -> str:
    """What the label's or weight's column is called."""
    if values is None:
        return ""
    if isinstance(values, str):
        return values
    if is_array(data):
        taken = column_names_of(data.shape[1], None)
    else:
        taken = [str(name) for name in getattr(data, "columns", ())]
    return free_name(getattr(values, "name", None) if is_series(values) else role, taken)


def is_series(values: Any) -> bool:
    # The name of a Dask array is that of its tasks.
    return not is_array(values) and isinstance(getattr(values, "name", None), str)


async def prepare(client: Client, parts: Parts, label_name: str, weight_name: str) -> Prepared:
    """Computes the partitions where they are, and describes them there."""
    make = dask.delayed(there("evergrove.engines.frames", "partition_table"), pure=False)
    count = len(parts.rows)
    nothing = [None] * count
    tables = client.compute(
        [
            make(rows, label, weight, parts.names, label_name, weight_name)
            for rows, label, weight in zip(
                parts.rows, parts.label or nothing, parts.weight or nothing, strict=True
            )
        ]
    )
    described = client.map(there("evergrove.engines.frames", "describe"), tables, pure=False)
    try:
        known, kept = partition_set(await gathered(client, described))
    except BaseException:
        for future in (*tables, *described):
            future.release()
        raise
    return Prepared(known, [tables[place] for place in kept])


async def gathered(client: Client, futures: Sequence[Future]) -> list[Any]:
    found: list[Any] = await asyncio.ensure_future(client.gather(list(futures), asynchronous=True))
    return found
