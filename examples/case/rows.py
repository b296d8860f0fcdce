# SPDX-License-Identifier: Apache-2.0
"""The rows of the case, in the object store: transactions with the book's features, multiplied.

    rows = make_rows("bucket", copies=4, file_count=32, small=False)
    rows.train_files, rows.test          # paths in the store; the test rows, as a table here

Training days end a week before the test days, when their frauds are known. The test rows are the
book's: cards that are known to be compromised by then are left out. A copy is of other customers,
each of whom spends 0.8 to 1.25 times what the one whose copy it is spends.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from examples.case import store
from examples.fraud import features, transactions
from examples.fraud.demo import SMALL
from examples.fraud.split import Split, split_by_time

ROOT = Path(__file__).resolve().parents[2]
HANDBOOK = ROOT.parent / "shared/data/fraud_handbook/transactions.parquet"
AMOUNTS = [name for name in features.FEATURES if "AMOUNT" in name]


@dataclass(frozen=True)
class Rows:
    source: str
    train_files: list[str]
    row_count: int
    train_days: tuple[int, int]
    test_days: tuple[int, int]
    test: pa.Table
    file_bytes: int


def make_rows(bucket: str, copies: int, file_count: int, small: bool) -> Rows:
    if HANDBOOK.exists() and not small:
        source = "the Handbook's simulated transactions"
        table = features.add_features(HANDBOOK)
        split, first_day = Split(first_day=115), 30
    else:
        options = SMALL if small else transactions.Options(day_count=183)
        source = f"made by our generator ({options.customer_count:,} customers)"
        table = features.add_features(transactions.generate(options))
        last = options.day_count - 21
        split, first_day = Split(first_day=last), 30
    last_day = split.first_test_day - split.delay_days - 1
    day = table["TX_TIME_DAYS"].to_numpy()
    train = table.filter(pa.array((day >= first_day) & (day <= last_day)))
    test = split_by_time(table, split).test
    files, size = [], 0
    for number, part in enumerate(parts(train, copies, file_count)):
        path = f"{bucket}/train/part-{number:02d}.parquet"
        files.append(store.write_table(part, path))
        size += store.file_system().get_file_info(path).size
    return Rows(
        source,
        files,
        train.num_rows * copies,
        (first_day, last_day),
        (split.first_test_day, split.first_test_day + split.test_days - 1),
        test,
        size,
    )


def parts(train: pa.Table, copies: int, file_count: int) -> list[pa.Table]:
    customer = train["CUSTOMER_ID"].to_numpy()
    label = train[features.LABEL]
    columns = train.select(features.FEATURES)
    made = []
    for copy in range(copies):
        if copy > 0:
            factors = np.random.default_rng(copy).uniform(-1, 1, int(customer.max()) + 1)
            factor = 1.25 ** factors[customer]
            for name in AMOUNTS:
                place = columns.column_names.index(name)
                amounts = np.round(train[name].to_numpy() * factor, 2)
                columns = columns.set_column(place, name, pa.array(amounts))
        made.append(columns.append_column(features.LABEL, label))
    whole = pa.concat_tables(made)
    size = -(-whole.num_rows // file_count)
    return [whole.slice(begin, size) for begin in range(0, whole.num_rows, size)]
