# SPDX-License-Identifier: Apache-2.0
"""The data of the examples in the documents: card transactions, small, by the names that they use.

write(Path("folder"))      # train, valid, test, new, more .parquet; train.csv; parts/*.parquet
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

MERCHANTS = ["grocer", "fuel", "travel", "games", "jewels", "books"]
START = np.datetime64("2024-01-01T00:00:00", "s")


def transactions(rows: int, first_id: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    merchant = random.choice(len(MERCHANTS), rows, p=[0.35, 0.25, 0.15, 0.1, 0.05, 0.1])
    hour = random.integers(0, 24, rows)
    amount = np.round(random.gamma(2, 30, rows) * (1 + (merchant == 4)), 2)
    days = np.round(random.exponential(20, rows), 1)
    score = amount / 100 + (hour < 6) + (merchant == 3) - days / 20 + random.normal(0, 1, rows)
    return pa.table(
        {
            "transaction_id": first_id + np.arange(rows),
            "time": START + (np.arange(rows) * 86_400 // 100).astype("timedelta64[s]"),
            "amount": pa.array(amount, mask=random.random(rows) < 0.02),
            "hour": hour,
            "merchant": pa.array(np.array(MERCHANTS)[merchant], mask=random.random(rows) < 0.05),
            "days_since_last": days,
            "weight": np.where(random.random(rows) < 0.5, 1.0, 0.5),
            "fraud": (score > 1.5).astype(np.int64),
        }
    )


def write(folder: Path) -> None:
    train = transactions(4_000, 0, seed=1)
    pq.write_table(train, folder / "train.parquet", row_group_size=1_000)
    pyarrow.csv.write_csv(train, folder / "train.csv")
    parts = folder / "parts"
    parts.mkdir()
    for part in range(4):
        pq.write_table(train.slice(1_000 * part, 1_000), parts / f"part-{part}.parquet")
    for place, name in enumerate(["more", "valid", "test"]):
        pq.write_table(
            transactions(1_000, 4_000 + 1_000 * place, place), folder / f"{name}.parquet"
        )
    new = transactions(1_000, 9_000, seed=9).drop_columns(["fraud"])
    pq.write_table(new, folder / "new.parquet")
