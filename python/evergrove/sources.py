# SPDX-License-Identifier: Apache-2.0
"""Rows: whatever a user calls data, opened as a source that the core reads.

Data is a path or several (files, folders, globs, URLs), a pandas or polars frame, an Arrow table,
record batch or reader, anything else that has the Arrow PyCapsule interface, a dict of columns, a
2-D array or a scipy sparse matrix. Labels and weights are names of its columns, or values by row,
which are then appended as columns.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from evergrove import _core
from evergrove.tables import (
    Array,
    column_array,
    is_frame,
    is_pandas,
    table_of_matrix,
    to_table,
)


@dataclass(frozen=True)
class Rows:
    source: _core.Source
    label: str = ""
    weight: str = ""
    categorical: list[str] = field(default_factory=list)


def open_rows(
    data: Any,
    *,
    label: Any = None,
    weight: Any = None,
    categorical: Sequence[str | int] | None = None,
    text: Sequence[str] = (),
    names: Sequence[str] | None = None,
    only: Sequence[str] | None = None,
    label_name: str | None = None,
    weight_name: str | None = None,
) -> Rows:
    """Opens data. `text` are columns that a CSV is to have as text, though they may look like
    numbers; `names` are those of an array's columns; `only` these columns of a frame are looked at;
    label_name and weight_name are what appended columns are to be called."""
    paths = paths_of(data)
    if paths is not None:
        for role, values in (("label", label), ("weight", weight)):
            if values is not None and not isinstance(values, str):
                raise TypeError(f"With paths as data the {role} must be the name of a column")
        chosen = category_names(categorical, None)
        return Rows(_core.open_paths(paths, chosen, text), label or "", weight or "", chosen)
    if is_sparse(data):
        return open_sparse(
            data, label, weight, categorical, names, label_name or "label", weight_name or "weight"
        )
    if is_reader(data) and only is None and all_names(label, weight, *(categorical or ())):
        # A reader goes to the core as it is: its batches are kept, and nothing else.
        chosen = category_names(categorical, None)
        source = _core.open_stream(data.__arrow_c_stream__(), chosen)
        return Rows(source, label or "", weight or "", chosen)
    if is_row_matrix(data) and label is None and weight is None and not categorical:
        # Block by block its columns are copied out, by the threads that look at them.
        return Rows(_core.open_matrix(data, column_names_of(data.shape[1], names)))
    table = table_of(data, names, only)
    column_names = table.column_names
    chosen = category_names(categorical, column_names)
    label_column, table = with_column(table, "label", label, label_name)
    weight_column, table = with_column(table, "weight", weight, weight_name)
    return Rows(
        _core.open_stream(table.__arrow_c_stream__(), chosen), label_column, weight_column, chosen
    )


def without_columns(data: Any, names: Sequence[str]) -> tuple[Any, list[str]]:
    """Takes columns out of a pandas frame, whose kind need not be one that Arrow knows. Returns the
    frame and the names that it did not have; other data as it is."""
    if not is_pandas(data) or not names:
        return data, list(names)
    known = [str(label) for label in data.columns]
    kept = [place for place, name in enumerate(known) if name not in names]
    return data.iloc[:, kept], [name for name in names if name not in known]


def paths_of(data: Any) -> list[str] | None:
    if isinstance(data, (str, os.PathLike)):
        return [os.fspath(data)]
    if not isinstance(data, (list, tuple)) or not data:
        return None
    if not all(isinstance(item, (str, os.PathLike)) for item in data):
        return None
    return [os.fspath(item) for item in data]


def is_sparse(data: Any) -> bool:
    return hasattr(data, "tocsr") and hasattr(data, "nnz")


def is_row_matrix(data: Any) -> bool:
    """Returns whether the data are floats of the core's own types, which lie row by row."""
    return (
        type(data) is np.ndarray
        and data.ndim == 2
        and data.dtype in (np.float32, np.float64)
        and data.dtype.isnative
        and data.shape[1] > 1
        and data.strides[1] == data.itemsize
        and data.strides[0] >= data.shape[1] * data.itemsize
        and data.strides[0] % data.itemsize == 0
    )


def is_reader(data: Any) -> bool:
    """Returns whether the data comes by and by: a stream that is not a frame."""
    return hasattr(data, "__arrow_c_stream__") and not hasattr(data, "shape")


def all_names(*values: Any) -> bool:
    return all(value is None or isinstance(value, str) for value in values)


