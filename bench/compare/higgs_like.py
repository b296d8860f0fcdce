# SPDX-License-Identifier: Apache-2.0
"""Rows in the shape of HIGGS, for timing: 28 dense float32 columns, two classes, much noise.

Twenty-one columns as a detector would give them (momenta with a tail, angles, a few columns with
three values) and seven made from those, as physicists would. The best possible ROC AUC is about
0.79, so trees go on finding splits down to the smallest leaves, as they do in the real data.

Promise: the same seed and rows give the same file, whatever is asked for beside it.

    write(Path("train.parquet"), row_count=1_000_000, seed=1)
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.compare import blocks

LABEL = "label"
Floats = npt.NDArray[Any]


def write(path: Path, *, row_count: int, seed: int) -> None:
    blocks.write(path, draw, row_count=row_count, seed=seed)


def draw(random: np.random.Generator, rows: int) -> dict[str, Floats]:
    momentum = random.gamma(2.0, 0.5, (rows, 6))
    rapidity = random.normal(0, 1, (rows, 6))
    angle = random.uniform(-np.pi, np.pi, (rows, 5))
    tag = random.choice([0.0, 1.1, 2.2], size=(rows, 4), p=[0.5, 0.25, 0.25])
    mass = np.column_stack([pair_mass(momentum, rapidity, angle, i) for i in range(5)])
    mass = np.column_stack([mass, mass[:, :3].sum(axis=1), np.sqrt(mass[:, 3] * mass[:, 4])])
    score = (
        1.1 * np.exp(-8 * (mass[:, 0] - 0.9) ** 2)
        - 0.9 * np.exp(-4 * (mass[:, 1] - 1.4) ** 2)
        + 0.7 * (mass[:, 5] < 2.6)
        + 0.5 * np.tanh(2 * (momentum[:, 0] - momentum[:, 1]) * (tag[:, 0] > 0))
        + 0.4 * np.cos(angle[:, 0] - angle[:, 1]) * rapidity[:, 2]
        - 0.3 * np.abs(rapidity[:, 0] - rapidity[:, 1])
        + 0.35 * (tag[:, 1] > 1) * np.log1p(momentum[:, 2])
    )
    score = 1.6 * (score - 0.25)
    label = random.random(rows) < 1 / (1 + np.exp(-score))
    measured = np.column_stack([momentum, rapidity, angle, tag, mass])
    measured[:, :17] *= 1 + 0.05 * random.normal(0, 1, (rows, 17))
    columns: dict[str, Floats] = {LABEL: label.astype(np.int8)}
    for index in range(measured.shape[1]):
        columns[f"x{index}"] = measured[:, index].astype(np.float32)
    return columns


def pair_mass(momentum: Floats, rapidity: Floats, angle: Floats, index: int) -> Floats:
    """Returns the invariant mass of two massless particles, as physics has it."""
    other = (index + 1) % 5
    apart = np.cosh(rapidity[:, index] - rapidity[:, other])
    apart -= np.cos(angle[:, index] - angle[:, other])
    return np.asarray(np.sqrt(2 * momentum[:, index] * momentum[:, other] * apart))
