# SPDX-License-Identifier: Apache-2.0
"""XGBoost: a QuantileDMatrix, which goes from rows to bins without a copy of the rows; of batches
if the job's form says so, which is its way to do with little memory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.compare.job import Run, Trained
from bench.compare.rows import Batches, Rows


def train(run: Run) -> Trained:
    xgb, job = run.library, run.job
    parameters = run.worded("eval_metric")

    class After(xgb.callback.TrainingCallback):  # type: ignore[misc, name-defined]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            log = evals_log.get("test") if job.watch_metric else None
            run.step(epoch + 1, log["auc"][-1] if log else None)
            return False

    def construct() -> tuple[Any, list[Any]]:
        # The bins must be those of training, and categories must be declared.
        options = {
            "max_bin": parameters["max_bin"],
            "nthread": job.threads,
            "enable_categorical": True,
        }
        if isinstance(run.train.features, Batches):
            data = xgb.QuantileDMatrix(make_iterator(xgb, run.train.features), **options)
        else:
            data = xgb.QuantileDMatrix(run.train.features, run.train.label, **options)
        run.train.features = None
        if not job.watch_metric:
            return data, []
        held_out = xgb.QuantileDMatrix(run.test.features, run.test.label, ref=data, **options)
        return data, [(held_out, "test")]

    data, held_out = run.timed("construct", construct)
    booster = run.timed(
        "fit",
        lambda: xgb.train(
            parameters,
            data,
            job.settings.trees,
            evals=held_out,
            callbacks=[After()],
            verbose_eval=False,
        ),
    )
    return Model(xgb, booster, job.threads)


def make_iterator(xgb: Any, batches: Batches) -> Any:
    class Iterator(xgb.DataIter):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.reset()

        def reset(self) -> None:
            self.left = iter(batches)

        def next(self, input_data: Any) -> bool:
            batch = next(self.left, None)
            if batch is not None:
                input_data(data=batch[0], label=batch[1])
            return batch is not None

    return Iterator()


@dataclass
class Model:
    library: Any
    booster: Any
    threads: int

    def save(self, path: str) -> None:
        binary = Path(path).with_suffix(".ubj")  # its own format goes by the name
        self.booster.save_model(binary)
        binary.rename(path)

    def prepare(self, rows: Rows) -> Any:
        return self.library.DMatrix(rows.features, enable_categorical=True, nthread=self.threads)

    def predict(self, prepared: Any, trees: int) -> Any:
        return self.booster.predict(prepared, iteration_range=(0, trees))
