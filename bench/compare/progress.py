# SPDX-License-Identifier: Apache-2.0
"""A line of progress on standard error: redrawn on a terminal, a line each fifth elsewhere."""

import sys
import time


class Progress:
    def __init__(self, title: str, total: int) -> None:
        self.title, self.total = title, total
        self.start = self.last = time.perf_counter()
        self.terminal = sys.stderr.isatty()
        self.fifth = 0

    def show(self, count: int, metric: float | None) -> None:
        now = time.perf_counter()
        if self.terminal:
            if now - self.last < 0.1 and count < self.total:
                return
        else:
            fifth = 5 * count // self.total
            if fifth == self.fifth:
                return
            self.fifth = fifth
        self.last = now
        rate = count / max(now - self.start, 1e-9)
        filled = 24 * count // self.total
        line = (
            f"  {self.title:<12} {'#' * filled}{'.' * (24 - filled)} {count}/{self.total} trees"
            f"  {rate:.0f}/s  ETA {(self.total - count) / rate:.0f} s"
        )
        if metric is not None:
            line += f"  auc {metric:.4f}"
        print(f"\r\033[K{line}" if self.terminal else line, end="", file=sys.stderr)
        if not self.terminal:
            print(file=sys.stderr)
        sys.stderr.flush()

    def close(self) -> None:
        if self.terminal:
            print(file=sys.stderr)
