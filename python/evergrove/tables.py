# SPDX-License-Identifier: Apache-2.0
"""Frames and arrays as Arrow tables, without a copy where their memory allows it.

Columns of numbers in numpy, pandas and polars are taken as they lie there; a matrix in row order is
copied once. NaN stays NaN, which the core takes for missing.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Array = npt.NDArray[Any]


def is_pandas(data: Any) -> bool:
    # Without importing pandas: whoever has a frame has imported it.
    kind = type(data)
    return kind.__module__.split(".")[0] == "pandas" and kind.__name__ == "DataFrame"


def is_frame(data: Any) -> bool:
    """Returns whether the data has columns of its own types and names."""
    return (
        is_pandas(data)
        or isinstance(data, dict)
        or hasattr(data, "__arrow_c_stream__")
        or hasattr(data, "__arrow_c_array__")
    )


def to_table(data: Any, only: Collection[str] | None = None) -> pa.Table:
    """Returns a frame as a table; `only` these columns, as far as it has them."""
    if is_pandas(data):
        return table_of_pandas(data, only)
    if isinstance(data, dict):
        arrays = {name: column_array(str(name), values) for name, values in data.items()}
        table = pa.table(arrays)
    elif hasattr(data, "__arrow_c_stream__"):
        table = pa.table(data)
    else:
        table = pa.Table.from_batches([pa.record_batch(data)])
    if only is None:
        return table
    return table.select([i for i, name in enumerate(table.column_names) if name in only])


def table_of_pandas(frame: Any, only: Collection[str] | None) -> pa.Table:
    names, arrays = [], []
    for place, label in enumerate(frame.columns):
        name = str(label)
        if only is None or name in only:
            names.append(name)
            arrays.append(column_array(name, frame.iloc[:, place]))
    if not arrays:
        return pa.table({}) if len(frame) == 0 else table_without_columns(len(frame))
    return pa.Table.from_arrays(arrays, names=names)


def table_without_columns(row_count: int) -> pa.Table:
    return pa.table({"": pa.nulls(row_count)}).select([])


def table_of_matrix(matrix: Array, names: list[str]) -> pa.Table:
    """Requires: matrix is 2-D, of as many columns as there are names."""
    if matrix.dtype.kind in "biuf":
        matrix = np.asfortranarray(matrix)
    arrays = [column_array(name, matrix[:, place]) for place, name in enumerate(names)]
    return pa.Table.from_arrays(arrays, names=names)


def column_array(name: str, values: Any) -> pa.Array | pa.ChunkedArray:
    """Returns a column as Arrow has it; TypeError for values of several kinds."""
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    dtype = getattr(values, "dtype", None)
    try:
        if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
            numbers = np.asarray(values)
            if numbers.dtype.kind == "f" and numbers.dtype.itemsize > 8:
                numbers = numbers.astype(np.float64)
            return pa.array(numbers)
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise TypeError(
            f"Column {name!r} holds values that are not all of one kind that can be used; make "
            f"them all numbers, texts or dates ({first_line(error)})"
        ) from error


def first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0]
