# SPDX-License-Identifier: Apache-2.0
"""Normal columns, as many as are wanted, and classes, as many as are wanted: for curves of cost.

draw = make_draw(columns=100, classes=3)
draw(np.random.default_rng(1), 1_000)["label"]

Each class leans on a few columns of its own among the first ten; the others say nothing.
"""

from typing import Any

import numpy as np

from bench.compare.blocks import Draw

LABEL = "label"
EFFECTS_SEED = 7_004
SIGNAL_COLUMNS = 10


def make_draw(*, columns: int, classes: int) -> Draw:
    signal_columns = min(columns, SIGNAL_COLUMNS)
    effects = np.random.default_rng(EFFECTS_SEED)
    weights = effects.normal(0, 0.5, (signal_columns, classes))
    pairs = effects.integers(0, signal_columns, (classes, 2))

    def draw(random: np.random.Generator, rows: int) -> dict[str, Any]:
        x = random.normal(0, 1, (rows, columns)).astype(np.float32)
        score = x[:, :signal_columns] @ weights + x[:, pairs[:, 0]] * x[:, pairs[:, 1]]
        label = np.argmax(score + random.gumbel(0, 1, (rows, classes)), axis=1)
        drawn = {f"x{index}": x[:, index].copy() for index in range(columns)}
        return {LABEL: label.astype(np.int8)} | drawn

    return draw
