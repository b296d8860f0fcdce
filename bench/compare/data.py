# SPDX-License-Identifier: Apache-2.0
"""The data sets of the quality bench: Parquet files of training and test rows for each seed.

Where time says what is training (fraud), the split is fixed and the seed decides about sampling
only; elsewhere each seed splits the rows anew, four fifths for training. Labels of classes are
whole numbers from 0, so that every library reads them alike.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.compare.settings import Task
from examples.fraud import features, split
from tests import data_sets

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared/data"
CACHE = ROOT / "build/bench-data"


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    task: Task
    label: str
    measures: tuple[str, ...]
    load: Callable[[], pd.DataFrame]
    class_count: int = 0
    exclude: list[str] = field(default_factory=list)
    fixed_split: split.Split | None = None
    seed_factor: int = 1  # so many times as many seeds as are asked for
    needs: Path | None = None  # a file that must be there

    def missing(self) -> str:
        return "" if self.needs is None or self.needs.exists() else f"needs {self.needs}"

    def files(self, seed: int) -> tuple[Path, Path]:
        """Returns the files of training and test rows, made on first use."""
        folder = CACHE / "quality"
        folder.mkdir(parents=True, exist_ok=True)
        suffix = "" if self.fixed_split else f"_{seed}"
        paths = tuple(folder / f"{self.name}{suffix}_{part}.parquet" for part in ("train", "test"))
        if not all(path.exists() for path in paths):
            for path, frame in zip(paths, self.split(seed), strict=True):
                write_table(path, pa.Table.from_pandas(frame, preserve_index=False))
        return paths[0], paths[1]

    def split(self, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        frame = self.load()
        if self.fixed_split:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            train, test = split.split_by_time(table, self.fixed_split)
            return train.to_pandas(), test.to_pandas()
        order = np.random.default_rng(seed).permutation(len(frame))
        cut = len(frame) * 4 // 5
        train_rows, test_rows = np.sort(order[:cut]), np.sort(order[cut:])
        return frame.iloc[train_rows], frame.iloc[test_rows]


def write_table(path: Path, table: pa.Table, group_rows: int | None = None) -> None:
    """Writes a file that is there as a whole or not at all."""
    unfinished = path.with_suffix(".unfinished")
    pq.write_table(table, unfinished, row_group_size=group_rows)
    unfinished.rename(path)


def load_fraud() -> pd.DataFrame:
    return features.add_features(FRAUD).to_pandas()


def load_adult() -> pd.DataFrame:
    frame = pd.read_parquet(SHARED / "small/adult.parquet")
    frame["income"] = (frame["income"].str.strip() == ">50K").astype(np.int8)
    return frame


def load_higgs() -> pd.DataFrame:
    parts = (pd.read_parquet(SHARED / f"small/higgs_7k_{part}.parquet") for part in PARTS)
    return pd.concat(parts, ignore_index=True)


def load_abalone() -> pd.DataFrame:
    return pd.read_csv(SHARED / "small/abalone.csv").astype({"Rings": np.float64})


PARTS = ("train", "test")
FRAUD = SHARED / "fraud_handbook/transactions.parquet"

CASES = [
    Case(
        "fraud",
        "fraud (book's split)",
        "binary",
        features.LABEL,
        ("roc_auc", "average_precision", "card_precision"),
        load_fraud,
        exclude=features.OTHER_COLUMNS,
        fixed_split=split.Split(first_day=115),
        seed_factor=4,
        needs=FRAUD,
    ),
    Case(
        "adult",
        "adult",
        "binary",
        "income",
        ("roc_auc", "log_loss"),
        load_adult,
        needs=SHARED / "small/adult.parquet",
    ),
    Case(
        "higgs_7k",
        "higgs_7k",
        "binary",
        "label",
        ("roc_auc", "log_loss"),
        load_higgs,
        needs=SHARED / "small/higgs_7k_train.parquet",
    ),
    Case(
        "abalone",
        "abalone",
        "regression",
        "Rings",
        ("rmse",),
        load_abalone,
        needs=SHARED / "small/abalone.csv",
    ),
    Case(
        "seven_class",
        "seven classes, generated",
        "multiclass",
        "class",
        ("log_loss", "error"),
        lambda: data_sets.seven_class(rows=30_000, seed=100).frame,
        class_count=7,
    ),
    Case(
        "heavy_tailed",
        "log-normal target, generated",
        "regression",
        "target",
        ("rmse", "mae"),
        lambda: data_sets.heavy_tailed(rows=30_000, seed=100).frame,
    ),
]
