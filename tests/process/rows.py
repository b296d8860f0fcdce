# SPDX-License-Identifier: Apache-2.0
"""Rows for tests of the command: few, with a column of each kind, and a label that can be learnt.

rows = small_rows()                       # a, b, c; city; weight; fraud
path = write(rows, folder / "rows.parquet")    # or .csv, .csv.gz, .arrow
"""

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LABEL = "fraud"


def small_rows(count: int = 200, seed: int = 0) -> pa.Table:
    """Numbers (some missing in b), a text column, a weight, and the label."""
    random = np.random.default_rng(seed)
    a, b, c = np.rint(random.normal(0, 1, (3, count)) * 1000) / 1000
    place = random.integers(0, 3, count)
    fraud = a + 0.5 * b + (place == 1) + random.normal(0, 0.5, count) > 0.5
    missing = random.random(count) < 0.1
    return pa.table(
        {
            "a": a,
            "b": pa.array(b, mask=missing),
            "c": c,
            "city": np.array(["rome", "oslo", "lima"])[place].tolist(),
            "weight": random.integers(1, 5, count) / 2,
            LABEL: fraud.astype(np.int64),
        }
    )


def replaced(rows: pa.Table, **columns: object) -> pa.Table:
    """The rows with these columns in place of theirs, or added at the end."""
    for name, values in columns.items():
        column = values if isinstance(values, pa.Array) else pa.array(values)
        place = rows.schema.get_field_index(name)
        rows = (
            rows.append_column(name, column) if place < 0 else rows.set_column(place, name, column)
        )
    return rows


def write(rows: pa.Table, path: Path, row_group_rows: int | None = None) -> Path:
    """Writes the rows in the format that the path's ending says; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(rows, path, row_group_size=row_group_rows)
    elif path.suffix == ".arrow":
        with pa.ipc.new_file(path, rows.schema) as writer:
            writer.write_table(rows, max_chunksize=row_group_rows)
    elif path.name.endswith(".csv.gz"):
        path.write_bytes(gzip.compress(csv_text(rows).encode(), mtime=0))
    else:
        path.write_text(csv_text(rows))
    return path


def csv_text(rows: pa.Table) -> str:
    """The rows as CSV with its line of names; missing values are empty fields."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(rows.schema.names)
    columns = [rows.column(place).to_pylist() for place in range(rows.num_columns)]
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue()
