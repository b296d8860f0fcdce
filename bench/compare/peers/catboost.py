# SPDX-License-Identifier: Apache-2.0
"""CatBoost: a Pool, quantised before training where there are no categories to learn about."""

from dataclasses import dataclass
from typing import Any

from bench.compare.job import Run, Trained
from bench.compare.rows import Rows


def train(run: Run) -> Trained:
    cat, job = run.library, run.job
    parameters = dict(run.parameters)
    if job.watch_metric:
        parameters["eval_metric"] = "AUC"
    categorical = run.train.categorical

    class After:
        def after_iteration(self, info: Any) -> bool:
            log = info.metrics.get("validation") if job.watch_metric else None
            run.step(info.iteration, log["AUC"][-1] if log else None)
            return True

    def construct() -> tuple[Any, Any]:
        data = make_pool(cat, run.train, job.threads)
        run.train.features = None
        if not categorical and not job.watch_metric:
            data.quantize(border_count=parameters["border_count"])
        return data, make_pool(cat, run.test, job.threads) if job.watch_metric else None

    data, held_out = run.timed("construct", construct)
    model = cat.CatBoost(parameters)
    run.timed(
        "fit",
        lambda: model.fit(data, eval_set=held_out, use_best_model=False, callbacks=[After()]),
    )
    return Model(cat, model, job.task, job.threads)


def make_pool(cat: Any, rows: Rows, threads: int) -> Any:
    features, categorical = rows.features, rows.categorical
    if categorical:  # As whole numbers it reads them much quicker than as texts; none is missing.
        codes = {name: features[name].cat.codes for name in categorical}
        features = features.assign(**codes)
    return cat.Pool(features, rows.label, cat_features=categorical or None, thread_count=threads)


@dataclass
class Model:
    library: Any
    model: Any
    task: str
    threads: int

    def save(self, path: str) -> None:
        self.model.save_model(path)

    def prepare(self, rows: Rows) -> Any:
        return make_pool(self.library, rows, self.threads) if rows.categorical else rows.features

    def predict(self, prepared: Any, trees: int) -> Any:
        kind = "RawFormulaVal" if self.task == "regression" else "Probability"
        scores = self.model.predict(
            prepared, prediction_type=kind, ntree_end=trees, thread_count=self.threads
        )
        return scores[:, 1] if self.task == "binary" else scores
