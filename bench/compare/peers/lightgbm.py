# SPDX-License-Identifier: Apache-2.0
"""LightGBM: a Dataset of the matrix as it is, categories as pandas has them."""

from dataclasses import dataclass
from typing import Any

from bench.compare.job import Run, Trained
from bench.compare.rows import Rows


def train(run: Run) -> Trained:
    lgb, job = run.library, run.job
    parameters = run.worded("metric")

    def construct() -> tuple[Any, list[Any]]:
        data = lgb.Dataset(run.train.features, run.train.label, params=parameters)
        data.construct()
        run.train.features = None
        if not job.watch_metric:
            return data, []
        return data, [lgb.Dataset(run.test.features, run.test.label, reference=data)]

    def after(env: Any) -> None:
        results = env.evaluation_result_list
        run.step(env.iteration + 1, results[0][2] if results else None)

    data, held_out = run.timed("construct", construct)
    trees = job.settings.trees
    booster = run.timed(
        "fit",
        lambda: lgb.train(parameters, data, trees, valid_sets=held_out, callbacks=[after]),
    )
    return Model(booster, job.threads)


@dataclass
class Model:
    booster: Any
    threads: int

    def save(self, path: str) -> None:
        self.booster.save_model(path)

    def prepare(self, rows: Rows) -> Any:
        return rows.features

    def predict(self, prepared: Any, trees: int) -> Any:
        return self.booster.predict(prepared, num_iteration=trees, num_threads=self.threads)
