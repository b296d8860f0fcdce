# SPDX-License-Identifier: Apache-2.0
"""Patches of a forest in the shape of covertype: 10 numbers, 44 one-hot columns, 7 classes.

Two classes have most of the rows and two next to none, as there. Height decides most, and what a
soil or a wilderness means differs by class; the numbers are whole, with ties.

    columns = draw(np.random.default_rng(1), 1_000)
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

LABEL = "cover"
CLASSES, WILDERNESSES, SOILS = 7, 4, 40
HEIGHTS = np.array([3_130, 2_920, 2_400, 2_220, 2_790, 2_420, 3_360])  # of the classes, in metres
BIAS = np.array([0.0, 0.6, -0.6, -1.6, -2.6, -1.0, -1.4])
NOISE = 1.5
EFFECTS_SEED = 7_003
Array = npt.NDArray[Any]


def draw(random: np.random.Generator, rows: int) -> dict[str, Any]:
    wilderness = random.choice(WILDERNESSES, rows, p=[0.45, 0.05, 0.44, 0.06])
    height = random.normal(2_950, 230, rows) - 500 * (wilderness == 3)
    soil = np.minimum((random.random(rows) ** 1.7 * SOILS).astype(np.int64), SOILS - 1)
    # High soils lie high: what is one-hot is not independent of the numbers.
    soil = np.clip(soil + ((height - 2_950) / 60).astype(np.int64), 0, SOILS - 1)
    slope = random.gamma(3.0, 4.7, rows)
    aspect = random.uniform(0, 360, rows)
    water = random.gamma(1.6, 170, rows)
    water_height = water * random.normal(0.17, 0.2, rows)
    road, fire = random.gamma(2.0, 1_150, rows), random.gamma(2.0, 990, rows)
    light = 218 - 0.9 * slope * np.cos((aspect - 60) * np.pi / 180) + random.normal(0, 8, rows)
    noon = 223 - 0.3 * slope + random.normal(0, 12, rows)
    evening = 142 + 0.9 * slope * np.cos((aspect - 60) * np.pi / 180) + random.normal(0, 15, rows)
    soil_effect, wilderness_effect, weights = effects()
    score = BIAS - ((height - water_height)[:, None] - HEIGHTS) ** 2 / (2 * 150.0**2)
    score += soil_effect[soil] + wilderness_effect[wilderness]
    score += np.column_stack([water / 300, road / 1_500, fire / 1_500, noon / 30]) @ weights
    score[:, 4] += 1.5 * (slope > 20) * (light > 215)
    cover = np.argmax(score + NOISE * random.gumbel(0, 1, (rows, CLASSES)), axis=1)
    numbers = (height, aspect, slope, water, water_height, road, light, noon, evening, fire)
    columns: dict[str, Any] = {LABEL: cover.astype(np.int8)}
    columns |= {f"x{i}": np.rint(values).astype(np.float32) for i, values in enumerate(numbers)}
    columns |= {f"wild{i}": (wilderness == i).astype(np.int8) for i in range(WILDERNESSES)}
    return columns | {f"soil{i}": (soil == i).astype(np.int8) for i in range(SOILS)}


@cache
def effects() -> tuple[Array, Array, Array]:
    random = np.random.default_rng(EFFECTS_SEED)
    soil = random.normal(0, 0.8, (SOILS, CLASSES))
    return soil, random.normal(0, 0.5, (WILDERNESSES, CLASSES)), random.normal(0, 0.3, (4, CLASSES))
