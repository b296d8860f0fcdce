# SPDX-License-Identifier: Apache-2.0
"""A limit of memory that the kernel holds, as words before a command.

way = limit_way()
subprocess.run([*way.words(2 << 30), "evergrove", "train", ...])

Where systemd is at work it is a scope of its own: a control group with MemoryMax and no swap, which
counts all that is resident, files that were read included. Elsewhere it is RLIMIT_DATA by prlimit:
all private memory that a process may write to, whether it has touched it or not. That is stricter
with what was only reserved, and does not count files that are mapped or cached.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class LimitWay:
    kind: Literal["scope", "rlimit"]

    def words(self, limit_bytes: int) -> list[str]:
        if self.kind == "rlimit":
            return ["prlimit", f"--data={limit_bytes}:{limit_bytes}", "--"]
        properties = [f"MemoryMax={limit_bytes}", "MemorySwapMax=0"]
        words = ["systemd-run", "--scope", "--quiet", "--collect"]
        return words + [word for item in properties for word in ("--property", item)] + ["--"]

    @property
    def sentence(self) -> str:
        if self.kind == "scope":
            return "The limit is MemoryMax of a systemd scope, without swap."
        return (
            "The limit is RLIMIT_DATA (no systemd here that would make a control group): all "
            "private memory that the process may write to, touched or not."
        )


def limit_way() -> LimitWay:
    """Returns how this machine can be asked to hold a limit."""
    systemd_runs = Path("/run/systemd/system").is_dir() and shutil.which("systemd-run")
    return LimitWay("scope" if systemd_runs else "rlimit")
