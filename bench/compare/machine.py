# SPDX-License-Identifier: Apache-2.0
"""Where figures were taken: date, processor, cores, system, versions."""

import datetime
import os
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = ("lightgbm", "xgboost", "catboost", "ydf", "scikit-learn", "numpy", "pyarrow")


def describe() -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    answer = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "processor": processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    }
    for package in PACKAGES:
        try:
            answer[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            answer[package] = "not installed"
    return answer


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def sentence(machine: dict[str, str], evergrove: str) -> str:
    versions = ", ".join(f"{package} {machine[package]}" for package in PACKAGES)
    return f"{place(machine)}; Evergrove {evergrove}, {versions}."


def place(machine: dict[str, str]) -> str:
    return (
        f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory']}, {machine['system']}"
    )
