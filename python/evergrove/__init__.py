# SPDX-License-Identifier: Apache-2.0
"""Evergrove: gradient boosted trees that are the same to the bit, whatever trained them.

import evergrove

model = evergrove.train({"n_estimators": 200}, "transactions.parquet", label="fraud",
                        valid_fraction=0.2, log="run", resume=True)
model.save("fraud.evergrove")
scores = evergrove.load("fraud.evergrove").predict("new.parquet")

classifier = evergrove.Classifier(max_leaves=63).fit(frame, target)   # as in scikit-learn
"""

from typing import TYPE_CHECKING, Any

from evergrove import _arrow as _arrow  # first: it loads what the extension needs
from evergrove._core import __version__
from evergrove.model import Model, load
from evergrove.parameters import Parameter, ParameterNote, parameters
from evergrove.progress import Progress
from evergrove.training import Stopped, train

if TYPE_CHECKING:
    from evergrove.estimators import Classifier, Regressor

__all__ = [
    "Classifier",
    "Model",
    "Parameter",
    "ParameterNote",
    "Progress",
    "Regressor",
    "Stopped",
    "__version__",
    "load",
    "parameters",
    "train",
]


def __getattr__(name: str) -> Any:
    # scikit-learn is imported when an estimator is first asked for: training and scoring need
    # none of it.
    if name not in ("Classifier", "Regressor"):
        raise AttributeError(f"module 'evergrove' has no attribute {name!r}")
    from evergrove import estimators

    return getattr(estimators, name)


def __dir__() -> list[str]:
    return sorted(__all__)
