# SPDX-License-Identifier: Apache-2.0
"""Progress of a run, and showing it: one line on a terminal, a bar in a notebook."""

import html
import shutil
import sys
import time
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

SHOW_INTERVAL_SECONDS = 0.1
BAR_WIDTH = 24


@dataclass(frozen=True)
class Progress:
    """What a callback is told."""

    phase: str  # "reading", "binning", "replaying", "training", "writing"
    share: float  # of the phase, 0 to 1
    iteration: int  # training: iterations done, of iteration_count at most
    iteration_count: int
    trees_per_iteration: int
    seconds: float  # since the start
    metrics: dict[str, dict[str, float]]  # of the newest iteration, by set and name


class Display(Protocol):
    def show(self, progress: Progress) -> None: ...
    def close(self) -> None: ...


def make_display(wanted: bool | None) -> Display | None:
    """Returns what shows progress; when None is wanted, only where somebody looks."""
    if wanted is False:
        return None
    if in_notebook():
        return NotebookDisplay()
    stream = sys.stderr
    if wanted or (stream is not None and stream.isatty()):
        return TerminalDisplay(stream)
    return None


def in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    if ipython is None:
        return False
    shell = ipython.get_ipython()
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"


class Words:
    """What is said beside the bar. Speed and time to go count from the start of a phase."""

    def __init__(self) -> None:
        self.phase = ""
        self.start_seconds = 0.0
        self.start_iteration = 0

    def of(self, progress: Progress) -> str:
        if progress.phase != self.phase:
            self.phase = progress.phase
            self.start_seconds = progress.seconds
            self.start_iteration = progress.iteration
        if progress.phase != "training":
            return f"{progress.share:.0%}"
        words = f"{progress.iteration}/{progress.iteration_count}"
        seconds = progress.seconds - self.start_seconds
        done = progress.iteration - self.start_iteration
        if done > 0 and seconds > 0:
            words += f"  {done * progress.trees_per_iteration / seconds:.3g} trees/s"
        words += metric_words(progress.metrics)
        if done > 0 and progress.iteration < progress.iteration_count:
            left = seconds / done * (progress.iteration_count - progress.iteration)
            words += f"  {duration_text(left)} to go"
        return words


def metric_words(metrics: dict[str, dict[str, float]]) -> str:
    """The first metric of the first set that is not the training set's, if there is one."""
    for name, values in sorted(metrics.items(), key=lambda item: item[0] == "train"):
        for metric, value in values.items():
            return f"  {name} {metric} {value:.5g}"
    return ""


def duration_text(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


class TerminalDisplay:
    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.words = Words()
        self.is_shown = False
        self.is_live = stream.isatty()
        # The first plain line comes after the first interval: a short run says nothing.
        self.shown_at = 0.0 if self.is_live else time.monotonic()

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        is_last = progress.phase == "training" and progress.iteration == progress.iteration_count
        interval = SHOW_INTERVAL_SECONDS if self.is_live else 5.0
        words = self.words.of(progress)
        if now - self.shown_at < interval and not is_last:
            return
        self.shown_at = now
        if not self.is_live:
            self.stream.write(f"{progress.phase:<10}{words}\n")
            return
        full = round(min(max(progress.share, 0.0), 1.0) * BAR_WIDTH)
        line = f"{progress.phase:<10}{'━' * full}{'─' * (BAR_WIDTH - full)}  {words}"
        width = shutil.get_terminal_size().columns
        self.stream.write("\r\033[K" + line[: width - 1])
        self.stream.flush()
        self.is_shown = True

    def close(self) -> None:
        if self.is_shown:
            self.stream.write("\r\033[K")
            self.stream.flush()
            self.is_shown = False


class NotebookDisplay:
    def __init__(self) -> None:
        self.words = Words()
        self.shown_at = 0.0
        self.last: Progress | None = None
        self.handle: Any = None

    def show(self, progress: Progress) -> None:
        self.last = progress
        words = self.words.of(progress)
        now = time.monotonic()
        if now - self.shown_at < SHOW_INTERVAL_SECONDS:
            return
        self.shown_at = now
        self.draw(progress, words)

    def close(self) -> None:
        if self.last is not None:
            self.draw(self.last, self.words.of(self.last))

    def draw(self, progress: Progress, words: str) -> None:
        from IPython.display import HTML, display

        bar = HTML(
            f"<div>{html.escape(progress.phase)} "
            f"<progress value='{progress.share:.4f}' max='1' style='vertical-align:middle'>"
            f"</progress> <code>{html.escape(words)}</code></div>"
        )
        if self.handle is None:
            self.handle = display(bar, display_id=True)
        else:
            self.handle.update(bar)
