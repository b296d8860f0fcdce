# SPDX-License-Identifier: Apache-2.0
"""Card transactions made after the scheme of the book "Reproducible Machine Learning for Credit
Card Fraud Detection" (customers, terminals, three fraud scenarios), vectorised.

Promise: the same options give the same rows, byte for byte, on any machine with the numpy that
`requirements/demo.txt` pins: amounts are whole cents and times whole seconds, so that the last bit
of a libm cannot show. The rows are ours, not the book's: its random streams are drawn per customer.

    table = generate(Options(day_count=90, seed=7))
    python -m examples.fraud.transactions --out transactions.parquet
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

SECONDS_A_DAY = 86_400
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Options:
    """What is drawn. The defaults are the book's, but for the days: 183 give 1.75 million rows."""

    customer_count: int = 5_000
    terminal_count: int = 10_000
    day_count: int = 84
    radius: float = 5.0  # a customer reaches the terminals nearer than this, on a map of 100 x 100
    start: str = "2018-04-01"
    seed: int = 0
    large_amount_cents: int = 22_000  # scenario 1: every larger transaction
    terminals_a_day: int = 2  # scenario 2: so many terminals more, for 28 days
    terminal_days: int = 28
    customers_a_day: int = 3  # scenario 3: so many customers more, for 14 days
    customer_days: int = 14
    customer_share: float = 1 / 3  # of these customers' transactions, at five times the amount
    customer_factor: int = 5


