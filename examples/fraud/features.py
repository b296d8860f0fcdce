# SPDX-License-Identifier: Apache-2.0
"""The book's 15 features of a card transaction, computed by DuckDB.

Promise: exactly reproducible. Amounts are summed as whole cents and frauds as whole numbers, so
that no sum depends on its order; transactions have one total order, (TX_DATETIME, TRANSACTION_ID).

A window of d days ends with the transaction itself and holds what lies after t - d days and comes
before it in that order, or is it. A terminal's windows end `delay_days` earlier, because it takes
that long until a fraud is known; its risk is the share of frauds in the window, 0 if it is empty.

    features = add_features("transactions.parquet")            # a path, or an Arrow table
    python -m examples.fraud.features transactions.parquet --out features.parquet
"""

import argparse
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

WINDOW_DAYS = (1, 7, 30)
DELAY_DAYS = 7
LABEL = "TX_FRAUD"

CUSTOMER_FEATURES = [
    f"CUSTOMER_ID_{what}_{days}DAY_WINDOW"
    for days in WINDOW_DAYS
    for what in ("NB_TX", "AVG_AMOUNT")
]
TERMINAL_FEATURES = [
    f"TERMINAL_ID_{what}_{days}DAY_WINDOW" for days in WINDOW_DAYS for what in ("NB_TX", "RISK")
]
FEATURES = [
    "TX_AMOUNT",
    "TX_DURING_WEEKEND",
    "TX_DURING_NIGHT",
    *CUSTOMER_FEATURES,
    *TERMINAL_FEATURES,
]
# What a transactions table has besides; kept for the split and left out of training.
OTHER_COLUMNS = [
    "TRANSACTION_ID",
    "TX_DATETIME",
    "CUSTOMER_ID",
    "TERMINAL_ID",
    "TX_TIME_SECONDS",
    "TX_TIME_DAYS",
    "TX_FRAUD_SCENARIO",
]
REQUIRED_COLUMNS = [
    "TRANSACTION_ID",
    "TX_DATETIME",
    "CUSTOMER_ID",
    "TERMINAL_ID",
    "TX_AMOUNT",
    "TX_TIME_SECONDS",
    "TX_TIME_DAYS",
    LABEL,
]

# RANGE frames of DuckDB take rows of equal time in or out together. So windows run over one
# integer that holds the whole order: seconds * PLACES + the place in the order.
PLACES = 2**32
DAY = 86_400 * PLACES


def add_features(transactions: str | Path | pa.Table, delay_days: int = DELAY_DAYS) -> pa.Table:
    """Returns the transactions in their total order, with the features as further columns."""
    connection = duckdb.connect()
    if isinstance(transactions, pa.Table):
        connection.register("transactions", transactions)
    else:
        source = connection.read_parquet(str(transactions))
        source.create_view("transactions")
    columns = connection.sql("SELECT * FROM transactions LIMIT 0").columns
    missing = [name for name in REQUIRED_COLUMNS if name not in columns]
    if missing:
        raise ValueError(f"Transactions lack the columns {', '.join(missing)}; found {columns}")
    return connection.sql(query(delay_days)).to_arrow_table()


def query(delay_days: int = DELAY_DAYS) -> str:
    """Returns the whole computation as one statement over the view `transactions`."""
    customer = ",\n      ".join(customer_columns(days) for days in WINDOW_DAYS)
    terminal = ",\n      ".join(terminal_columns(days, delay_days) for days in WINDOW_DAYS)
    return f"""
    WITH ordered AS (
      SELECT *,
        CAST(TX_TIME_SECONDS AS BIGINT) * {PLACES}
          + row_number() OVER (ORDER BY TX_DATETIME, TRANSACTION_ID) AS position,
        CAST(round(TX_AMOUNT * 100) AS BIGINT) AS cents
      FROM transactions
    )
    SELECT * EXCLUDE (position, cents) REPLACE (CAST({LABEL} AS TINYINT) AS {LABEL}),
      CAST(isodow(TX_DATETIME) >= 6 AS TINYINT) AS TX_DURING_WEEKEND,
      CAST(hour(TX_DATETIME) <= 6 AS TINYINT) AS TX_DURING_NIGHT,
      {customer},
      {terminal}
    FROM ordered
    ORDER BY position
    """


def customer_columns(days: int) -> str:
    window = f"(PARTITION BY CUSTOMER_ID ORDER BY position {frame(days)})"
    return (
        f"CAST(count(*) OVER {window} AS INTEGER) AS CUSTOMER_ID_NB_TX_{days}DAY_WINDOW,\n"
        f"      CAST(sum(cents) OVER {window} AS DOUBLE) / count(*) OVER {window} / 100"
        f" AS CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW"
    )


def terminal_columns(days: int, delay_days: int) -> str:
    window = f"(PARTITION BY TERMINAL_ID ORDER BY position {frame(days, delay_days)})"
    count = f"count(*) OVER {window}"
    return (
        f"CAST({count} AS INTEGER) AS TERMINAL_ID_NB_TX_{days}DAY_WINDOW,\n"
        f"      CASE WHEN {count} = 0 THEN 0.0\n"
        f"        ELSE CAST(sum({LABEL}) OVER {window} AS DOUBLE) / {count} END"
        f" AS TERMINAL_ID_RISK_{days}DAY_WINDOW"
    )


def frame(days: int, delay_days: int = 0) -> str:
    end = f"{delay_days * DAY} PRECEDING" if delay_days else "CURRENT ROW"
    return f"RANGE BETWEEN {(delay_days + days) * DAY} PRECEDING AND {end}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Adds the 15 features to card transactions.")
    parser.add_argument("transactions", type=Path, help="Parquet file")
    parser.add_argument("--out", type=Path, required=True, help="Parquet file to write")
    arguments = parser.parse_args()
    table = add_features(arguments.transactions)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, arguments.out)
    print(f"{arguments.out}: {table.num_rows:,} rows, {len(FEATURES)} features")


if __name__ == "__main__":
    main()
