# SPDX-License-Identifier: Apache-2.0
"""ProcessFigures: the CPU time that a process took, and the memory that it grew by, meanwhile.

watch = ProcessFigures(scheduler_pid)
...
watch.since_start()  # {"cpu_seconds": 1.9, "memory_bytes": 4194304}
"""

import contextlib
import os
from pathlib import Path

from bench.compare.process import peak_rss_bytes


class ProcessFigures:
    """Of Linux; `memory_bytes` is the peak of what is resident, less what was at the start."""

    def __init__(self, pid: int | str) -> None:
        self.pid = pid
        with contextlib.suppress(OSError):
            # Lets the peak begin anew. Where that is not allowed, it is of the whole life.
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        self._cpu_seconds = cpu_seconds(pid)
        self._memory_bytes = resident_bytes(pid)

    def since_start(self) -> dict[str, float]:
        return {
            "cpu_seconds": cpu_seconds(self.pid) - self._cpu_seconds,
            "memory_bytes": peak_rss_bytes(self.pid) - self._memory_bytes,
        }


def cpu_seconds(pid: int | str) -> float:
    # The name, in brackets, may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int | str) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
