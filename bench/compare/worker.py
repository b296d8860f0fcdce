# SPDX-License-Identifier: Apache-2.0
"""Trains one library on one job, in a process of its own, and says what it took.

    python -m bench.compare.worker lightgbm job.json

The job (see `Job`) names Parquet files for training and test, the label and the settings. The
scores of the test rows go to `scores` (.npy, float64: one column, or one a class) and the answer,
one JSON object, to standard output; progress goes to standard error.

Fair to every library: the table is read a row group at a time into the matrix that it wants, and
given up once it has its bins. Times and peak memory are those of training; the test rows are read
after that, unless they are watched, and then ours reads them too.
"""

import functools
import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.compare.process import peak_rss_bytes
from bench.compare.progress import Progress
from bench.compare.settings import PEERS, Settings, Task


@dataclass(frozen=True)
class Job:
    train: str
    test: str
    label: str
    task: Task
    scores: str
    settings: Settings
    class_count: int = 0  # multiclass: labels are 0 to class_count - 1
    exclude: list[str] = field(default_factory=list)
    seed: int = 0
    threads: int = 2
    watch_metric: bool = False  # ROC AUC on the test rows after each tree, as a curve

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @staticmethod
    def read(path: Path) -> "Job":
        values = json.loads(path.read_text())
        return Job(**values | {"settings": Settings(**values["settings"])})


@dataclass
class Run:
    """What an adapter below is given, and what it leaves behind."""

    job: Job
    library: Any
    parameters: dict[str, Any]
    train: "Rows"
    step: Callable[[int, float | None], None]  # after each tree: how many, metric
    seconds: dict[str, float] = field(default_factory=dict)
    peak_rss_bytes: int = 0
    fit_end: float = 0
    scores: Any = None

    @functools.cached_property
    def test(self) -> "Rows":
        return load(self.job.test, self.job, self.train)

    def timed(self, name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        self.seconds[name] = self.seconds.get(name, 0) + time.perf_counter() - start
        if name == "fit":
            self.peak_rss_bytes = peak_rss_bytes()
            self.fit_end = time.perf_counter()
        return result


@dataclass
class Rows:
    features: Any  # a float matrix, or a pandas frame where there are categories
    label: Any
    names: list[str]
    categories: dict[str, Any]  # by name of a feature of texts, in the order of their codes

    @property
    def categorical(self) -> list[str]:
        return list(self.categories)


def main() -> int:
    name, job = sys.argv[1], Job.read(Path(sys.argv[2]))
    module, make_parameters, title = PEERS[name]
    seconds = {}
    start = time.perf_counter()
    library = importlib.import_module(module)
    seconds["import"] = time.perf_counter() - start
    start = time.perf_counter()
    pa.set_cpu_count(job.threads)
    train = load(job.train, job, None)
    seconds["read"] = time.perf_counter() - start
    curve: list[float] = []
    progress = Progress(title, job.settings.trees)

    def step(count: int, metric: float | None) -> None:
        if metric is not None:
            curve.append(metric)
        progress.show(count, metric)

    parameters = make_parameters(job.settings, job.task, job.seed, job.threads)
    run = Run(job, library, parameters, train, step, seconds)
    if job.watch_metric:
        run.timed("read", lambda: run.test)
    ADAPTERS[module](run)
    progress.close()
    np.save(job.scores, np.asarray(run.scores, np.float64))
    run.seconds["after"] = time.perf_counter() - run.fit_end
    answer = {
        "version": library.__version__,
        "seconds": run.seconds,
        "peak_rss_bytes": run.peak_rss_bytes,
        "curve": curve,
        "parameters": parameters,
    }
    print(json.dumps(answer))
    return 0


def load(path: str, job: Job, like: Rows | None) -> Rows:
    """Returns the rows of a file. All-number data becomes one matrix, of float32 where the file
    has nothing wider; texts become categories, those of `like` if it is given."""
    file = pq.ParquetFile(path)
    left_out = {job.label, *job.exclude}
    columns = [column for column in file.schema_arrow if column.name not in left_out]
    names = [column.name for column in columns]
    if any(is_text(column.type) for column in columns):
        return load_frame(file.read([*names, job.label]), job.label, like)
    narrow = all(column.type == pa.float32() for column in columns)
    row_count = file.metadata.num_rows
    matrix = np.empty((row_count, len(names)), np.float32 if narrow else np.float64)
    labels = []
    first = 0
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, [*names, job.label])
        for index, name in enumerate(names):
            matrix[first : first + table.num_rows, index] = table[name].to_numpy()
        labels.append(table[job.label].to_numpy())
        first += table.num_rows
    table = None
    pa.default_memory_pool().release_unused()
    return Rows(matrix, np.concatenate(labels), names, {})


