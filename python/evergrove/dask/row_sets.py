# SPDX-License-Identifier: Apache-2.0
"""RowSet: the training data, or a validation set: paths, or partitions in Dask's memory."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributed import Client

from evergrove.dask.frames import Parts, Prepared, column_of, is_rows, parts_of, prepare
from evergrove.engines.orders import Limits
from evergrove.engines.run_spec import PartitionSet
from evergrove.sources import paths_of

__all__ = ["RowSet", "column_of", "no_partitions", "prepare_sets", "row_sets"]


@dataclass(frozen=True)
class RowSet:
    paths: list[str] = field(default_factory=list)
    parts: Parts | None = None


def row_sets(data: Any, label: Any, weight: Any, valid: Any) -> list[RowSet]:
    """The data, then each set of `valid`."""
    sets = [row_set(data, label, weight, "data")]
    if valid is None:
        return sets
    many = isinstance(valid, list) and paths_of(valid) is None and not is_rows(valid)
    for item in valid if many else [valid]:
        if isinstance(item, tuple) and paths_of(item) is None and not is_rows(item):
            if len(item) not in (2, 3):
                raise ValueError(
                    "A validation set is data, (data, label) or (data, label, weight) "
                    f"(values: {len(item)})"
                )
            item_weight = item[2] if len(item) > 2 else None
            if item_weight is None and weight is not None and not isinstance(weight, str):
                item_weight = 1.0
            sets.append(row_set(item[0], item[1], item_weight, "valid"))
        elif not isinstance(label, str):
            raise ValueError("The label was given as values, so a validation set is (data, label)")
        else:
            sets.append(row_set(item, label, weight, "valid"))
    return sets


def row_set(data: Any, label: Any, weight: Any, what: str) -> RowSet:
    if is_rows(data):
        return RowSet(parts=parts_of(data, label, weight))
    paths = paths_of(data)
    if paths is None:
        raise TypeError(
            f"{what} must be paths, a Dask frame or array, or a list of delayed frames; "
            f"dask.dataframe.from_pandas makes one of a pandas frame (type: {type(data).__name__})"
        )
    for role, values in (("label", label), ("weight", weight)):
        if values is not None and not isinstance(values, str):
            raise TypeError(f"With paths as data the {role} must be the name of a column")
    # As workers in other folders understand them.
    return RowSet([path if "://" in path else str(Path(path).absolute()) for path in paths])


async def prepare_sets(
    client: Client,
    sets: list[RowSet],
    label: str,
    weight: str,
    limits: Limits,
    note: Callable[[str], None],
) -> list[Prepared | None]:
    """Computes and describes what is not paths. It needs workers, and waits for one so long."""
    if any(each.parts is not None for each in sets):
        if not (await client.scheduler.identity())["workers"]:
            note("No worker is there; waits for one to make the partitions")
        try:
            await client.wait_for_workers(1, timeout=limits.wait_seconds)
        except TimeoutError as error:
            raise TimeoutError(
                f"No worker came for {limits.wait_seconds:.0f} s; start some, such as with "
                "cluster.scale(4)"
            ) from error
    return [
        None if each.parts is None else await prepare(client, each.parts, label, weight)
        for each in sets
    ]


def no_partitions() -> PartitionSet:
    return PartitionSet(schemas=[], partitions=[])
