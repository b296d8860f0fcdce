# SPDX-License-Identifier: Apache-2.0
"""A training run that is killed half-way by SIGKILL and gone on with by the same command.

Promise: the kill is real and in mid-training, or an error is raised: the process ended by signal
9, no model file was there, and the log held some of the trees but not all.

How far a run is, its log says: it grows tree by tree, and the same run always writes the same one,
so an undisturbed run's log tells how long it will be.

    whole = run(command_with("calm-log"))
    cut = kill_half_way(command, log, model, whole_bytes=log_bytes("calm-log"), ...)
    resumed = run(command)                    # the very same words
"""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ATTEMPTS = 3
POLL_SECONDS = 0.001


@dataclass(frozen=True)
class Cut:
    """A run that was killed, and what it left."""

    seconds: float  # from its start to its death
    trees: int  # whole ones, in the log
    log_bytes: int


def kill_half_way(
    command: list[str],
    log: Path,
    model: Path,
    *,
    whole_bytes: int,
    tree_count: int,
    count_trees: Callable[[Path], int],
    show_errors: bool = False,
    timeout_seconds: float = 600,
) -> Cut:
    """Starts the command and kills it when its log is half of `whole_bytes` long. Should it be done
    before that (a very fast machine), tries again, sooner."""
    share = 0.5
    for _ in range(ATTEMPTS):
        shutil.rmtree(log, ignore_errors=True)
        model.unlink(missing_ok=True)
        start = time.perf_counter()
        was_killed = kill_at(
            command,
            log,
            int(share * whole_bytes),
            show_errors=show_errors,
            timeout_seconds=timeout_seconds,
        )
        seconds = time.perf_counter() - start
        if was_killed and not model.exists():
            trees = count_trees(log)
            if 0 < trees < tree_count:
                return Cut(seconds, trees, log_bytes(log))
        share /= 2
    raise RuntimeError(
        f"The run was over each time before it could be killed ({ATTEMPTS} attempts); "
        "give it more trees with --trees"
    )


def kill_at(
    command: list[str],
    log: Path,
    log_bytes_enough: int,
    *,
    show_errors: bool = False,
    timeout_seconds: float = 600,
) -> bool:
    """Runs the command until its log is so long, then ends it by SIGKILL. Returns whether that was
    its end; a run that was done before is no error, one that failed is."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=None if show_errors else subprocess.DEVNULL,
    )
    deadline = time.perf_counter() + timeout_seconds
    try:
        while process.poll() is None:
            if log_bytes(log) >= log_bytes_enough:
                process.kill()
                break
            if time.perf_counter() > deadline:
                raise RuntimeError(f"{' '.join(command)}: not done after {timeout_seconds:.0f} s")
            time.sleep(POLL_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    if process.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{' '.join(command)}: exit status {process.returncode}")
    return process.returncode == -signal.SIGKILL


def log_bytes(log: Path) -> int:
    """Returns how long the log is by now, 0 when there is none."""
    total = 0
    for path in log.glob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # renamed or removed since it was listed
            continue
    return total
