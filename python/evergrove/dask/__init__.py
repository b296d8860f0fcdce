# SPDX-License-Identifier: Apache-2.0
"""Evergrove on a Dask cluster: workers come and go, and the model is the same to the bit.

    from distributed import Client
    import evergrove.dask

    client = Client("tcp://scheduler:8786")
    model = evergrove.dask.train(client, {"n_estimators": 200}, "s3://bucket/part-*.parquet",
                                 label="fraud", log="s3://bucket/run")

    scores = evergrove.dask.predict(model, frame)          # lazy, as the frame is

docs/engines.md has the whole of it.
"""

from typing import TYPE_CHECKING, Any

try:
    import distributed  # noqa: F401, to say in words what is missing
except ImportError as error:
    raise ImportError(
        "evergrove.dask needs dask and distributed; install them with "
        "`pip install 'evergrove[dask]'`"
    ) from error

from evergrove.dask.client_side import LostSchedulerError, attach, runs, train
from evergrove.dask.scoring import predict

if TYPE_CHECKING:
    from evergrove.dask.estimators import DaskClassifier, DaskRegressor

__all__ = [
    "DaskClassifier",
    "DaskRegressor",
    "LostSchedulerError",
    "attach",
    "predict",
    "runs",
    "train",
]


def __getattr__(name: str) -> Any:
    # scikit-learn is imported when an estimator is first asked for.
    if name not in ("DaskClassifier", "DaskRegressor"):
        raise AttributeError(f"module 'evergrove.dask' has no attribute {name!r}")
    from evergrove.dask import estimators

    return getattr(estimators, name)