def load_frame(table: pa.Table, label: str, like: Rows | None) -> Rows:
    import pandas as pd

    frame = table.drop_columns([label]).to_pandas()
    categories = {}
    for column in table.schema:
        name = column.name
        if name != label and is_text(column.type):
            known = like.categories[name] if like else None
            frame[name] = pd.Categorical(frame[name].astype(object), categories=known)
            categories[name] = frame[name].cat.categories
    return Rows(frame, table[label].to_numpy(), list(frame.columns), categories)


def is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_dictionary(kind))


def run_lightgbm(run: Run) -> None:
    lgb, job = run.library, run.job
    parameters = run.parameters
    if job.class_count:
        parameters = parameters | {"num_class": job.class_count}
    if job.watch_metric:
        parameters = parameters | {"metric": "auc"}

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
    features = run.test.features
    run.scores = run.timed("predict", lambda: booster.predict(features, num_threads=job.threads))


def run_xgboost(run: Run) -> None:
    xgb, job = run.library, run.job
    parameters = run.parameters
    if job.class_count:
        parameters = parameters | {"num_class": job.class_count}
    if job.watch_metric:
        parameters = parameters | {"eval_metric": "auc"}
    threads = job.threads

    class After(xgb.callback.TrainingCallback):  # type: ignore[misc, name-defined]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            log = evals_log.get("test") if job.watch_metric else None
            run.step(epoch + 1, log["auc"][-1] if log else None)
            return False

    def construct() -> tuple[Any, list[Any]]:
        # The bins must be those of training, and categories must be declared.
        options = {"max_bin": job.settings.bins, "nthread": threads, "enable_categorical": True}
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
    features = run.test.features
    run.scores = run.timed(
        "predict",
        lambda: booster.predict(xgb.DMatrix(features, enable_categorical=True, nthread=threads)),
    )


def run_catboost(run: Run) -> None:
    cat, job = run.library, run.job
    parameters = dict(run.parameters)
    if job.watch_metric:
        parameters["eval_metric"] = "AUC"
    categorical = run.train.categorical

    def pool(rows: Rows) -> Any:
        features = rows.features
        if categorical:  # It wants text, and has no missing text.
            features = features.copy()
            for name in categorical:
                features[name] = features[name].astype(object).fillna("(missing)").astype(str)
        return cat.Pool(
            features, rows.label, cat_features=categorical or None, thread_count=job.threads
        )

    class After:
        def after_iteration(self, info: Any) -> bool:
            log = info.metrics.get("validation") if job.watch_metric else None
            run.step(info.iteration, log["AUC"][-1] if log else None)
            return True

    def construct() -> tuple[Any, Any]:
        data = pool(run.train)
        run.train.features = None
        if not categorical and not job.watch_metric:
            data.quantize(border_count=parameters["border_count"])
        return data, pool(run.test) if job.watch_metric else None

    data, held_out = run.timed("construct", construct)
    model = cat.CatBoost(parameters)
    run.timed(
        "fit",
        lambda: model.fit(data, eval_set=held_out, use_best_model=False, callbacks=[After()]),
    )
    kind = "RawFormulaVal" if job.task == "regression" else "Probability"
    test = run.test

    def predict() -> Any:
        features = pool(test) if categorical else test.features
        scores = model.predict(features, prediction_type=kind, thread_count=job.threads)
        return scores[:, 1] if job.task == "binary" else scores

    run.scores = run.timed("predict", predict)


def run_ydf(run: Run) -> None:
    ydf, job = run.library, run.job
    ydf.verbose(0)
    parameters = dict(run.parameters)
    parameters["task"] = getattr(ydf.Task, parameters["task"])
    categorical = run.train.categorical

    def columns(rows: Rows) -> dict[str, Any]:
        features = rows.features
        if isinstance(features, np.ndarray):
            data: dict[str, Any] = {n: features[:, i] for i, n in enumerate(rows.names)}
        else:
            data = {n: features[n].to_numpy() for n in rows.names if n not in categorical}
            for name in categorical:
                data[name] = features[name].astype(object).fillna("").astype(str).to_numpy(str)
        return data | {job.label: rows.label}

    learner = ydf.GradientBoostedTreesLearner(label=job.label, **parameters)
    data = run.timed("construct", lambda: columns(run.train))
    run.train.features = None
    model = run.timed("fit", lambda: learner.train(data))
    test = columns(run.test)
    run.scores = run.timed("predict", lambda: model.predict(test, num_threads=job.threads))
    if job.task == "multiclass":  # Its classes are in the order of their frequency.
        order = [model.label_classes().index(str(c)) for c in range(job.class_count)]
        run.scores = run.scores[:, order]
    elif job.task == "binary" and model.label_classes() != ["0", "1"]:
        run.scores = 1 - run.scores


ADAPTERS = {
    "lightgbm": run_lightgbm,
    "xgboost": run_xgboost,
    "catboost": run_catboost,
    "ydf": run_ydf,
}

if __name__ == "__main__":
    sys.exit(main())
