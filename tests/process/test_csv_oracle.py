# SPDX-License-Identifier: Apache-2.0
"""CSV as pandas reads it: however a frame is written, training on the text gives the model of the
frame, and the columns that predict keeps are those that pandas finds in the text."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.data_sets import adult_like
from tests.process.command import DONE, evergrove

DATA = adult_like(rows=1500, seed=3)
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "all quoted": {"quoting": csv.QUOTE_ALL},
    "text quoted": {"quoting": csv.QUOTE_NONNUMERIC},
    "semicolons": {"sep": ";"},
    "tabs": {"sep": "\t"},
    "bars": {"sep": "|"},
    "windows": {"lineterminator": "\r\n", "encoding": "utf-8-sig"},
    "missing as NA": {"na_rep": "NA"},
    "gzip": {"compression": "gzip"},
}


def frame() -> pd.DataFrame:
    """Numbers of many sizes, whole numbers, categories, booleans and times, most with gaps."""
    random = np.random.default_rng(5)
    rows = DATA.frame.copy()
    count = len(rows)
    rows["size"] = random.normal(0, 1, count) * 10.0 ** random.integers(-300, 300, count)
    flag = (random.random(count) < 0.5).astype(object)
    flag[random.random(count) < 0.1] = None
    rows["flag"] = flag
    when = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 10**7, count), unit="s")
    rows["when"] = pd.Series(when).where(random.random(count) < 0.9)
    rows["note"] = random.choice(["a, b", 'say "so"', "two\nlines", "h\u00e9", " x "], count)
    return rows


def train(folder: Path, data: Path) -> str:
    answer = evergrove(
        *("train", "--data", data, "--label", DATA.label, "--model", folder / "m.evergrove"),
        *("--set", "n_estimators=8", "max_leaves=15", "min_rows=5", "--json", "--quiet"),
    )
    assert answer.code == DONE, answer.err
    return str(answer.json["digest"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv")


@pytest.fixture(scope="module")
def parquet_digest(folder: Path) -> str:
    path = folder / "rows.parquet"
    frame().to_parquet(path)
    return train(folder, path)


@pytest.mark.parametrize("way", WAYS)
def test_a_frame_gives_one_model_however_it_is_written(
    folder: Path, parquet_digest: str, way: str
) -> None:
    path = folder / f"{way}.csv{'.gz' if way == 'gzip' else ''}"
    frame().to_csv(path, index=False, **WAYS[way])
    assert train(folder, path) == parquet_digest


def test_kept_columns_are_what_pandas_reads(folder: Path) -> None:
    words = """|NA|N/A|n/a|NaN|nan|-NaN|-nan|NULL|null|None|<NA>|#N/A|#NA|#N/A N/A|1.#IND|-1.#IND|
        |1.#QNAN|-1.#QNAN|?|none|Null|na|-| NA|missing|NAN"""
    texts = [word.strip("\n ") if word != " NA" else word for word in words.split("|")]
    numbers = ["1", "-0.5", "1e-320", "1.7976931348623157e308", "0.1", "1e23", "", "NA", "inf"]
    numbers += ["9007199254740993", "123456789012345678901234567890", "4.35", ".5", "5."]
    rows = max(len(texts), len(numbers))
    with (folder / "words.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "text", "number", "whole", "flag"])
        for i in range(rows):
            number = numbers[i % len(numbers)]
            writer.writerow([i % 7, texts[i % len(texts)], number, i - 2**62, i % 2 == 0])
    pd.DataFrame({"a": np.arange(200) % 7, "y": np.arange(200) % 2}).to_csv(
        folder / "small.csv", index=False
    )
    model = folder / "small.evergrove"
    trained = evergrove(
        *("train", "--data", folder / "small.csv", "--label", "y", "--model", model),
        *("--set", "n_estimators=2", "--quiet"),
    )
    assert trained.code == DONE, trained.err
    scores = folder / "scores.parquet"
    predicted = evergrove(
        *("predict", "--model", model, "--data", folder / "words.csv", "--out", scores),
        *("--keep", "text,number,whole,flag"),
    )
    assert predicted.code == DONE, predicted.err
    kept = pq.read_table(scores).to_pandas()
    expected = pd.read_csv(folder / "words.csv")
    assert len(kept) == rows
    for name in ["text", "number", "whole", "flag"]:
        assert kept[name].isna().equals(expected[name].isna()), name
        present = expected[name].notna()
        assert kept[name][present].tolist() == expected[name][present].tolist(), name
