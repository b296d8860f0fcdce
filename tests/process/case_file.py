# SPDX-License-Identifier: Apache-2.0
"""A scenario of tests/cases, as docs/reference/cases.md has it; a wrong file is refused.

case = read_case(path)
case.events[0].do            # "kill_worker"
write_data(case, folder)     # as many Parquet files as it has shards
"""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "cases"
LABEL = "y"
WEIGHT = "w"
SHARD_ROWS_MIN = 4096  # a coordinator makes no shard of fewer rows


class WrongCaseError(Exception):
    """What is wrong in a file, and where."""


@dataclass(frozen=True)
class Data:
    rows: int = 3000
    shards: int = 12
    objective: str = "binary"
    weighted: bool = False
    valid_fraction: float = 0.2


@dataclass(frozen=True)
class Worker:
    threads: int = 1
    memory: float | None = None  # share of what all rows take


@dataclass(frozen=True)
class Event:
    do: str
    at_iteration: int = 0
    after_seconds: float = 0.0
    for_seconds: float = 0.0
    worker: int = 0
    way: str = "both"
    threads: int = 1
    memory: float | None = None
    only: str = ""


@dataclass(frozen=True)
class Expectation:
    joined: int | None = None
    lost: int | None = None
    left: int | None = None
    overtaken: int | None = None
    seconds_max: float = 0.0  # of the simulation
    stops_early: bool = False


@dataclass(frozen=True)
class Case:
    data: Data
    parameters: dict[str, Any]
    workers: list[Worker]
    events: list[Event]  # those that real processes can have
    expect: Expectation


def read_case(path: Path) -> Case:
    def read(kind: type[Any], table: dict[str, Any], where: str) -> Any:
        known = [field.name for field in fields(kind)]
        if unknown := [key for key in table if key not in known]:
            raise WrongCaseError(
                f"{path.name}: {where}: there is no key {unknown[0]}; there are {', '.join(known)}"
            )
        try:
            return kind(**table)
        except TypeError as wrong:
            raise WrongCaseError(f"{path.name}: {where}: {wrong}") from None

    table = tomllib.loads(path.read_text())
    events = [
        read(Event, event, f"event {place}")
        for place, event in enumerate(table.get("event", []), 1)
    ]
    return Case(
        read(Data, table.get("data", {}), "data"),
        table.get("parameters", {}),
        [read(Worker, worker, "worker") for worker in table.get("worker", [])],
        [event for event in events if event.only != "simulation"],
        read(Expectation, table.get("expect", {}), "expect"),
    )


def rows_of_shard(data: Data) -> int:
    return max(-(-data.rows // data.shards), SHARD_ROWS_MIN)


def memory_bytes(case: Case) -> int:
    """What all rows take, as docs/cluster.md has it, of four features."""
    outputs = 3 if case.data.objective == "multiclass" else 1
    row = 2 * (4 + 8) + (8 if case.data.objective == "regression" else 2) + 24 * outputs + 17
    row += (4 if case.data.weighted else 0) + (16 if outputs > 1 else 0)
    return row * case.data.shards * rows_of_shard(case.data)


def write_data(case: Case, folder: Path) -> Path:
    """Parquet files, each of which becomes a shard; returns the folder."""
    folder.mkdir()
    random = np.random.default_rng(5)
    count = rows_of_shard(case.data)
    for shard in range(case.data.shards):
        a, b = np.rint(random.random((2, count)) * 1000) / 1000
        c = random.integers(0, 5, count).astype(float)
        colour = random.integers(0, 5, count)
        signal = 4 * a * (1 - a) + (colour == 2) + 0.2 * c + random.random(count)
        label = {
            "regression": 10 * signal,
            "binary": (signal > 1.7).astype(np.int64),
            "multiclass": (signal > 1.3).astype(np.int64) + (signal > 2.1),
        }[case.data.objective]
        columns = {
            "a": a,
            "b": pa.array(b, mask=random.random(count) < 0.1),
            "c": c,
            "colour": np.array(["r", "g", "b", "k", "w"])[colour].tolist(),
            LABEL: label,
        }
        if case.data.weighted:
            columns[WEIGHT] = 0.25 + random.integers(0, 4, count) / 4
        pq.write_table(pa.table(columns), folder / f"part-{shard:03}.parquet")
    return folder
