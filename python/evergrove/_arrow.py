# SPDX-License-Identifier: Apache-2.0
"""Loads Arrow before the extension does.

The extension uses the Arrow C++ libraries inside the pyarrow package. Importing pyarrow first
loads them, and the loader then takes those for the extension too; with a pyarrow of another major
version it would find none and say so in words that help nobody.
"""

ARROW_MAJOR = 26


def load_arrow() -> None:
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(
            f"evergrove needs pyarrow {ARROW_MAJOR}; install it with "
            f"`pip install 'pyarrow=={ARROW_MAJOR}.*'`"
        ) from error
    found = pyarrow.__version__
    if int(found.split(".")[0]) != ARROW_MAJOR:
        raise ImportError(
            f"evergrove was built for pyarrow {ARROW_MAJOR}, but {found} is installed; "
            f"run `pip install 'pyarrow=={ARROW_MAJOR}.*'`"
        )


load_arrow()