@dataclass
class Ledger:
    """Transactions in columns, in the order of time."""

    second: Integers  # since the start
    customer: Integers
    terminal: Integers
    cents: Integers
    scenario: Integers  # 0: genuine

    def take(self, rows: Integers) -> "Ledger":
        return Ledger(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def day(self) -> Integers:
        return self.second // SECONDS_A_DAY


def generate(options: Options | None = None) -> pa.Table:
    """Returns transactions with the columns of the book's published data, ordered by time."""
    options = options or Options()
    streams = np.random.SeedSequence(options.seed).spawn(5)
    places, purchases, choices, terminals, customers = map(np.random.default_rng, streams)
    ledger = draw_purchases(options, places, purchases, choices)
    mark_large_amounts(options, ledger)
    mark_terminals(options, ledger, terminals)
    mark_customers(options, ledger, customers)
    return to_table(options, ledger)


def draw_purchases(
    options: Options,
    places: np.random.Generator,
    purchases: np.random.Generator,
    choices: np.random.Generator,
) -> Ledger:
    """Draws who buys when, for how much and where, all genuine."""
    customer_map = places.uniform(0, 100, (options.customer_count, 2))
    terminal_map = places.uniform(0, 100, (options.terminal_count, 2))
    mean_amount = purchases.uniform(5, 100, options.customer_count)
    mean_a_day = purchases.uniform(0, 4, options.customer_count)
    reachable, first, reach_count = reachable_terminals(customer_map, terminal_map, options.radius)

    counts = purchases.poisson(mean_a_day[:, None], (options.customer_count, options.day_count))
    customer = np.repeat(np.arange(options.customer_count), counts.sum(axis=1))
    day = np.repeat(np.tile(np.arange(options.day_count), options.customer_count), counts.ravel())
    row_count = len(customer)

    second = purchases.normal(SECONDS_A_DAY / 2, 20_000, row_count).astype(np.int64)
    mean = mean_amount[customer]
    amount = purchases.normal(mean, mean / 2)
    amount = np.where(amount < 0, purchases.uniform(0, 2 * mean), amount)
    nth = (choices.random(row_count) * reach_count[customer]).astype(np.int64)

    # As in the book, what falls outside its day or has no terminal to go to does not happen.
    kept = (second > 0) & (second < SECONDS_A_DAY) & (reach_count[customer] > 0)
    position = np.where(kept, first[customer] + nth, 0)
    ledger = Ledger(
        second=day * SECONDS_A_DAY + second,
        customer=customer,
        terminal=reachable[position] if len(reachable) else np.zeros(row_count, np.int64),
        cents=np.rint(amount * 100).astype(np.int64),
        scenario=np.zeros(row_count, np.int64),
    ).take(np.flatnonzero(kept))
    return ledger.take(np.lexsort((ledger.customer, ledger.second)))


def reachable_terminals(
    customer_map: Floats, terminal_map: Floats, radius: float
) -> tuple[Integers, Integers, Integers]:
    """Returns the terminals within reach, customer after customer, with each one's first place
    in that list and how many there are."""
    found: list[Integers] = []
    counts: list[Integers] = []
    for block in np.array_split(customer_map, max(1, len(customer_map) // 250)):
        x = block[:, None, 0] - terminal_map[None, :, 0]
        y = block[:, None, 1] - terminal_map[None, :, 1]
        near = x * x + y * y < radius * radius
        found.append(np.nonzero(near)[1])
        counts.append(near.sum(axis=1))
    count = np.concatenate(counts)
    return np.concatenate(found), np.cumsum(count) - count, count


def mark_large_amounts(options: Options, ledger: Ledger) -> None:
    """Scenario 1, there to have a pattern that any detector must find."""
    ledger.scenario[ledger.cents > options.large_amount_cents] = 1


def mark_terminals(options: Options, ledger: Ledger, random: np.random.Generator) -> None:
    """Scenario 2: all transactions at a terminal, from the day that it is compromised on."""
    hit = compromised(
        options.terminal_count, options.terminals_a_day, options.terminal_days, options, random
    )
    ledger.scenario[hit[ledger.terminal, ledger.day]] = 2


def mark_customers(options: Options, ledger: Ledger, random: np.random.Generator) -> None:
    """Scenario 3: a share of a customer's transactions is made by a thief, at larger amounts."""
    hit = compromised(
        options.customer_count, options.customers_a_day, options.customer_days, options, random
    )
    stolen = hit[ledger.customer, ledger.day]
    stolen &= random.random(len(stolen)) < options.customer_share
    ledger.cents[stolen] *= options.customer_factor
    ledger.scenario[stolen] = 3


def compromised(
    count: int, new_a_day: int, days: int, options: Options, random: np.random.Generator
) -> Booleans:
    """Returns who (row) is compromised on which day (column)."""
    hit = np.zeros((count, options.day_count), np.bool_)
    for day in range(options.day_count):
        chosen = random.choice(count, size=min(new_a_day, count), replace=False)
        hit[chosen, day : day + days] = True
    return hit


def to_table(options: Options, ledger: Ledger) -> pa.Table:
    """Returns the columns and types of the book's data as it was published."""
    start = np.datetime64(options.start, "ns")
    return pa.table(
        {
            "TRANSACTION_ID": np.arange(len(ledger.second), dtype=np.int32),
            "TX_DATETIME": start + ledger.second.astype("timedelta64[s]"),
            "CUSTOMER_ID": ledger.customer.astype(np.int32),
            "TERMINAL_ID": ledger.terminal.astype(np.int32),
            "TX_AMOUNT": ledger.cents / 100,
            "TX_TIME_SECONDS": ledger.second.astype(np.int32),
            "TX_TIME_DAYS": ledger.day.astype(np.int32),
            "TX_FRAUD": (ledger.scenario > 0).astype(np.int8),
            "TX_FRAUD_SCENARIO": ledger.scenario.astype(np.int8),
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes card transactions with known frauds.")
    parser.add_argument("--out", type=Path, required=True, help="Parquet file to write")
    for name in ("customers", "terminals", "days"):
        default = getattr(Options, f"{name.removesuffix('s')}_count")
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default:,}")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    table = generate(
        Options(
            customer_count=arguments.customers,
            terminal_count=arguments.terminals,
            day_count=arguments.days,
            seed=arguments.seed,
        )
    )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, arguments.out)
    frauds = int(table["TX_FRAUD"].to_numpy().sum())
    print(f"{arguments.out}: {table.num_rows:,} transactions, {frauds:,} of them frauds")


if __name__ == "__main__":
    main()
