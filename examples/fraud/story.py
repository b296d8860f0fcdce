# SPDX-License-Identifier: Apache-2.0
"""What the demo found out, as plain values: for the table, results.json and report.html."""

from dataclasses import dataclass, field
from typing import Any

QUALITIES = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "card_precision": "card precision at 100",
}


@dataclass
class Library:
    """One library at the settings of all. Where `error` says why it did not run, the rest is
    empty. `seconds` as in bench.compare.outcome."""

    title: str
    version: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    peak_rss_bytes: int = 0
    quality: dict[str, float] = field(default_factory=dict)
    curve: list[float] = field(default_factory=list)  # ROC AUC on the test days after each tree
    error: str = ""

    def cells(self) -> list[str]:
        if self.error:
            return [self.title, self.error]
        return [
            f"{self.title} {self.version}",
            f"{self.seconds['whole']:.2f} s",
            f"{self.seconds['fit']:.2f} s",
            f"{self.peak_rss_bytes / 2**20:.0f} MiB",
            *(f"{self.quality[name]:.4f}" for name in QUALITIES),
        ]


@dataclass
class Story:
    data: dict[str, str]  # what was learnt from, a line each
    settings: dict[str, Any]
    machine: dict[str, str]
    tree_count: int
    command: str = ""  # the one that was killed and repeated
    undisturbed_seconds: float = 0
    undisturbed_digest: str = ""
    killed_seconds: float = 0  # from its start to SIGKILL
    killed_trees: int = 0  # whole ones that its log kept
    resumed_seconds: float = 0
    resumed_from: int = 0  # trees that it took from the log
    resumed_digest: str = ""
    libraries: list[Library] = field(default_factory=list)  # ours first
    seconds: float = 0  # all of the demo

    @property
    def same_model(self) -> bool:
        return bool(self.undisturbed_digest) and self.undisturbed_digest == self.resumed_digest

    @staticmethod
    def header() -> list[str]:
        return ["", "from Parquet", "training", "peak memory", *QUALITIES.values()]
