# SPDX-License-Identifier: Apache-2.0
"""Each I/O operation of a run fails in turn: with an error, for a full disk, cut short, or with the
end of the process. Whatever fails, no wrong model and no half of a file is there, and repeating the
command ends with the model of an undisturbed run.

fault_shim.c has the kinds of faults. A failure names its kind and number; to see it again:
    pytest tests/process/test_fault_sweep.py -k 'io-17'
EVERGROVE_CAMPAIGN=1 tries every operation, also of long sweeps, and more formats.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.process.command import BAD_INPUT, DONE, STORAGE, Answer, evergrove
from tests.process.rows import LABEL, small_rows, write

CAMPAIGN = os.environ.get("EVERGROVE_CAMPAIGN") == "1"
QUICK_COUNT = 30  # operations of each kind and command that the quick suite tries at most
KILLED = -9

KINDS = ["io", "full", "short", "kill", "tear"]
ALL_OPERATIONS = ("io", "kill")  # the other kinds concern some operations only


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("there is no C compiler to build the failing disk with")
    library = tmp_path_factory.mktemp("shim") / "fault_shim.so"
    source = Path(__file__).with_name("fault_shim.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"],
        check=True,
    )
    return library


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where that can be, for syncing to a disk is what takes the time."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as name:
        yield Path(name)


@dataclass
class Scene:
    """A command over a folder, the files that it makes, and how they look when all went well."""

    folder: Path
    shim: Path
    arguments: list[str]
    made: str  # the file that is the result
    result: bytes = b""
    operation_count: int = 0
    inputs: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.inputs = self.names()
        answer = self.run("count", 0)
        assert answer.code == DONE, answer
        assert self.last_fault.endswith("operations"), "the shim was not loaded"
        self.operation_count = int(self.last_fault.split()[0])
        self.result = self.read(self.made)
        self.reset()

    def names(self) -> set[str]:
        return {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*")}

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes() if name else b""

    def reset(self) -> None:
        for name in sorted(self.names() - self.inputs, reverse=True):
            path = self.folder / name
            path.rmdir() if path.is_dir() else path.unlink()

    def run(self, kind: str, at: int) -> Answer:
        report = self.shim.with_name("report")
        report.unlink(missing_ok=True)
        answer = evergrove(
            *self.arguments,
            env={
                "LD_PRELOAD": str(self.shim),
                "EVERGROVE_TEST_FAULT_FOLDER": str(self.folder),
                "EVERGROVE_TEST_FAULT_KIND": kind,
                "EVERGROVE_TEST_FAULT_AT": str(at),
                "EVERGROVE_TEST_FAULT_REPORT": str(report),
            },
            timeout=30,
        )
        self.last_fault = report.read_text().strip() if report.exists() else ""
        return answer

    def places(self, kind: str) -> Iterator[int]:
        """Which operations are to fail; more than there are, for batches of records differ from
        run to run, and which concern the kind is not known beforehand."""
        step = 1
        if not CAMPAIGN and kind in ALL_OPERATIONS:
            step = max(1, -(-self.operation_count // QUICK_COUNT))
        yield from range(1, self.operation_count + 20, step)


def check_fault(scene: Scene, kind: str, at: int) -> bool:
    """Makes one operation fail and looks at everything; false when there was no such operation."""
    answer = scene.run(kind, at)
    fault = scene.last_fault
    context = f"{kind}-{at} ({fault}): {answer}"
    if not fault:
        assert answer.code == DONE, context
        return False
    if kind in ("kill", "tear"):
        assert answer.code == KILLED, context
    else:
        # What does not matter may fail unnoticed; that the data were bad may not be said.
        assert answer.code in (DONE, STORAGE), context
        assert answer.code == DONE or answer.error, context
        unlinks = " unlink " in f" {fault} " or " rmdir " in f" {fault} "
        assert unlinks or not any("unfinished" in name for name in scene.names()), context
    made = scene.folder / scene.made
    if scene.made and made.exists():
        assert made.read_bytes() == scene.result, context
    if scene.made and answer.code == DONE:
        assert made.exists(), context
    again = evergrove(*scene.arguments)
    assert again.code == DONE, (context, again)
    assert scene.read(scene.made) == scene.result, context
    assert not any("unfinished" in name for name in scene.names()), context
    return True


def sweep(scene: Scene, kind: str, prepare: Callable[[], None] = lambda: None) -> int:
    """Tries one operation after the other until they are surely behind the last; returns how many
    there were."""
    count = 0
    misses = 0
    for at in scene.places(kind):
        prepare()
        if check_fault(scene, kind, at):
            count += 1
            misses = 0
        else:
            misses += 1
            if misses == 3:
                break
        scene.reset()
    return count


FORMATS = ["parquet", "csv", "arrow"] if CAMPAIGN else ["parquet"]


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_training(folder: Path, shim: Path, kind: str, ending: str) -> None:
    rows = write(small_rows(), folder / f"rows.{ending}")
    arguments = [
        *("train", "--quiet", "--data", str(rows), "--label", LABEL),
        *("--log", str(folder / "log"), "--resume", "--model", str(folder / "model")),
        *("--set", "n_estimators=6", "min_rows=5"),
    ]
    scene = Scene(folder, shim, arguments, made="model")
    assert scene.operation_count > 30
    assert sweep(scene, kind) >= {"short": 2, "tear": 2, "full": 8}.get(kind, 15)


@pytest.mark.parametrize("kind", KINDS)
def test_resuming(folder: Path, shim: Path, kind: str) -> None:
    """The same over a log that ends in a torn record."""
    rows = write(small_rows(), folder / "rows.parquet")
    arguments = [
        *("train", "--quiet", "--data", str(rows), "--label", LABEL),
        *("--log", str(folder / "log"), "--resume", "--model", str(folder / "model")),
        *("--set", "n_estimators=6", "min_rows=5"),
    ]
    assert evergrove(*arguments).code == DONE
    log = folder / "log" / "run.log"
    torn = log.read_bytes()[:-9]
    log.write_bytes(torn)
    (folder / "model").unlink()
    scene = Scene(folder, shim, arguments, made="model")

    def tear_log() -> None:
        log.write_bytes(torn)

    count = sweep(scene, kind, tear_log)
    assert count >= {"short": 1, "tear": 1, "full": 4}.get(kind, 12)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    rows = write(small_rows(), folder / "rows.parquet")
    answer = evergrove("train", "--data", rows, "--label", LABEL, "--model", folder / "model")
    assert answer.code == DONE, answer
    return folder / "model"


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_predicting(folder: Path, shim: Path, model: Path, kind: str, ending: str) -> None:
    shutil.copy(model, folder / "old")
    rows = write(small_rows(), folder / f"rows.{ending}")
    arguments = [
        *("predict", "--quiet", "--model", str(folder / "old"), "--data", str(rows)),
        *("--out", str(folder / "scores.parquet"), "--keep", "a,city"),
    ]
    scene = Scene(folder, shim, arguments, made="scores.parquet")
    assert sweep(scene, kind) >= 5


@pytest.mark.parametrize("ending", ["parquet", "csv", "arrow"])
def test_evaluating(folder: Path, shim: Path, model: Path, ending: str) -> None:
    shutil.copy(model, folder / "old")
    rows = write(small_rows(), folder / f"rows.{ending}")
    arguments = ["evaluate", "--model", str(folder / "old"), "--data", str(rows)]
    scene = Scene(folder, shim, arguments, made="")
    assert sweep(scene, "io") >= 8
    assert scene.names() == scene.inputs


def test_the_shim_fails_what_it_is_asked_to(folder: Path, shim: Path, model: Path) -> None:
    """The sweep would be empty if faults did not arrive."""
    shutil.copy(model, folder / "old")
    scene = Scene(folder, shim, ["digest", str(folder / "old")], made="")
    answer = scene.run("io", 1)
    assert answer.code == STORAGE
    assert "Input/output error" in answer.error
    assert str(folder / "old") in scene.last_fault
    assert scene.run("kill", 2).code == KILLED
    assert scene.run("io", 1000).code == DONE
    assert answer.code != BAD_INPUT
