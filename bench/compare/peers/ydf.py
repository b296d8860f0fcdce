# SPDX-License-Identifier: Apache-2.0
"""YDF: a dict of columns. It tells nothing after a tree."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.compare.job import Run, Trained
from bench.compare.rows import Rows


def train(run: Run) -> Trained:
    ydf, job = run.library, run.job
    ydf.verbose(0)
    parameters = dict(run.parameters)
    parameters["task"] = getattr(ydf.Task, parameters["task"])
    learner = ydf.GradientBoostedTreesLearner(label=job.label, **parameters)

    def construct() -> Any:
        data = columns(run.train) | {job.label: run.train.label}
        if run.train.categorical:
            run.train.features = None  # the columns are copies
        return data

    data = run.timed("construct", construct)
    model = run.timed("fit", lambda: learner.train(data))
    order = None
    if job.task == "multiclass":  # Its classes are in the order of their frequency.
        order = [model.label_classes().index(str(c)) for c in range(job.class_count)]
    return Model(model, job.threads, order, job.task == "binary" and is_turned(model))


def columns(rows: Rows) -> dict[str, Any]:
    features = rows.features
    if isinstance(features, np.ndarray):
        return {name: features[:, index] for index, name in enumerate(rows.names)}
    data = {}
    for name in rows.names:
        if name in rows.categories:
            # Of fixed width, as it wants texts; code -1 takes the last, which says missing.
            words = np.array([*rows.categories[name], ""], dtype=str)
            data[name] = words[features[name].cat.codes.to_numpy()]
        else:
            data[name] = features[name].to_numpy()
    return data


def is_turned(model: Any) -> bool:
    return list(model.label_classes()) != ["0", "1"]


@dataclass
class Model:
    model: Any
    threads: int
    order: list[int] | None
    is_turned: bool

    def save(self, path: str) -> None:
        self.model.save(path)  # a folder

    def prepare(self, rows: Rows) -> Any:
        return columns(rows)

    def predict(self, prepared: Any, trees: int) -> Any:
        wanted = trees * (len(self.order) if self.order else 1)
        for index in range(self.model.num_trees() - 1, wanted - 1, -1):
            self.model.remove_tree(index)
        scores = self.model.predict(prepared, num_threads=self.threads)
        if self.order:
            return scores[:, self.order]
        return 1 - scores if self.is_turned else scores
