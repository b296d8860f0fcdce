# SPDX-License-Identifier: Apache-2.0
"""scikit-learn's HistGradientBoosting. It turns rows into float64, so it is given that.

It bins inside of fit and tells nothing after a tree, so its bins count as training. It takes at
most 255 categories a column; columns with more are numbers to it, in the order of their texts, as
its own documentation advises. Threads are OpenMP's, by the environment.
"""

import itertools
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.compare.job import Run, Trained
from bench.compare.rows import Rows, codes_matrix

CATEGORIES_MAX = 255


def train(run: Run) -> Trained:
    from sklearn import ensemble

    job, rows = run.job, run.train
    few = [len(rows.categories.get(name, ())) for name in rows.names]
    categorical = [0 < count <= CATEGORIES_MAX for count in few]
    parameters = run.parameters | {
        "categorical_features": categorical if any(categorical) else None
    }
    kind = (
        ensemble.HistGradientBoostingRegressor
        if job.task == "regression"
        else ensemble.HistGradientBoostingClassifier
    )
    model = kind(**parameters)

    def construct() -> Any:
        matrix = matrix_of(rows)
        rows.features = None
        return matrix

    matrix = run.timed("construct", construct)
    run.timed("fit", lambda: model.fit(matrix, rows.label))
    return Model(model, job.task)


def matrix_of(rows: Rows) -> Any:
    if isinstance(rows.features, np.ndarray):
        return rows.features
    return codes_matrix(rows)


@dataclass
class Model:
    model: Any
    task: str

    def save(self, path: str) -> None:
        with Path(path).open("wb") as file:
            pickle.dump(self.model, file, protocol=5)

    def prepare(self, rows: Rows) -> Any:
        return matrix_of(rows)

    def predict(self, prepared: Any, trees: int) -> Any:
        staged = (
            self.model.staged_predict(prepared)
            if self.task == "regression"
            else self.model.staged_predict_proba(prepared)
        )
        scores = next(itertools.islice(staged, trees - 1, None))
        return scores[:, 1] if self.task == "binary" else scores
