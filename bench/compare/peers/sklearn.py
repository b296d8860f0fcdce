# SPDX-License-Identifier: Apache-2.0
"""scikit-learn's HistGradientBoosting. It turns rows into float64, so it is given that.

It bins inside of fit, so its bins count as training. It tells nothing after a tree; when one is
grown is seen by a look into its own modules. It takes at most 255 categories a column; columns with
more go through its TargetEncoder, as its own documentation advises for many categories, and that
counts as training, too: as numbers in the order of their texts they would tell it nothing. Threads
are OpenMP's, by the environment.
"""

import itertools
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.compare.job import Run, Trained
from bench.compare.rows import Rows, codes_matrix

CATEGORIES_MAX = 255


def train(run: Run) -> Trained:
    from sklearn import ensemble, preprocessing

    job, rows = run.job, run.train
    counts = [len(rows.categories.get(name, ())) for name in rows.names]
    categorical = [0 < count <= CATEGORIES_MAX for count in counts]
    encoded = [column for column, count in enumerate(counts) if count > CATEGORIES_MAX]
    parameters = run.parameters | {
        "categorical_features": categorical if any(categorical) else None
    }
    kind = (
        ensemble.HistGradientBoostingRegressor
        if job.task == "regression"
        else ensemble.HistGradientBoostingClassifier
    )
    model = kind(**parameters)
    encoder = preprocessing.TargetEncoder(random_state=parameters["random_state"])

    def construct() -> Any:
        matrix = matrix_of(rows)
        rows.features = None
        return matrix

    def fit(matrix: Any) -> None:
        if encoded:
            matrix[:, encoded] = encoder.fit_transform(matrix[:, encoded], rows.label)
        model.fit(matrix, rows.label)

    matrix = run.timed("construct", construct)
    with told_of_trees(run):
        run.timed("fit", lambda: fit(matrix))
    return Model(model, job.task, encoder, encoded)


@contextmanager
def told_of_trees(run: Run) -> Iterator[None]:
    """Steps after each tree, or after each round where there is a tree a class."""
    from sklearn.ensemble._hist_gradient_boosting import gradient_boosting

    grower = gradient_boosting.TreeGrower
    grow = grower.grow
    trees_of_round = max(run.job.class_count, 1)
    counted = itertools.count(1)

    def grow_and_step(self: Any) -> None:
        grow(self)
        count = next(counted)
        if count % trees_of_round == 0:
            run.step(count // trees_of_round, None)

    grower.grow = grow_and_step
    try:
        yield
    finally:
        grower.grow = grow


def matrix_of(rows: Rows) -> Any:
    if isinstance(rows.features, np.ndarray):
        return rows.features
    return codes_matrix(rows)


@dataclass
class Model:
    model: Any
    task: str
    encoder: Any  # fitted where there are encoded columns
    encoded: list[int]  # the columns that it encodes

    def save(self, path: str) -> None:
        with Path(path).open("wb") as file:
            pickle.dump((self.encoder, self.model), file, protocol=5)

    def prepare(self, rows: Rows) -> Any:
        matrix = matrix_of(rows)
        if self.encoded:
            matrix[:, self.encoded] = self.encoder.transform(matrix[:, self.encoded])
        return matrix

    def predict(self, prepared: Any, trees: int) -> Any:
        staged = (
            self.model.staged_predict(prepared)
            if self.task == "regression"
            else self.model.staged_predict_proba(prepared)
        )
        scores = next(itertools.islice(staged, trees - 1, None))
        return scores[:, 1] if self.task == "binary" else scores
