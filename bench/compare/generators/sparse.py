# SPDX-License-Identifier: Apache-2.0
"""Rows of 1,000 columns of which 97 % are zero: 300 of one-hot codes, 700 of counts and amounts.

The one-hot columns come from six variables of 50 values each, so exactly one of 50 is 1; the others
are there independently of each other, a few in many rows and most in few, as words in texts are.

    columns = draw(np.random.default_rng(1), 1_000)
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

LABEL = "label"
VARIABLES, LEVELS = 6, 50
COUNTS = 700
MEAN_SHARE = 0.0343  # of a count column that is not zero; with the one-hot columns' 0.02: 0.03
EFFECTS_SEED = 7_002
Array = npt.NDArray[Any]


def draw(random: np.random.Generator, rows: int) -> dict[str, Any]:
    level_effects, weights = effects()
    score = np.full(rows, -1.0)
    columns: dict[str, Any] = {}
    level = np.empty((rows, VARIABLES), np.int64)
    for variable in range(VARIABLES):
        # A product of two draws: low levels are more frequent.
        level[:, variable] = random.random(rows) * random.random(rows) * LEVELS
        score += level_effects[variable][level[:, variable]]
        for value in range(LEVELS):
            hot = level[:, variable] == value
            columns[f"v{variable}_{value}"] = hot.astype(np.float32)
    score += 0.8 * ((level[:, 0] < 10) & (level[:, 1] < 10))
    for index, share in enumerate(shares()):
        count = random.binomial(rows, share)
        place = np.sort(random.choice(rows, count, replace=False))
        values = random.geometric(0.4, count).astype(np.float32)
        if index % 2:
            values = random.exponential(1.0, count).astype(np.float32)
        column = np.zeros(rows, np.float32)
        column[place] = values
        columns[f"w{index}"] = column
        if weights[index]:
            score[place] += weights[index] * np.log1p(values)
    label = random.random(rows) < 1 / (1 + np.exp(-score))
    return {LABEL: label.astype(np.int8)} | columns


@cache
def shares() -> Array:
    """How many rows have something in a column."""
    raw = (np.arange(COUNTS) + 8.0) ** -0.9
    return np.asarray(np.minimum(raw * (MEAN_SHARE / raw.mean()), 0.6))


@cache
def effects() -> tuple[Array, Array]:
    """Of the levels, and of one in four of the other columns."""
    random = np.random.default_rng(EFFECTS_SEED)
    levels = random.normal(0, 0.5, (VARIABLES, LEVELS))
    weights = random.normal(0, 1, COUNTS) * (random.random(COUNTS) < 0.25)
    return levels, weights
