# SPDX-License-Identifier: Apache-2.0
"""train(): one run, from data to a model.

model = evergrove.train(
    {"n_estimators": 500, "early_stopping_rounds": 30},
    "transactions-*.parquet",
    label="fraud",
    valid="valid.parquet",
    log="run",
    resume=True,
)
"""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evergrove import _core
from evergrove.model import Model, load, thread_count
from evergrove.parameters import check_settings, settings_of
from evergrove.progress import Display, Progress, make_display
from evergrove.sources import Rows, open_rows, paths_of, without_columns
from evergrove.workers import train_with_workers

Callback = Callable[[Progress], Any]

logger = logging.getLogger("evergrove")


class Stopped(Exception):  # noqa: N818, no error: it was asked for
    """A callback returned False. The iterations so far are in the log, if the run has one."""

    def __init__(self, message: str, iteration: int) -> None:
        super().__init__(message)
        self.iteration = iteration


def train(
    params: Mapping[str, Any] | None,
    data: Any,
    label: Any,
    *,
    weight: Any = None,
    valid: Any = None,
    valid_fraction: float | None = None,
    categorical: Sequence[str | int] | None = None,
    exclude: Sequence[str] | None = None,
    objective: str | None = None,
    threads: int | None = None,
    log: str | os.PathLike[str] | None = None,
    resume: bool = False,
    continue_from: "Model | str | os.PathLike[str] | None" = None,
    callbacks: Iterable[Callback] | None = None,
    progress: bool | None = None,
    workers: int | None = None,
    memory: int | str | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> Model:
    """Trains a model.

    params: by name, as evergrove.parameters() lists them; the names of scikit-learn, LightGBM and
        XGBoost are taken as well, with a ParameterNote. None is the default.
    data: paths, a frame, an Arrow table or reader, a 2-D array, a sparse matrix (see sources.py).
    label, weight: a column's name, or one value a row.
    valid: sets to evaluate on after each iteration: data with the same columns, or (data, label)
        or (data, label, weight) if those are values; a list of sets, or a dict of them by name.
    categorical: columns of numbers to take as categories, by name or place. Columns of text are
        categories anyway.
    exclude: columns that are not to be learnt from.
    threads: all cores if it is None. It never changes the model.
    log: a folder; with resume, the run goes on from what is in it, if anything.
    continue_from: a finished model to add iterations to; n_estimators counts its own too.
    callbacks: each is called with a Progress after every iteration; one that returns False stops
        the run, which then raises Stopped.
    progress: True shows a bar, False none; None shows it on a terminal and in a notebook.
    workers: so many processes of this machine hold the rows, as a cluster would; the model is the
        same. Then all data are paths, and there are no callbacks and no bar.
    memory: what this process may take for it, as bytes or as "2GiB", data that are in its memory
        already not counted: rows that do not fit pass by from a file in the folder `cache` ($TMPDIR
        or /var/tmp if it is None). Without it, all that the machine or the container has. A run
        that does not fit is refused with what it would need.
    """
    settings = settings_of(params or {})
    if objective is not None:
        settings.append(("objective", objective))
    check_settings(settings, stacklevel=2)
    names = [exclude] if isinstance(exclude, str) else list(exclude or ())
    chosen = [categorical] if isinstance(categorical, (str, int)) else categorical
    if isinstance(continue_from, (str, os.PathLike)):
        continue_from = load(continue_from)
    log_folder = "" if log is None else os.fspath(log)
    if workers is not None:
        if callbacks is not None and list(callbacks):
            raise ValueError("Callbacks are not called in a run with workers; leave them out")
        if memory is not None or cache is not None:
            raise ValueError("memory and cache are for runs without workers; leave them out")
        return train_with_workers(
            workers,
            settings,
            data,
            label,
            weight=weight,
            valid=valid,
            valid_fraction=valid_fraction,
            categorical=chosen,
            exclude=names,
            threads=thread_count(threads),
            log=log_folder,
            resume=resume,
            continue_from=continue_from,
        )
    data, names = without_columns(data, names)
    rows = open_rows(data, label=label, weight=weight, categorical=chosen)
    watcher = Watcher(list(callbacks or ()), make_display(progress))
    try:
        report = _core.train(
            rows.source,
            rows.label,
            settings,
            open_valid(valid, rows, (label, weight), 0 if valid_fraction is None else 1),
            0.0 if valid_fraction is None else float(valid_fraction),
            rows.weight,
            names,
            rows.categorical,
            thread_count(threads),
            log_folder,
            resume,
            "" if memory is None else str(memory),
            "" if cache is None else os.fspath(cache),
            "",
            None if continue_from is None else continue_from._core,
            watcher.step,
            bool(watcher.callbacks),
        )
    except KeyboardInterrupt:
        message = stopped_message(watcher.iteration, log_folder)
        if watcher.asked_to_stop:
            raise Stopped(message, watcher.iteration) from None
        raise KeyboardInterrupt(message) from None
    finally:
        watcher.close()
    for note in report.notes:
        logger.info(note)
        watcher.say(note)
    return Model(report.model)


class Watcher:
    """What the core calls after each step: the callbacks, and the display."""

    def __init__(self, callbacks: list[Callback], display: Display | None) -> None:
        for callback in callbacks:
            if not callable(callback):
                raise TypeError(f"A callback must be callable with a Progress, not {callback!r}")
        self.callbacks = callbacks
        self.display = display
        self.iteration = 0
        self.asked_to_stop = False

    def step(self, values: dict[str, Any]) -> bool:
        # Metrics come with an iteration that was just done; the start of a phase has none.
        is_iteration = values["metrics"] is not None
        step = Progress(**{**values, "metrics": values["metrics"] or {}})
        self.iteration = max(self.iteration, step.iteration)
        if self.display is not None:
            self.display.show(step)
        if is_iteration:
            for callback in self.callbacks:
                self.asked_to_stop |= callback(step) is False
        return not self.asked_to_stop

    def say(self, note: str) -> None:
        if self.display is not None:
            print(f"evergrove: {note}", file=sys.stderr)

    def close(self) -> None:
        if self.display is not None:
            self.display.close()


def stopped_message(iteration: int, log_folder: str) -> str:
    done = f"Stopped after {iteration} iterations; "
    if log_folder:
        if "://" in log_folder:  # what may be secret in a URL is before the @ and behind the ?
            log_folder = re.sub("://.*@", "://", log_folder.split("?")[0])
        return f"{done}they are in the log: call train() again with resume=True to go on " + (
            f"(log: {log_folder})"
        )
    return f"{done}nothing was kept, for the run had no log; give log=FOLDER to be able to go on"


ROLES = ("label", "weight")


@dataclass(frozen=True)
class ValidSet:
    name: str
    data: Any
    label: Any = None
    weight: Any = None


def open_valid(
    valid: Any, rows: Rows, label_and_weight: tuple[Any, Any], first_number: int
) -> list[tuple[str, _core.Source]]:
    """Opens the validation sets. Their label and weight are called as those of the data are."""
    needs = [role for role, value in zip(ROLES, label_and_weight, strict=True) if is_values(value)]
    column_names = [name for name, _, _ in rows.source.columns]
    feature_names = [name for name in column_names if name not in (rows.label, rows.weight)]
    text = [
        name
        for name, kind, _ in rows.source.columns
        if kind != "numeric" and name not in rows.categorical
    ]
    opened = []
    for item in valid_sets(valid, first_number):
        label, weight = item.label, item.weight
        if weight is None and "weight" in needs and is_values(label):
            weight = np.ones(len(label))
        for role, value in zip(ROLES, (label, weight), strict=True):
            if role in needs and value is None:
                raise ValueError(
                    f"The {role} was given as values, so a validation set must be "
                    f"(data, {', '.join(ROLES[: ROLES.index(role) + 1])}) (set: {item.name})"
                )
        source = open_rows(
            item.data,
            label=label,
            weight=weight,
            categorical=rows.categorical,
            text=text,
            names=feature_names,
            only=column_names,
            label_name=rows.label,
            weight_name=rows.weight or None,
        ).source
        opened.append((item.name, source))
    return opened


def is_values(value: Any) -> bool:
    return value is not None and not isinstance(value, str)


def valid_sets(valid: Any, first_number: int) -> list[ValidSet]:
    """Returns the sets of `valid`: one, a list, or a dict by name."""
    if valid is None:
        return []
    if isinstance(valid, Mapping) and all(is_set(item) for item in valid.values()):
        return [valid_set(str(name), item) for name, item in valid.items()]
    many = isinstance(valid, list) and paths_of(valid) is None
    sets = valid if many else [valid]
    # The set that a fraction makes is the first one, and has the plain name.
    return [
        valid_set("valid" if number == 0 else f"valid_{number}", item)
        for number, item in enumerate(sets, first_number)
    ]


def is_set(item: Any) -> bool:
    """Tells a dict of sets from a dict of columns: a set has columns of its own."""
    return (
        isinstance(item, tuple)
        or paths_of(item) is not None
        or hasattr(item, "columns")
        or hasattr(item, "schema")
    )


def valid_set(name: str, item: Any) -> ValidSet:
    if isinstance(item, tuple) and paths_of(item) is None:
        if len(item) not in (2, 3):
            raise ValueError(
                "A validation set is data, (data, label) or (data, label, weight) "
                f"(set: {name}, values: {len(item)})"
            )
        return ValidSet(name, *item)
    return ValidSet(name, item)
