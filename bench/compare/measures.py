# SPDX-License-Identifier: Apache-2.0
"""How good scores are: one function a measure, the same for every library."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from examples.fraud import split

Array = npt.NDArray[Any]
LARGER_IS_BETTER = {"roc_auc", "average_precision", "card_precision"}
TITLES = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "card_precision": "card precision at 100",
    "log_loss": "log loss",
    "error": "error",
    "rmse": "RMSE",
    "mae": "MAE",
}


def measure(name: str, scores: Array, label: Array, test: pa.Table) -> float:
    if name == "card_precision":
        return split.measure(scores, test).card_precision
    return MEASURES[name](scores, label)


def log_loss(scores: Array, label: Array) -> float:
    """Probabilities of the second class, or one column a class."""
    if scores.ndim == 1:
        scores = np.column_stack([1 - scores, scores])
    chosen = scores[np.arange(len(label)), label.astype(np.int64)]
    return float(-np.log(np.clip(chosen, 1e-15, 1)).mean())


def error(scores: Array, label: Array) -> float:
    return float((np.argmax(scores, axis=1) != label).mean())


MEASURES: dict[str, Callable[[Array, Array], float]] = {
    "roc_auc": lambda scores, label: split.roc_auc(scores, label != 0),
    "average_precision": lambda scores, label: split.average_precision(scores, label != 0),
    "log_loss": log_loss,
    "error": error,
    "rmse": lambda scores, label: float(np.sqrt(np.mean((scores - label) ** 2))),
    "mae": lambda scores, label: float(np.mean(np.abs(scores - label))),
}
