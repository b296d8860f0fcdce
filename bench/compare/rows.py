# SPDX-License-Identifier: Apache-2.0
"""Rows: a Parquet file as a library wants it: a matrix, a sparse matrix, or a frame.

rows = load("train.parquet", "y", exclude=[])
rows.features            # float32 where the file has nothing wider
load("test.parquet", "y", exclude=[], like=rows).categorical

A file is read a row group at a time into the matrix, so that the table is never there twice. Texts
become categories, whose codes are in the order of the texts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

# A matrix of the data's own width, CSR, float64, or float32 a row group at a time (Batches).
Form = Literal["", "sparse", "double", "batches"]


@dataclass
class Rows:
    features: Any  # a matrix of floats, CSR, Batches, or a pandas frame where there are categories
    label: Any  # none of Batches
    names: list[str]
    categories: dict[str, Any]  # by name of a feature of texts, in the order of their codes
    form: Form = ""

    @property
    def categorical(self) -> list[str]:
        return list(self.categories)


@dataclass(frozen=True)
class Batches:
    """Rows that are read again each time that they are gone through, and never all there."""

    path: str
    names: list[str]
    label: str

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Yields the matrix and the label of each row group."""
        file = pq.ParquetFile(self.path)
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, [*self.names, self.label])
            matrix = np.empty((table.num_rows, len(self.names)), np.float32)
            fill(matrix, table, self.names)
            yield matrix, table[self.label].to_numpy()


def load(
    path: str,
    label: str,
    exclude: Sequence[str],
    *,
    form: Form = "",
    like: Rows | None = None,
) -> Rows:
    """Returns the rows of a file, in the form and with the categories of `like` if it is given."""
    if like:
        form = "" if like.form == "batches" else like.form
    file = pq.ParquetFile(path)
    columns = [column for column in file.schema_arrow if column.name not in {label, *exclude}]
    names = [column.name for column in columns]
    texts = [column.name for column in columns if is_text(column.type)]
    if texts:
        file = pq.ParquetFile(path, read_dictionary=texts)
        return load_frame(file.read([*names, label]), label, like)
    if form == "sparse":
        return load_sparse(file, names, label)
    if form == "batches":
        return Rows(Batches(path, names, label), None, names, {}, form)
    narrow = form != "double" and all(is_narrow(column.type) for column in columns)
    dtype: type[Any] = np.float32 if narrow else np.float64
    matrix = np.empty((file.metadata.num_rows, len(names)), dtype)
    labels = []
    first = 0
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, [*names, label])
        fill(matrix[first : first + table.num_rows], table, names)
        labels.append(table[label].to_numpy())
        first += table.num_rows
    table = None
    pa.default_memory_pool().release_unused()
    return Rows(matrix, np.concatenate(labels), names, {}, form)


def fill(matrix: npt.NDArray[Any], table: pa.Table, names: list[str]) -> None:
    for index, name in enumerate(names):
        matrix[:, index] = table[name].to_numpy()


def load_sparse(file: pq.ParquetFile, names: list[str], label: str) -> Rows:
    """What is not zero, as CSR of float32."""
    from scipy import sparse

    parts, labels = [], []
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, [*names, label])
        values, places, ends = [], [], [0]
        for name in names:
            column = table[name].to_numpy()
            place = np.flatnonzero(column)
            values.append(column[place].astype(np.float32))
            places.append(place.astype(np.int32))
            ends.append(ends[-1] + len(place))
        shape = (table.num_rows, len(names))
        columns = (np.concatenate(values), np.concatenate(places), np.array(ends))
        parts.append(sparse.csc_matrix(columns, shape=shape).tocsr())
        labels.append(table[label].to_numpy())
    table = None
    matrix = sparse.vstack(parts, format="csr")
    pa.default_memory_pool().release_unused()
    return Rows(matrix, np.concatenate(labels), names, {}, "sparse")


def load_frame(table: pa.Table, label: str, like: Rows | None) -> Rows:
    import pandas as pd

    texts = [c.name for c in table.schema if c.name != label and is_text(c.type)]
    names = [name for name in table.column_names if name != label]
    labels = table[label].to_numpy()
    categories, columns = {}, {}
    for name in names:
        if name in texts:
            columns[name] = categorical(table[name], like.categories[name] if like else None)
            categories[name] = columns[name].categories
        else:
            columns[name] = table[name].to_numpy()
    return Rows(pd.DataFrame(columns, copy=False), labels, names, categories)


def categorical(column: pa.ChunkedArray, known: Any) -> Any:
    """Returns texts as a pandas Categorical; what is not known is missing."""
    import pandas as pd

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # no rows, or one chunk
        whole = whole.chunk(0)
    words = pd.Index(whole.dictionary.to_pylist(), dtype=object)
    wanted = words.sort_values() if known is None else pd.Index(known)
    place = wanted.get_indexer(words)
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    codes = np.where(codes < 0, -1, place[codes]) if len(place) else codes
    return pd.Categorical.from_codes(codes.astype(np.int32), categories=wanted)


def codes_matrix(rows: Rows) -> npt.NDArray[np.float64]:
    """Returns a frame as float64, categories as their codes; missing is NaN."""
    matrix = np.empty((len(rows.label), len(rows.names)), np.float64, order="F")
    for index, name in enumerate(rows.names):
        values = rows.features[name]
        if name in rows.categories:
            codes = values.cat.codes.to_numpy()
            matrix[:, index] = np.where(codes < 0, np.nan, codes)
        else:
            matrix[:, index] = values.to_numpy()
    return matrix


def is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_dictionary(kind))


def is_narrow(kind: pa.DataType) -> bool:
    """Whether float32 holds it exactly."""
    types = pa.types
    small = types.is_integer(kind) and kind.bit_width <= 16
    return bool(types.is_float32(kind) or small or types.is_boolean(kind))
