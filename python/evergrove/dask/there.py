# SPDX-License-Identifier: Apache-2.0
"""there(): a function of Evergrove's as a task that only the worker which does it need understand.

A graph goes through Dask's scheduler, where no Evergrove need be; and a worker that has none, or
another version, is to be named.

    table = dask.delayed(there("evergrove.engines.frames", "partition_table"))(rows, ...)
"""

from collections.abc import Callable
from typing import Any

from evergrove import _core


def there(module: str, function: str) -> Callable[..., Any]:
    version = _core.__version__

    # A function in a function: it is pickled by value, with all that it needs.
    def call(*arguments: Any) -> Any:
        import importlib

        from distributed import get_worker

        def label() -> str:
            try:
                return f"The worker {get_worker().address}"
            except ValueError:
                return "This process"

        try:
            found = importlib.import_module("evergrove._core").__version__
        except Exception as error:
            raise ImportError(
                f"{label()} has no Evergrove that can be imported; install evergrove[dask] "
                f"everywhere ({type(error).__name__}: {error})"
            ) from None
        if found != version:
            raise ValueError(
                f"{label()} has Evergrove {found}, but the client {version}; install the same "
                "version everywhere"
            )
        return getattr(importlib.import_module(module), function)(*arguments)

    call.__name__ = function  # as Dask's dashboard shows it
    return call
