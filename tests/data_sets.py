# SPDX-License-Identifier: Apache-2.0
"""Small data sets for tests: each a pandas frame with its label, task and columns of categories.

Promise: the same bits on every machine, because golden digests rest on them. Numbers are drawn by
PCG64, combined by + and * one after the other, and rounded to a few decimals, so that neither the
order of a sum nor the last bit of a libm can show.

    data = adult_like(rows=2_000)
    data.frame.to_parquet("adult.parquet")      # label: data.label
    for data in all_sets(): ...
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from examples.fraud import features, split, transactions

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DataSet:
    name: str
    frame: pd.DataFrame
    label: str
    task: str  # "binary", "multiclass" or "regression"
    categorical: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)  # columns that are no features


def all_sets() -> list[DataSet]:
    return [fraud_small(), adult_like(), seven_class(), regression(), heavy_tailed()]


def fraud_small(seed: int = 0) -> DataSet:
    """Our generator's transactions with their 15 features: 14 days for training, about 7,000 rows
    of which 1 in 50 is a fraud."""
    options = transactions.Options(
        customer_count=260,
        terminal_count=520,
        day_count=66,
        radius=8,
        seed=seed,
        terminals_a_day=1,
        terminal_days=6,
        customers_a_day=1,
        customer_days=6,
    )
    table = features.add_features(transactions.generate(options))
    days = split.Split(first_day=38, train_days=14, delay_days=7, test_days=7)
    frame = split.split_by_time(table, days).train.to_pandas()
    return DataSet("fraud_small", frame, "TX_FRAUD", "binary", exclude=features.OTHER_COLUMNS)


def adult_like(rows: int = 5_000, seed: int = 0) -> DataSet:
    """Numbers, whole numbers and categories, with missing values in each kind; a text label."""
    random = np.random.default_rng(seed)
    age = random.integers(17, 91, rows)
    hours = random.integers(1, 100, rows)
    gain = np.where(random.random(rows) < 0.1, random.integers(100, 100_000, rows), 0)
    rate = decimals(random.normal(0, 1, rows), 4)
    kinds = ["Private", "State-gov", "Self-emp", "Without-pay"]
    kind = random.choice(4, rows, p=[0.6, 0.2, 0.15, 0.05])
    jobs = [f"job {number:02d}" for number in range(40)]
    job = np.minimum(random.integers(0, 41, rows), random.integers(0, 40, rows))
    job_effect = decimals(random.normal(0, 1, 40), 3)
    score = (age - 40) * 0.03 + (hours - 40) * 0.02 + (gain > 20_000) * 3.0
    score = score + job_effect[job] + (kind == 2) * 0.8 + rate * 0.5
    score = score + decimals(random.normal(0, 1, rows), 4)
    frame = pd.DataFrame(
        {
            "age": age,
            "kind": missing(np.array(kinds, object)[kind], random, 0.05),
            "gain": gain,
            "job": missing(np.array(jobs, object)[job], random, 0.02),
            "hours": pd.array(missing(hours.astype(object), random, 0.03), dtype="Int64"),
            "rate": np.where(random.random(rows) < 0.1, np.nan, rate),
            "income": np.where(score > 1.0, ">50K", "<=50K"),
        }
    )
    return DataSet("adult_like", frame, "income", "binary", categorical=["kind", "job"])


def seven_class(rows: int = 6_000, seed: int = 0, columns: int = 12) -> DataSet:
    """Seven classes of unequal size, bent in the features, with noise."""
    random = np.random.default_rng(seed)
    x = decimals(random.normal(0, 1, (rows, columns)), 3)
    effect = decimals(random.normal(0, 1, (7, columns)), 3)
    bend = decimals(random.normal(0, 0.7, (7, columns)), 3)
    scores = np.zeros((rows, 7))
    for klass in range(7):
        total = np.full(rows, -0.35 * klass)
        for column in range(columns):
            other = x[:, (column + klass + 1) % columns]
            total = total + effect[klass, column] * x[:, column]
            total = total + bend[klass, column] * x[:, column] * other
        scores[:, klass] = total + decimals(random.normal(0, 1.5, rows), 3)
    frame = pd.DataFrame({f"x{column}": x[:, column] for column in range(columns)})
    frame["class"] = np.argmax(scores, axis=1)
    return DataSet("seven_class", frame, "class", "multiclass")


def regression(rows: int = 5_000, seed: int = 0) -> DataSet:
    """A bent surface with interactions, a column of categories and noise (after Friedman)."""
    random = np.random.default_rng(seed)
    x = decimals(random.random((rows, 8)), 3)
    site = random.integers(0, 30, rows)
    site_effect = decimals(random.normal(0, 2, 30), 3)
    target = 20 * (x[:, 2] - 0.5) * (x[:, 2] - 0.5) + 10 * x[:, 3] + 5 * x[:, 4]
    target = target + 12 * x[:, 0] * x[:, 1] + site_effect[site]
    target = target + decimals(random.normal(0, 1, rows), 3)
    frame = pd.DataFrame({f"x{column}": x[:, column] for column in range(8)})
    frame["site"] = [f"site {number}" for number in site]
    frame["target"] = decimals(target, 4)
    return DataSet("regression", frame, "target", "regression", categorical=["site"])


def heavy_tailed(rows: int = 5_000, seed: int = 0) -> DataSet:
    """A log-normal target: most gradients are a thousand times smaller than the largest."""
    random = np.random.default_rng(seed)
    x = decimals(random.normal(0, 1, (rows, 8)), 3)
    log = 1.2 * x[:, 0] + 0.8 * x[:, 1] * x[:, 2] + 0.6 * (x[:, 3] > 0.5) - 0.5 * x[:, 4]
    target = decimals(np.exp(log + decimals(random.normal(0, 0.8, rows), 3)), 3)
    frame = pd.DataFrame({f"x{column}": x[:, column] for column in range(8)})
    frame["target"] = target
    return DataSet("heavy_tailed", frame, "target", "regression")


def decimals(values: Any, places: int) -> Floats:
    scale = 10.0**places
    return np.asarray(np.rint(np.asarray(values) * scale) / scale, np.float64)


def missing(values: Any, random: np.random.Generator, share: float) -> Any:
    values = values.copy()
    values[random.random(len(values)) < share] = None
    return values


BY_NAME: dict[str, Callable[[], DataSet]] = {
    "fraud_small": fraud_small,
    "adult_like": adult_like,
    "seven_class": seven_class,
    "regression": regression,
    "heavy_tailed": heavy_tailed,
}
