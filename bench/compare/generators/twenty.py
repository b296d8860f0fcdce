# SPDX-License-Identifier: Apache-2.0
"""Rows of 20 columns of many distributions, with a heavy-tailed amount or one of two classes.

The signal has steps, a wave, products and ratios of ten columns; the other ten say nothing. Amounts
are log-normal about it: the largest of a million is some thousand times the median.

    columns = draw_amounts(np.random.default_rng(1), 1_000)   # label "amount"
    columns = draw_classes(np.random.default_rng(1), 1_000)   # label "label"
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def draw_amounts(random: np.random.Generator, rows: int) -> dict[str, Any]:
    signal, columns = draw(random, rows)
    amount = 100 * np.exp(0.7 * signal + 0.7 * random.normal(0, 1, rows))
    return {"amount": amount} | columns


def draw_classes(random: np.random.Generator, rows: int) -> dict[str, Any]:
    signal, columns = draw(random, rows)
    label = random.random(rows) < 1 / (1 + np.exp(-1.5 * signal))
    return {"label": label.astype(np.int8)} | columns


def draw(random: np.random.Generator, rows: int) -> tuple[Array, dict[str, Any]]:
    """Returns the signal, about 0 with a spread of 1, and the columns."""
    x = np.empty((rows, 20), np.float32)
    x[:, 0:6] = random.normal(0, 1, (rows, 6))
    x[:, 6:12] = random.random((rows, 6))
    x[:, 12:16] = np.exp(random.normal(0, 1, (rows, 4)))
    x[:, 16:18] = random.integers(0, 12, (rows, 2))
    x[:, 18:20] = random.normal(0, 1, (rows, 2)) * (random.random((rows, 2)) < 0.3)
    signal = (
        0.5 * x[:, 0]
        + 0.6 * x[:, 1] * (x[:, 6] > 0.5)
        + np.sin(6 * x[:, 7])
        + 0.4 * np.log(x[:, 12] / x[:, 13])
        - 0.8 * (x[:, 16] > 7) * (x[:, 8] < 0.4)
        + 0.5 * np.abs(x[:, 2])
        + 0.7 * x[:, 18]
        - 0.4
    )
    columns = {f"x{index}": x[:, index].copy() for index in range(20)}
    return signal / 1.25, columns
