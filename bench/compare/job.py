# SPDX-License-Identifier: Apache-2.0
"""Job: what a library is to be trained on, and how. Run: one library at work on it.

job = Job(train="train.parquet", test="test.parquet", label="y", task="binary",
          scores="scores.npy", settings=Settings())
job.write(Path("job.json"))
"""

import functools
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bench.compare.process import peak_rss_bytes
from bench.compare.rows import Form, Rows, load
from bench.compare.settings import Settings, Task


@dataclass(frozen=True)
class Job:
    train: str
    test: str
    label: str
    task: Task
    scores: str
    settings: Settings
    class_count: int = 0  # multiclass: labels are 0 to class_count - 1
    exclude: list[str] = field(default_factory=list)
    seed: int = 0
    threads: int = 2
    watch_metric: bool = False  # ROC AUC on the test rows after each tree, as a curve
    parameters: dict[str, Any] | None = None  # in the library's words, instead of `settings`
    model: str = ""  # a file to write the model to
    stages: list[int] = field(default_factory=list)  # trees after which quality is looked at
    measure: str = ""  # and by what, of bench.compare.measures
    form: Form = ""  # of the rows that the library is given

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @staticmethod
    def read(path: Path) -> "Job":
        values = json.loads(path.read_text())
        return Job(**values | {"settings": Settings(**values["settings"])})


class Trained(Protocol):
    """A model that has been trained, of whichever library."""

    def save(self, path: str) -> None: ...

    def prepare(self, rows: Rows) -> Any:
        """Returns the rows as the library wants them for scoring."""

    def predict(self, prepared: Any, trees: int) -> Any:
        """Returns the scores by the first `trees` trees. They never grow from call to call."""


@dataclass
class Run:
    """What an adapter in bench/compare/peers is given, and what it leaves behind."""

    job: Job
    library: Any
    parameters: dict[str, Any]
    train: Rows
    step: Callable[[int, float | None], None]  # after each tree: how many, metric
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    peak_rss_bytes: int = 0
    fit_start: float = 0

    def worded(self, metric: str) -> dict[str, Any]:
        """Returns the parameters with the classes, and the metric to watch by the library's word
        for that, as LightGBM and XGBoost take them."""
        classes = {"num_class": self.job.class_count} if self.job.class_count else {}
        return self.parameters | classes | ({metric: "auc"} if self.job.watch_metric else {})

    @functools.cached_property
    def test(self) -> Rows:
        return load(self.job.test, self.job.label, self.job.exclude, like=self.train)

    def timed(self, name: str, work: Callable[[], Any]) -> Any:
        start, cpu_start = time.perf_counter(), time.process_time()
        if name == "fit":
            self.fit_start = start
        result = work()
        self.seconds[name] = self.seconds.get(name, 0) + time.perf_counter() - start
        self.cpu_seconds[name] = self.cpu_seconds.get(name, 0) + time.process_time() - cpu_start
        if name in ("fit", "save"):
            self.peak_rss_bytes = peak_rss_bytes()
        return result
