# SPDX-License-Identifier: Apache-2.0
"""Model: a trained forest, to score rows with, to look into and to keep.

model = evergrove.load("fraud.evergrove")
model.predict(frame)                  # probabilities
model.importance("gain")
model.to_dataframe()                  # a row a node
"""

import functools
import html
import itertools
import json
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from evergrove import _core
from evergrove.sources import Rows, open_rows
from evergrove.tables import Array


def load(path: str | os.PathLike[str]) -> "Model":
    """Reads a model file."""
    return Model(_core.load(os.fspath(path)))


def model_from_bytes(data: bytes) -> "Model":
    return Model(_core.from_bytes(data))


class Model:
    """Made by train() and load(). Never changes; may be used from many threads, and pickled."""

    def __init__(self, core: _core.Model) -> None:
        self._core = core
        self._digest: str | None = None

    @functools.cached_property
    def _features(self) -> list[tuple[str, str, list[str]]]:
        """Of each its name, its kind, and the categories that the model knows."""
        return self._core.features

    @functools.cached_property
    def _predictor(self) -> _core.Predictor:
        """The model laid out for scoring, which takes some milliseconds."""
        return self._core.predictor()

    @property
    def digest(self) -> str:
        """64 hex digits: equal for two models exactly when they are the same to the bit."""
        if self._digest is None:
            self._digest = self._core.digest()
        return self._digest

    @property
    def objective(self) -> str:
        return self._core.objective

    @property
    def feature_names(self) -> list[str]:
        return [name for name, _, _ in self._features]

    @property
    def categories(self) -> dict[str, list[str]]:
        """The known categories of each categorical feature."""
        return {name: known for name, kind, known in self._features if kind != "numeric"}

    @property
    def classes(self) -> list[str]:
        """The names of the classes in order; empty for regression."""
        return self._core.classes

    @property
    def label(self) -> str:
        return self._core.label

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters the model was trained with."""
        parameters: dict[str, Any] = json.loads(self._core.parameters_json)
        return parameters

    @property
    def metrics(self) -> dict[str, dict[str, list[float]]]:
        """By set and name, one value an iteration."""
        history: dict[str, dict[str, list[float]]] = {}
        for step in self._core.metrics:
            for name, values in step.items():
                for metric, value in values.items():
                    history.setdefault(name, {}).setdefault(metric, []).append(value)
        return history

    @property
    def tree_count(self) -> int:
        return self._core.tree_count

    @property
    def iteration_count(self) -> int:
        return self._core.iteration_count

    @property
    def best_iteration(self) -> int:
        """The iteration (from 1) up to which trees are kept."""
        return self._core.best_iteration

    def predict(self, data: Any, kind: str = "probability", *, threads: int | None = None) -> Array:
        """Scores rows.

        Returns, by kind: "probability" (binary: that of the second class; multiclass: a column a
        class; regression: the value), "margin" (before the logistic or softmax function), "class"
        (one of `classes`, as numbers if all of them are; regression: the value), "leaf" (the index
        of the node where the row ends, a column a tree).
        """
        values = self.predict_columns(self._open(data), kind, thread_count(threads))
        if kind == "leaf":
            return values.astype(np.int32)
        if kind == "class" and self.classes:
            return class_values(self.classes)[values[:, 0].astype(np.intp)]
        return values[:, 0] if values.shape[1] == 1 else values

    def evaluate(
        self,
        data: Any,
        metrics: Sequence[str] | None = None,
        *,
        label: Any = None,
        weight: Any = None,
        threads: int | None = None,
    ) -> dict[str, float]:
        """Measures the model on labelled data: with the label's column, or the label as values."""
        rows = self._open(data, label, weight, labelled=True)
        wanted = [metrics] if isinstance(metrics, str) else list(metrics or ())
        return self._core.evaluate(rows.source, wanted, thread_count(threads))[1]

    def importance(self, kind: str = "gain") -> dict[str, float]:
        """By feature, most important first: total "gain", rows split ("cover"), or "split"s."""
        values = zip(self.feature_names, self._core.importance(kind), strict=True)
        return dict(sorted(values, key=lambda item: -item[1]))

    def importances(self, kind: str = "gain") -> Array:
        """As importance(), in the order of feature_names."""
        return np.array(self._core.importance(kind), np.float64)

    def to_arrow(self) -> pa.Table:
        """The trees as the file has them, a row a node; docs/formats/model.md has the columns."""
        return pa.ipc.open_file(pa.py_buffer(self._core.to_bytes())).read_all()

    def to_dataframe(self) -> Any:
        """As to_arrow(), as a pandas frame."""
        return self.to_arrow().replace_schema_metadata(None).to_pandas()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a model file: beside its place first, then renamed."""
        self._core.save(os.fspath(path))

    def predict_columns(self, rows: Rows, kind: str, threads: int) -> Array:
        """As predict(), always rows x columns, classes as their indices."""
        return self._predictor.predict(rows.source, kind, threads)

    def _open(
        self, data: Any, label: Any = None, weight: Any = None, labelled: bool = False
    ) -> Rows:
        if isinstance(label, str) or isinstance(weight, str):
            raise TypeError(
                "The label and the weight are the model's own columns; give values, or nothing"
            )
        used = self.feature_names
        if labelled:
            used = [*used, self._core.label, self._core.weight]
        return open_rows(
            data,
            label=label,
            weight=weight,
            categorical=list(self.categories),
            text=self._core.text_columns,
            names=self.feature_names,
            only=used,
            label_name=self._core.label or None,
            weight_name=self._core.weight or None,
        )

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        return model_from_bytes, (self._core.to_bytes(compressed=True),)

    def __repr__(self) -> str:
        return (
            f"<evergrove.Model {self.objective}: {self.tree_count} trees, "
            f"{len(self.feature_names)} features, digest {self.digest[:12]}>"
        )

    def _repr_html_(self) -> str:
        last = {
            f"{name} {metric}": values[self.best_iteration - 1]
            for name, by_metric in self.metrics.items()
            for metric, values in by_metric.items()
            if 0 < self.best_iteration <= len(values)
        }
        facts = {
            "objective": self.objective,
            "label": self.label,
            "trees": f"{self.tree_count} (best iteration {self.best_iteration})",
            "training rows": f"{self._core.row_count:,}",
            **{name: f"{value:.5g}" for name, value in last.items()},
            "digest": self.digest,
        }
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for name, value in facts.items()
        )
        return f"<b>evergrove.Model</b><table>{rows}{importance_rows(self.importance())}</table>"


def importance_rows(importance: dict[str, float], shown: int = 10) -> str:
    largest = max(importance.values(), default=0.0)
    if not largest > 0:
        return ""
    return "".join(
        f"<tr><td style='text-align:left'>{html.escape(name)}</td><td style='text-align:left'>"
        f"<meter value='{value / largest:.4f}' style='width:12em'></meter> {value:.4g}</td></tr>"
        for name, value in list(importance.items())[:shown]
    )


def thread_count(threads: int | None) -> int:
    """Returns the number as the core takes it: 0 is all cores."""
    if threads is None:
        return 0
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, or None for all cores (threads: {threads})")
    return int(threads)


def class_values(names: Sequence[str]) -> Array:
    """Returns the classes as numbers if all names are numbers in their order, else as texts.

    The model keeps names alone; a label of numbers gave names that ascend as numbers do.
    """
    try:
        numbers = [float(name) for name in names]
    except ValueError:
        return np.array(names)
    ascend = all(a < b for a, b in itertools.pairwise(numbers))
    if not ascend or not all(map(math.isfinite, numbers)):
        return np.array(names)
    if all(number.is_integer() and abs(number) < 2**53 for number in numbers):
        return np.array(numbers, np.int64)
    return np.array(numbers, np.float64)
