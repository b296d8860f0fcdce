# SPDX-License-Identifier: Apache-2.0
"""Frames: partitions of rows in an engine's memory, as a run knows and fetches them.

Each partition becomes an Arrow table, at the worker that has it, and is described there in a few
bytes; only these reach the client.

    table = partition_table(frame, label_values, weight_values, names, "label", "weight")
    described = [describe(table), ...]
    spec["partitions"] = [partition_set(described)]
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from evergrove import _core
from evergrove.engines.run_spec import PartitionSet
from evergrove.sources import table_of, with_column

Described = tuple[int, bytes, str]  # rows, schema, fingerprint


def partition_table(
    rows: Any,
    label: Any,
    weight: Any,
    names: Sequence[str] | None,
    label_name: str,
    weight_name: str,
) -> pa.Table:
    """Returns a partition with its label and weight, if these are values of their own, or one
    for all. `names` are those of an array's columns."""
    table = table_of(rows, names, None)
    for role, values, name in (("label", label, label_name), ("weight", weight, weight_name)):
        if isinstance(values, float):
            values = np.full(table.num_rows, values)
        if values is not None:
            _, table = with_column(table, role, first_column(values), name)
    return table.replace_schema_metadata(None)


def first_column(values: Any) -> Any:
    """A frame or 2-D array of one column as a series."""
    if getattr(values, "ndim", 1) == 2 and values.shape[1] == 1:
        return values.iloc[:, 0] if hasattr(values, "iloc") else values[:, 0]
    return values


def describe(table: pa.Table) -> Described:
    source = _core.open_stream(table.__arrow_c_stream__(), [])
    schema = table.schema.serialize().to_pybytes()
    return table.num_rows, schema, _core.value_fingerprint(source) if table.num_rows else ""


def partition_set(described: Sequence[Described]) -> tuple[PartitionSet, list[int]]:
    """Returns what is known of the partitions that have rows, and which these are."""
    kept = [place for place, (rows, _, _) in enumerate(described) if rows > 0]
    if not kept:
        raise ValueError(
            f"The data has no rows: all of its partitions are empty (partitions: {len(described)})"
        )
    schemas: list[bytes] = []
    partitions = []
    for place in kept:
        rows, schema, fingerprint = described[place]
        if schema not in schemas:
            schemas.append(schema)
        partitions.append((rows, schemas.index(schema), fingerprint))
    return PartitionSet(schemas=schemas, partitions=partitions), kept
