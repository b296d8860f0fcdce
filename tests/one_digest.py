# SPDX-License-Identifier: Apache-2.0
"""One digest: the same rows, parameters and seed, trained in many ways, give one model.

A Case is what decides the model: data, growth, sampling. A Way is what must not: how the rows lie
in files or frames, threads, instructions, which build of the command, how often it was killed.

    trainer = Trainer(folder, builds={"release": command})
    case = Case(data_sets.adult_like(), "leaf", sampled=True)
    assert trainer.digest(case, Way(threads=3, layout=Layout("csv"))) == trainer.digest(case, Way())
"""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

from tests.data_sets import DataSet

GROWTHS = ("leaf", "depth", "symmetric")
KILLS_MAX = 60  # a run that is killed so often is let be, so that every run ends


@dataclass(frozen=True)
class Case:
    data: DataSet
    growth: str
    sampled: bool
    trees: int = 20
    seed: int = 7

    @property
    def name(self) -> str:
        return f"{self.data.name}, {self.growth}, {'sampled' if self.sampled else 'whole'}"

    @property
    def parameters(self) -> dict[str, Any]:
        values: dict[str, Any] = {
            "n_estimators": self.trees,
            "growth": self.growth,
            "max_leaves": 31,
            "max_depth": 5 if self.growth == "symmetric" else 0,
            "seed": self.seed,
        }
        if self.sampled:
            share = {"subsample": 0.7, "colsample_bytree": 0.8}
            values |= share | {"colsample_bylevel": 0.9, "colsample_bynode": 0.9}
        return values


@dataclass(frozen=True)
class Layout:
    """How the rows lie: a file format of the command's, or a kind of frame in Python."""

    kind: str = "parquet"  # parquet, csv, ipc; pandas, polars, arrow
    files: int = 1
    group_rows: int = 1_000_000

    @property
    def is_frame(self) -> bool:
        return self.kind in ("pandas", "polars", "arrow")

    def __str__(self) -> str:
        if self.is_frame or self.kind == "csv":
            return self.kind + (f" in {self.files} files" if self.files > 1 else "")
        return f"{self.kind}, {self.files} files, groups of {self.group_rows}"


@dataclass(frozen=True)
class Way:
    threads: int = 2
    layout: Layout = field(default_factory=Layout)
    simd: str = ""  # the best that the CPU has
    build: str = "release"
    kill_seed: int | None = None  # kills at random instants drawn from it, and resumes

    def __str__(self) -> str:
        parts = [f"{self.threads} threads", str(self.layout), self.simd, self.build]
        if self.kill_seed is not None:
            parts.append(f"killed at random (seed {self.kill_seed})")
        return ", ".join(part for part in parts if part)


class Trainer:
    """Trains a case in a way. Files it writes are kept in its folder and used again."""

    def __init__(self, folder: Path, builds: dict[str, Path]) -> None:
        self.folder = folder
        self.builds = builds
        self.kill_count = 0
        self.undisturbed_seconds: dict[tuple[str, int], float] = {}

    def digest(self, case: Case, way: Way) -> str:
        if way.layout.is_frame:
            return self._digest_in_python(case, way)
        if way.kill_seed is not None:
            return self._digest_when_killed(case, way, random.Random(way.kill_seed))
        begin = time.monotonic()
        digest = self._finish(self._command(case, way), way)
        self.undisturbed_seconds[case.name, way.threads] = time.monotonic() - begin
        return digest

    def _finish(self, command: list[str], way: Way) -> str:
        run = subprocess.run(
            command, env=environment(way), capture_output=True, text=True, timeout=3600, check=False
        )
        assert run.returncode == 0, (
            f"{' '.join(command)}\nended with {run.returncode}\n{run.stderr}"
        )
        return str(json.loads(run.stdout)["digest"])

    def _digest_when_killed(self, case: Case, way: Way, dice: random.Random) -> str:
        """Repeats the same command, and kills it at a random instant, until one gets through."""
        log = self.folder / "killed-log"
        shutil.rmtree(log, ignore_errors=True)
        command = [*self._command(case, way), "--log", str(log), "--resume"]
        whole = self.undisturbed_seconds.get((case.name, way.threads), 1.0)
        for _ in range(KILLS_MAX):
            with subprocess.Popen(
                command, env=environment(way), stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as process:
                try:
                    output, errors = process.communicate(timeout=dice.uniform(0.0, 0.8 * whole))
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    output, errors = process.communicate()
            if process.returncode != -signal.SIGKILL:
                assert process.returncode == 0, errors.decode()
                return str(json.loads(output)["digest"])
            self.kill_count += 1
        return self._finish(command, way)

    def _digest_in_python(self, case: Case, way: Way) -> str:
        import evergrove

        frame = case.data.frame
        rows: Any = frame
        if way.layout.kind == "polars":
            import polars as pl

            rows = pl.from_pandas(frame)
        elif way.layout.kind == "arrow":
            rows = pa.Table.from_pandas(frame, preserve_index=False)
        model = evergrove.train(
            case.parameters,
            rows,
            case.data.label,
            objective=case.data.task,
            exclude=case.data.exclude,
            threads=way.threads,
            progress=False,
        )
        return str(model.digest)

    def _command(self, case: Case, way: Way) -> list[str]:
        command = [str(self.builds[way.build]), "train", "--data"]
        command += [str(path) for path in self.files_of(case.data, way.layout)]
        command += ["--label", case.data.label, "--objective", case.data.task]
        if case.data.exclude:
            command += ["--exclude", ",".join(case.data.exclude)]
        for name, value in case.parameters.items():
            command += ["--set", f"{name}={value}"]
        command += ["--threads", str(way.threads), "--json", "--quiet"]
        return [*command, "--model", str(self.folder / "model.evergrove")]

    def files_of(self, data: DataSet, layout: Layout) -> list[Path]:
        name = f"{data.name}-{len(data.frame)}-{layout.kind}-{layout.files}-{layout.group_rows}"
        folder = self.folder / name
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            write_rows(data.frame, layout, part)
            part.rename(folder)
        return sorted(folder.iterdir())


def write_rows(frame: pd.DataFrame, layout: Layout, folder: Path) -> None:
    for index in range(layout.files):
        begin, end = (len(frame) * (index + more) // layout.files for more in (0, 1))
        rows = frame.iloc[begin:end]
        path = folder / f"part-{index:03d}.{layout.kind}"
        if layout.kind == "csv":
            rows.to_csv(path, index=False)
            continue
        table = pa.Table.from_pandas(rows, preserve_index=False)
        if layout.kind == "parquet":
            pq.write_table(table, path, row_group_size=layout.group_rows)
        else:
            pyarrow.feather.write_feather(
                table, str(path), chunksize=layout.group_rows, compression="uncompressed"
            )


def environment(way: Way) -> dict[str, str]:
    variables = dict(os.environ)
    variables.pop("EVERGROVE_SIMD", None)
    if way.simd:
        variables["EVERGROVE_SIMD"] = way.simd
    return variables


def simd_names() -> list[str]:
    """What EVERGROVE_SIMD may ask for on this machine."""
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    flags = set(cpu.split())
    names = ["scalar"]
    if "avx2" in flags:
        names.append("avx2")
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"} <= flags:
        names.append("avx512")
    if "asimd" in flags:
        names.append("neon")
    return names
