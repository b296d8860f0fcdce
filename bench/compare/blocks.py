# SPDX-License-Identifier: Apache-2.0
"""Generated rows, drawn block by block from a seed and streamed to Parquet.

Promise: a block's rows depend on the seed and the block's number alone, so the same seed and rows
give the same rows whatever the row groups are, and no more than a block is ever in memory.

    write(Path("train.parquet"), higgs_like.draw, row_count=1_000_000, seed=1)
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BLOCK_ROWS = 100_000  # drawn at once
Draw = Callable[[np.random.Generator, int], dict[str, Any]]  # columns by name, of so many rows


def write(
    path: Path, draw: Draw, *, row_count: int, seed: int, group_rows: int = BLOCK_ROWS
) -> None:
    """`group_rows`: of a row group; a block ends one too, and costs nothing but that."""
    unfinished = path.with_suffix(".unfinished")
    writer = None
    for block, first in enumerate(range(0, row_count, BLOCK_ROWS)):
        random = np.random.default_rng([seed, block])
        table = pa.table(draw(random, min(BLOCK_ROWS, row_count - first)))
        writer = writer or pq.ParquetWriter(unfinished, table.schema)
        writer.write_table(table, row_group_size=group_rows)
    assert writer is not None
    writer.close()
    unfinished.rename(path)
