# SPDX-License-Identifier: Apache-2.0
"""predict(): scores of Dask's frames and arrays, lazily, partition by partition."""

import functools
from typing import Any

import numpy as np
from dask import delayed

from evergrove.dask.frames import is_array, is_frame, is_part
from evergrove.dask.there import there
from evergrove.model import Model, class_values, model_from_bytes
from evergrove.tables import Array


def predict(model: Model, data: Any, kind: str = "probability") -> Any:
    """Returns the scores that Model.predict() gives, not computed yet; its kinds, and
    "probabilities": a column a class, of two classes too.

    Of a frame: a series (a frame, if a row has several scores) with its index and divisions; of an
    array: an array; of a delayed frame, or a list of them: delayed arrays.
    """
    if is_frame(data):
        meta = meta_of(model, data._meta, kind)
        return data.map_partitions(task("score_frame"), packed(model), kind, meta=meta)
    if is_array(data):
        return predict_array(model, data, kind)
    if isinstance(data, (list, tuple)) and data and all(map(is_part, data)):
        return [delayed(task("score"))(part, packed(model), kind) for part in data]
    if is_part(data):
        return delayed(task("score"))(data, packed(model), kind)
    raise TypeError(
        "evergrove.dask.predict() takes Dask frames, arrays and delayed frames; use "
        f"model.predict() for what is in memory (type: {type(data).__name__})"
    )


def predict_array(model: Model, data: Any, kind: str) -> Any:
    if data.ndim != 2:
        raise ValueError(f"Data must be a 2-D array; reshape it (dimensions: {data.ndim})")
    if len(data.chunks[1]) > 1:
        data = data.rechunk({1: -1})
    width = score_count(model, kind)
    dtype = score_dtype(model, kind)
    if width == 1:
        return data.map_blocks(
            task("score"),
            packed(model),
            kind,
            drop_axis=1,
            dtype=dtype,
            meta=np.empty(0, dtype=dtype),
        )
    meta = np.empty((0, 0), dtype=dtype)
    return data.map_blocks(
        task("score"),
        packed(model),
        kind,
        chunks=(data.chunks[0], (width,)),
        dtype=dtype,
        meta=meta,
    )


def task(function: str) -> Any:
    return there("evergrove.dask.scoring", function)


def packed(model: Model) -> bytes:
    """As it goes through the scheduler, which need not know what it is."""
    return model._core.to_bytes(compressed=True)


# A worker scores many partitions by a model, and few models at once.
unpacked = functools.lru_cache(maxsize=4)(model_from_bytes)


def score(rows: Any, model: Model | bytes, kind: str) -> Array:
    """One partition's scores, in the thread of its task alone."""
    if isinstance(model, bytes):
        model = unpacked(model)
    if len(rows) == 0:
        width = score_count(model, kind)
        return np.empty(0 if width == 1 else (0, width), dtype=score_dtype(model, kind))
    if kind != "probabilities":
        return model.predict(rows, kind, threads=1)
    values = model.predict(rows, threads=1)
    return values if values.ndim > 1 else np.column_stack([1 - values, values])


def score_frame(frame: Any, model: Model | bytes, kind: str) -> Any:
    import pandas as pd

    if isinstance(model, bytes):
        model = unpacked(model)
    values = score(frame, model, kind)
    if values.ndim == 1:
        return pd.Series(values, index=frame.index, name=kind)
    return pd.DataFrame(values, index=frame.index, columns=column_names(model, kind))


def meta_of(model: Model, frame: Any, kind: str) -> Any:
    return score_frame(frame.iloc[:0], model, kind)


def score_count(model: Model, kind: str) -> int:
    """How many scores a row has."""
    if kind == "class":
        return 1
    if kind == "leaf":
        return model.tree_count
    if kind == "probabilities":
        return len(model.classes)
    if kind in ("probability", "margin"):
        return len(model.classes) if model.objective == "multiclass" else 1
    raise ValueError(f"The kind of prediction is probability, margin, class or leaf ({kind!r})")


def column_names(model: Model, kind: str) -> list[str]:
    if kind == "leaf":
        return [f"tree_{place}" for place in range(model.tree_count)]
    return list(model.classes)


def score_dtype(model: Model, kind: str) -> Any:
    if kind == "leaf":
        return np.dtype(np.int32)
    if kind == "class" and model.classes:
        return class_values(model.classes).dtype
    return np.dtype(np.float64)
