# SPDX-License-Identifier: Apache-2.0
"""train(workers=N): the rows in worker processes of this machine, as `evergrove train --workers N`.

The command that is installed with the package does it. It reads the data by itself, in processes of
its own, so data are paths.
"""

import json
import logging
import os
import shutil
import signal
import subprocess
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from evergrove.model import Model, load
from evergrove.sources import open_rows, paths_of

# As docs/guide/command.md has them.
EXCEPTIONS = {2: ValueError, 3: OSError, 4: KeyboardInterrupt}
WORKERS_MAX = 64

logger = logging.getLogger("evergrove")


def train_with_workers(
    workers: int,
    settings: Sequence[tuple[str, str]],
    data: Any,
    label: Any,
    *,
    weight: Any,
    valid: Any,
    valid_fraction: float | None,
    categorical: Sequence[str | int] | None,
    exclude: Sequence[str],
    threads: int,
    log: str,
    resume: bool,
    continue_from: Model | None,
) -> Model:
    """The model of one process, made by `workers` of them."""
    if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= WORKERS_MAX:
        raise ValueError(f"workers must be from 1 to {WORKERS_MAX} (workers: {workers!r})")
    options = ["--workers", str(workers), "--data", *paths(data, "data")]
    options += ["--label", column(label, "label")]
    # What is wrong with the files is said as it always is, before any process is started.
    open_rows(data, label=label, weight=weight, categorical=categorical)
    if weight is not None:
        options += ["--weight", column(weight, "weight")]
    for paths_of_set in valid_paths(valid):
        options += ["--valid", *paths_of_set]
    if valid_fraction is not None:
        options += ["--valid-fraction", repr(float(valid_fraction))]
    for option, names in (("--exclude", exclude), ("--categorical", categorical or ())):
        if names:
            options += [option, ",".join(column(name, option[2:]) for name in names)]
    if settings:
        options += ["--set", *(f"{name}={value}" for name, value in settings)]
    if threads > 0:
        options += ["--threads", str(threads)]
    if log:
        options += ["--log", log]
    if resume:
        options += ["--resume"]
    with tempfile.TemporaryDirectory(prefix="evergrove-") as folder:
        if continue_from is not None:
            continue_from.save(Path(folder) / "before")
            options += ["--continue", str(Path(folder) / "before")]
        result = run([*options, "--model", str(Path(folder) / "model")])
        for note in result["notes"]:
            logger.info(note)
        return load(Path(folder) / "model")


def paths(data: Any, what: str) -> list[str]:
    """The paths; refuses what is in the memory of this process."""
    found = paths_of(data)
    if found is None:
        raise TypeError(
            "With workers the data must be paths, for each worker reads its part by itself; write "
            f"it to Parquet first, such as with frame.to_parquet(...) ({what}: "
            f"{type(data).__name__})"
        )
    return found


def column(name: Any, what: str) -> str:
    if not isinstance(name, str):
        raise TypeError(
            f"With workers a column must be given by its name, not as {type(name).__name__}; have "
            f"it in the files ({what})"
        )
    if "," in name and what in ("exclude", "categorical"):
        raise ValueError(f"With workers a column's name in {what} cannot have a comma ({name!r})")
    return name


def valid_paths(valid: Any) -> list[list[str]]:
    """The paths of each validation set."""
    if valid is None:
        return []
    if isinstance(valid, Mapping):
        raise TypeError("With workers validation sets have no names of their own; give a list")
    if isinstance(valid, list) and paths_of(valid) is None:
        return [paths(item, "valid") for item in valid]
    return [paths(valid, "valid")]


def command() -> str:
    """The evergrove command: that of this Python before any other."""
    beside = Path(sysconfig.get_path("scripts")) / "evergrove"
    found = os.environ.get("EVERGROVE") or (
        str(beside) if beside.is_file() else shutil.which("evergrove")
    )
    if not found:
        raise FileNotFoundError(
            "The evergrove command, which workers are processes of, is not installed; install the "
            f"package with pip, or say where it is in EVERGROVE (looked for: {beside})"
        )
    return found


def run(options: Sequence[str]) -> dict[str, Any]:
    process = subprocess.Popen(
        [command(), "train", *options, "--json", "--quiet"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, err = process.communicate()
    except BaseException:
        # It lets its workers end and makes the log durable.
        process.send_signal(signal.SIGINT)
        process.communicate()
        raise
    if process.returncode != 0:
        refuse(process.returncode, err)
    result: dict[str, Any] = json.loads(out)
    return result


def refuse(code: int, err: str) -> NoReturn:
    lines = [line for line in err.splitlines() if line]
    message = lines[-1] if lines else f"The evergrove command ended with {code}"
    message = message.removeprefix("evergrove: error: ").removeprefix("evergrove: ")
    raise EXCEPTIONS.get(code, RuntimeError)(message)