def table_of(data: Any, names: Sequence[str] | None, only: Sequence[str] | None) -> pa.Table:
    if is_frame(data):
        return to_table(data, None if only is None else set(only))
    try:
        matrix = np.asarray(data)
    except ValueError as error:
        raise TypeError(f"The data is no table: {error}") from error
    if matrix.ndim != 2 or matrix.dtype.names is not None:
        raise ValueError(
            "Data must be paths, a frame or a 2-D array; reshape it with reshape(-1, 1) if it is "
            f"one column (type: {type(data).__name__}, shape: {matrix.shape})"
        )
    return table_of_matrix(matrix, column_names_of(matrix.shape[1], names))


def column_names_of(count: int, names: Sequence[str] | None) -> list[str]:
    if names is None:
        return [f"x{place}" for place in range(count)]
    if len(names) != count:
        raise ValueError(
            "The array has another number of columns than the model has features; give it the "
            f"columns of the training data (columns: {count}, features: {len(names)})"
        )
    return list(names)


def category_names(
    categorical: Sequence[str | int] | None, columns: Sequence[str] | None
) -> list[str]:
    """Returns names for names and places."""
    names = []
    for item in categorical or ():
        if isinstance(item, str):
            names.append(item)
        elif columns is None or not -len(columns) <= int(item) < len(columns):
            raise ValueError(f"categorical names no column of the data (column: {item!r})")
        else:
            names.append(columns[int(item)])
    return names


def with_column(table: pa.Table, role: str, values: Any, name: str | None) -> tuple[str, pa.Table]:
    """Returns the name of the label's or weight's column, and the table that has it."""
    if values is None:
        return "", table
    if isinstance(values, str):
        return values, table
    if name is None:
        name = free_name(getattr(values, "name", None) or role, table.column_names)
    elif name in table.column_names:
        table = table.drop_columns([name])
    array = column_array(role, one_dimensional(role, values))
    if len(array) != table.num_rows:
        raise ValueError(
            f"The {role} must have one value a row ({role}: {len(array)}, rows: {table.num_rows})"
        )
    return name, table.append_column(name, array)


def one_dimensional(role: str, values: Any) -> Any:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    if hasattr(values, "to_arrow"):  # a polars series
        return values.to_arrow()
    if not hasattr(values, "dtype"):
        values = np.asarray(values)
    if values.ndim != 1:
        raise ValueError(
            f"The {role} must be the name of a column or one value a row (shape: {values.shape})"
        )
    return values


def free_name(wanted: Any, taken: Sequence[str]) -> str:
    name = str(wanted)
    number = 1
    while name in taken:
        name = f"{wanted}_{number}"
        number += 1
    return name


def open_sparse(
    data: Any,
    label: Any,
    weight: Any,
    categorical: Sequence[str | int] | None,
    names: Sequence[str] | None,
    label_name: str,
    weight_name: str,
) -> Rows:
    if categorical:
        raise ValueError("A sparse matrix has no categories; give a frame, or leave them numbers")
    matrix = data.tocsr()
    matrix.sum_duplicates()
    row_count, column_count = matrix.shape
    columns = column_names_of(column_count, names)
    dense: list[tuple[str, Array]] = []
    roles: dict[str, str] = {"label": "", "weight": ""}
    for role, values, wanted in (("label", label, label_name), ("weight", weight, weight_name)):
        if values is None:
            continue
        if isinstance(values, str):
            roles[role] = values
            continue
        roles[role] = free_name(wanted, [*columns, *(name for name, _ in dense)])
        dense.append((roles[role], sparse_numbers(role, values, row_count)))
    source = _core.open_csr(
        np.ascontiguousarray(matrix.indptr, np.int64),
        np.ascontiguousarray(matrix.indices, np.int32),
        np.ascontiguousarray(matrix.data, np.float64),
        column_count,
        columns,
        dense,
    )
    return Rows(source, roles["label"], roles["weight"])


def sparse_numbers(role: str, values: Any, row_count: int) -> Array:
    array = np.asarray(one_dimensional(role, values))
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"With a sparse matrix the {role} must be numbers; encode it first, as with "
            "numpy.unique(y, return_inverse=True)"
        )
    if len(array) != row_count:
        raise ValueError(
            f"The {role} must have one value a row ({role}: {len(array)}, rows: {row_count})"
        )
    return np.ascontiguousarray(array, np.float64)
