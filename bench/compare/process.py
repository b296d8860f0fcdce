# SPDX-License-Identifier: Apache-2.0
"""Runs one command in a fresh process and measures it from outside: time and peak memory.

Peak memory is VmHWM of /proc/PID/status, read all the while. What wait4 says (ru_maxrss) would not
do: it begins with what the parent had, because a child starts as a copy of it.
"""

import os
import resource
import select
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Measured:
    returncode: int
    seconds: float
    peak_rss_bytes: int
    output: str
    errors: str  # empty when they were shown
    timed_out: bool = False
    cpu_seconds: float = 0  # of all processes that this one ended meanwhile

    def explain(self) -> str:
        """Returns the last line that says why it failed."""
        if self.timed_out:
            return f"stopped after {self.seconds:.0f} s; is the machine busy?"
        lines = [line for line in self.errors.strip().splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit status {self.returncode}"


def run_measured(
    command: list[str],
    *,
    timeout_seconds: float = 3_600,
    show_errors: bool = False,
    threads: int = 0,
    pin: bool = False,
    folder: Path | None = None,
    watch: Callable[[subprocess.Popen[str]], None] | None = None,
) -> Measured:
    """Runs the command to its end. `show_errors` lets its standard error through, for progress.
    `watch` is called every 20 ms or so and may end the process. `threads`, if given, is said in the
    environment as well, for thread pools that no parameter of a library reaches; `pin` leaves the
    process only as many cores."""
    environment = dict(os.environ)
    if threads:
        environment |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    if threads and pin:
        cores = sorted(os.sched_getaffinity(0))[:threads]
        command = ["taskset", "--cpu-list", ",".join(map(str, cores)), *command]
    with tempfile.TemporaryFile("w+") as errors:
        start, cpu_start = time.perf_counter(), children_cpu_seconds()
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=None if show_errors else errors,
            text=True,
            env=environment,
            cwd=folder,
        )
        output: list[str] = []
        stdout = process.stdout
        assert stdout is not None
        reader = threading.Thread(target=lambda: output.append(stdout.read()))
        reader.start()
        peak = 0
        timed_out = False
        ended = os.pidfd_open(process.pid)
        try:
            while process.poll() is None:
                peak = max(peak, peak_rss_bytes(process.pid))
                if watch:
                    watch(process)
                if time.perf_counter() - start > timeout_seconds:
                    timed_out = True
                    process.kill()
                select.select([ended], [], [], 0.02)
            seconds = time.perf_counter() - start
        finally:
            os.close(ended)
            if process.poll() is None:
                process.kill()
                process.wait()
            reader.join()
        errors.seek(0)
        return Measured(
            process.returncode,
            seconds,
            peak,
            "".join(output),
            errors.read(),
            timed_out,
            children_cpu_seconds() - cpu_start,
        )


def children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def peak_rss_bytes(pid: int | str = "self") -> int:
    """Returns the most memory that the process has had resident, 0 when it has gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
