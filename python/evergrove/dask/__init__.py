# SPDX-License-Identifier: Apache-2.0
"""Evergrove on a Dask cluster: workers come and go, and the model is the same to the bit.

    from distributed import Client
    import evergrove.dask

    client = Client("tcp://scheduler:8786")
    model = evergrove.dask.train(client, {"n_estimators": 200}, "s3://bucket/part-*.parquet",
                                 label="fraud", log="s3://bucket/run")

docs/engines.md has the whole of it.
"""

try:
    import distributed  # noqa: F401, to say in words what is missing
except ImportError as error:
    raise ImportError(
        "evergrove.dask needs dask and distributed; install them with "
        "`pip install 'evergrove[dask]'`"
    ) from error

from evergrove.dask.client_side import attach, runs, train

__all__ = ["attach", "runs", "train"]
