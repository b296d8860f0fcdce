# SPDX-License-Identifier: Apache-2.0
"""Flights in the shape of the airlines' delay data: is one late by a quarter of an hour?

Six columns of texts with 20 to 20,000 values, whose frequencies have a long tail and each of which
has an effect of its own, and four of numbers. Origins matter more in the evening and in winter, so
that no column tells alone. One flight in five is late; one in a hundred lacks its aircraft.

    columns = draw(np.random.default_rng(1), 1_000)
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

LABEL = "delayed"
VALUES = {  # how many there are, and how much they matter
    "carrier": (20, 0.5),
    "aircraft_type": (100, 0.2),
    "origin": (350, 0.6),
    "destination": (350, 0.4),
    "aircraft": (5_000, 0.3),
    "flight": (20_000, 0.5),
}
EFFECTS_SEED = 7_001
Array = npt.NDArray[Any]


def draw(random: np.random.Generator, rows: int) -> dict[str, Any]:
    hour = random.beta(2.5, 2.0, rows) * 24
    day = random.integers(1, 366, rows)
    distance = 150 + random.gamma(2.0, 400, rows)
    booked = random.beta(6, 2, rows)
    columns: dict[str, Any] = {}
    score = -1.9 + 0.9 * np.sin((hour - 9) * np.pi / 12) + 0.4 * booked - distance / 6_000
    winter = np.cos((day - 20) * 2 * np.pi / 365)
    for name, (count, weight) in VALUES.items():
        codes = np.searchsorted(cumulated_shares(count), random.random(rows))
        effect = effects(name)[codes]
        score += weight * effect
        if name == "origin":
            score += 0.5 * effect * (hour > 17) + 0.6 * np.roll(effects(name), 1)[codes] * winter
        missing = random.random(rows) < 0.01 if name == "aircraft" else None
        indices = pa.array(codes.astype(np.int32), mask=missing)
        columns[name] = pa.DictionaryArray.from_arrays(indices, names(name))
    numbers = {"hour": hour, "day": day, "distance": distance, "booked": booked}
    columns |= {name: values.astype(np.float32) for name, values in numbers.items()}
    late = random.random(rows) < 1 / (1 + np.exp(-score))
    return {LABEL: late.astype(np.int8)} | columns


@cache
def cumulated_shares(count: int) -> Array:
    shares = (np.arange(count) + 10.0) ** -0.8
    summed = np.cumsum(shares / shares.sum())
    summed[-1] = 1
    return summed


@cache
def effects(name: str) -> Array:
    place = list(VALUES).index(name)
    return np.random.default_rng([EFFECTS_SEED, place]).normal(0, 1, VALUES[name][0])


@cache
def names(name: str) -> pa.Array:
    """Their order says nothing about their effects or frequencies."""
    place, count = list(VALUES).index(name), VALUES[name][0]
    numbers = np.random.default_rng([EFFECTS_SEED, 100 + place]).permutation(count)
    return pa.array([f"{name[0].upper()}{number:05d}" for number in numbers])
