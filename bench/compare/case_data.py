# SPDX-License-Identifier: Apache-2.0
"""The Parquet files of a case: training rows and held-out rows, made on first use.

train, test = files(load_case("dense"))

They are kept in build/bench-data/speed by what they are made from, the generator's own source among
it: a cut case has its own files, and a changed generator makes new ones.
"""

import hashlib
import inspect
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.compare import blocks
from bench.compare.case import Case
from bench.compare.data import CACHE, SHARED, write_table
from bench.compare.generators import DRAWS
from bench.compare.job import Job
from examples.fraud import features, transactions

GROUP_VALUES = 4_000_000  # of a row group at most, so that wide rows can be read bit by bit
TEST_SEED = 10_000  # more than that of training
FRAUD_DAYS = 183  # 1.75 million transactions, as the book's


def files(case: Case, folder: Path = CACHE / "speed") -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{case.generator}_{case.rows}_{case.test_rows}_{case.seed}_{source_hash(case)}"
    train, test = folder / f"{stem}_train.parquet", folder / f"{stem}_test.parquet"
    if train.exists() and test.exists():
        return train, test
    if case.generator == "fraud":
        write_fraud(case, train, test, folder)
    else:
        draw = DRAWS[case.generator]
        for path, rows, seed in (
            (train, case.rows, case.seed),
            (test, case.test_rows, case.seed + TEST_SEED),
        ):
            blocks.write(path, draw, row_count=rows, seed=seed, group_rows=group_rows(case.columns))
    return train, test


def group_rows(columns: int) -> int:
    """Returns how many rows of so many columns a row group has."""
    return min(blocks.BLOCK_ROWS, GROUP_VALUES // columns)


def job_of(case: Case, *, scores: str, seed: int, threads: int) -> Job:
    """Returns what any library is told of a case; parameters and the rest are each one's own."""
    train, test = files(case)
    return Job(
        train=str(train),
        test=str(test),
        label=case.label,
        task=case.task,
        scores=scores,
        settings=case.settings,
        class_count=case.class_count,
        seed=seed,
        threads=threads,
    )


def write_fraud(case: Case, train: Path, test: Path, folder: Path) -> None:
    """The last rows in time are held out; those before them are for training."""
    table = fraud_table(case, folder)
    rows = min(case.rows, table.num_rows - case.test_rows)
    begin = table.num_rows - case.test_rows
    for path, part in ((train, table.slice(begin - rows, rows)), (test, table.slice(begin))):
        write_table(path, part, blocks.BLOCK_ROWS)


def fraud_table(case: Case, folder: Path) -> pa.Table:
    """Returns label and features, float32, in the order of time; kept, for it takes a while."""
    source = SHARED / case.path
    kind = "shared" if source.exists() else "made"
    path = folder / f"fraud_{kind}_{case.seed}_{source_hash(case)}.parquet"
    if not path.exists():
        if source.exists():
            table = features.add_features(source)
        else:
            options = transactions.Options(day_count=FRAUD_DAYS, seed=case.seed)
            table = features.add_features(transactions.generate(options))
        columns = {case.label: table[case.label].to_numpy().astype(np.int8)}
        columns |= {n: table[n].to_numpy().astype(np.float32) for n in features.FEATURES}
        write_table(path, pa.table(columns))
    return pq.read_table(path)


def source_hash(case: Case) -> str:
    """Returns eight digits that are others once what draws the rows is written otherwise."""
    modules = [features, transactions]
    if case.generator != "fraud":
        modules = [blocks, sys.modules[DRAWS[case.generator].__module__]]
    text = "".join(inspect.getsource(module) for module in modules)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
