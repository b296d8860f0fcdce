# SPDX-License-Identifier: Apache-2.0
"""Places that cannot be written to, and disks that are full: told before the training where it can
be known, in one sentence; a full disk leaves a log that can be gone on from."""

import json
import os
import resource
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.process.command import DONE, STORAGE, Answer, environment, evergrove, executable
from tests.process.refusal import WAY_OUT, contents, refuses, refuses_to_train
from tests.process.rows import LABEL, replaced, small_rows, write

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
NOBODY = 65534


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(small_rows(2000), tmp_path_factory.mktemp("data") / "rows.parquet")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    model = tmp_path_factory.mktemp("model") / "model"
    answer = evergrove("train", "--data", data, "--label", LABEL, "--model", model)
    assert answer.code == DONE, answer
    return model


def training(data: Path, model: Path, *more: object) -> list[object]:
    return ["train", "--quiet", "--data", data, "--label", LABEL, "--model", model, *more]


def predicting(data: Path, model: Path, out: Path) -> list[object]:
    return ["predict", "--data", data, "--model", model, "--out", out]


# --- Not writable ------------------------------------------------------------------------------

# Where something is to be written, below a folder that has only a file called "file".
PLACES = {
    "a folder that is not there": ("gone/out", ["gone/out", "folder does not exist"]),
    "a folder that is a file": ("file/out", ["file/out", "another path"]),
    "where a folder is": (".", ["folder", "another path"]),
    "a name too long": ("x" * 300, ["x" * 300, "another path"]),
}


@pytest.mark.parametrize("what", PLACES)
def test_a_place_for_the_model(tmp_path: Path, data: Path, what: str) -> None:
    (tmp_path / "file").write_text("mine")
    place, words = PLACES[what]
    refuses(tmp_path, *training(data, tmp_path / place), says=words)


@pytest.mark.parametrize("what", PLACES)
def test_a_place_for_scores(tmp_path: Path, data: Path, model: Path, what: str) -> None:
    (tmp_path / "file").write_text("mine")
    place, words = PLACES[what]
    refuses(tmp_path, *predicting(data, model, tmp_path / place), says=words)


@pytest.mark.parametrize(
    ("place", "word"),
    [("file", "file"), ("file/log", "file"), ("/proc/log", "/proc/log"), ("x" * 300, "x" * 300)],
)
def test_a_place_for_the_log(tmp_path: Path, data: Path, place: str, word: str) -> None:
    (tmp_path / "file").write_text("mine")
    log = tmp_path / place
    says = [str(tmp_path / word), "log"]
    refuses(tmp_path, *training(data, tmp_path / "model", "--log", log), says=says)


def test_a_file_system_that_takes_no_files(tmp_path: Path, data: Path, model: Path) -> None:
    refuses(tmp_path, *training(data, Path("/proc/model")), says=["/proc/model"])
    refuses(tmp_path, *predicting(data, model, Path("/proc/scores")), says=["/proc/scores"])


def test_nothing_is_kept_of_a_log_when_the_data_is_refused(tmp_path: Path) -> None:
    rows = replaced(small_rows(), fraud=[1] * 200)
    data = write(rows, tmp_path / "rows.parquet")
    refuses_to_train(tmp_path, data, "--log", tmp_path / "log", says=["constant"])
    refuses_to_train(tmp_path, data, "--log", tmp_path / "deep/er/log", says=["constant"])
    (tmp_path / "mine").mkdir()
    refuses_to_train(tmp_path, data, "--log", tmp_path / "mine", says=["constant"])


def test_an_old_model_stays_when_a_new_one_is_refused(tmp_path: Path, data: Path) -> None:
    (tmp_path / "model").write_text("the old one")
    refuses(tmp_path, *training(data, tmp_path / "model", "--set", "seed=x"), says=["seed"])
    refuses(tmp_path, *training(data, tmp_path / "model", "--weight", "city"), says=["city"])


def test_scores_in_place_of_their_data(tmp_path: Path, model: Path) -> None:
    data = write(small_rows(), tmp_path / "rows.parquet")
    refuses(tmp_path, *predicting(data, model, data), says=["rows.parquet", "another path"])
    (tmp_path / "link.parquet").symlink_to(data)
    refuses(tmp_path, *predicting(data, model, tmp_path / "link.parquet"), says=["link.parquet"])


def test_a_model_in_place_of_its_data(tmp_path: Path) -> None:
    data = write(small_rows(), tmp_path / "rows.parquet")
    valid = write(small_rows(seed=1), tmp_path / "valid.parquet")
    says = ["would replace the data", "another path"]
    refuses(tmp_path, *training(data, data), says=says)
    refuses(tmp_path, *training(data, valid, "--valid", valid), says=says)


def test_a_model_or_log_among_its_data(tmp_path: Path) -> None:
    """Repeating the command would read them."""
    write(small_rows(), tmp_path / "data" / "deep" / "rows.parquet")
    data = tmp_path / "data"
    says = ["among the data", "another place"]
    refuses(tmp_path, *training(data, data / "model"), says=[*says, str(data / "model")])
    refuses(tmp_path, *training(data, data / "deep" / "model"), says=says)
    refuses(tmp_path, *training(data, tmp_path / "model", "--log", data / "new/log"), says=says)
    refuses(tmp_path, *training(data, tmp_path / "model", "--log", data), says=says)
    here = training(Path(), Path("model"))
    refuses(tmp_path, *here, says=says, cwd=data)
    beside = training(data, tmp_path / "data-model", "--log", tmp_path / "data-log")
    assert evergrove(*beside).code == DONE


def test_a_pipe_where_the_file_should_be(tmp_path: Path, data: Path, model: Path) -> None:
    """As root, renaming a file to /dev/null would do away with the device."""
    os.mkfifo(tmp_path / "pipe")
    says = ["pipe", "another path"]
    refuses(tmp_path, *training(data, tmp_path / "pipe"), says=says, timeout=10)
    refuses(tmp_path, *predicting(data, model, tmp_path / "pipe"), says=says, timeout=10)


def test_an_empty_path_for_scores(tmp_path: Path, data: Path, model: Path) -> None:
    given = ["predict", "--data", data, "--model", model, "--out", ""]
    refuses(tmp_path, *given, says=["empty"], cwd=tmp_path)


def test_a_kept_column_called_score(tmp_path: Path, model: Path) -> None:
    data = write(replaced(small_rows(), score=[1] * 200), tmp_path / "rows.parquet")
    out = tmp_path / "scores.parquet"
    refuses(tmp_path, *predicting(data, model, out), "--keep", "score", says=["score", "rename"])


def test_scores_to_an_object_store(tmp_path: Path, data: Path, model: Path) -> None:
    out = Path("s3://bucket/scores.parquet")
    refuses(
        tmp_path,
        "predict",
        "--data",
        data,
        "--model",
        model,
        "--out",
        "s3://bucket/s.parquet",
        says=["local", str(out)[:3]],
    )


@pytest.fixture
def forbidden() -> Iterator[tuple[Path, dict[str, int]]]:
    """A folder that the command may read and not write, and how the command is to be run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(small_rows(), folder / "rows.parquet")
        folder.chmod(0o555)
        yield folder, {"user": NOBODY} if os.geteuid() == 0 else {}
        folder.chmod(0o755)


def test_a_folder_that_is_not_writable(forbidden: tuple[Path, dict[str, int]]) -> None:
    folder, given = forbidden
    user: dict[str, Any] = {**given}
    data = folder / "rows.parquet"
    says = ["not allowed", "another path"]
    refuses(folder, *training(data, folder / "model"), says=[str(folder / "model"), *says], **user)
    log = ["--log", folder / "log"]
    refuses(folder, *training(data, folder / "model", *log), says=says, **user)


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, folder], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@needs_root
def test_a_disk_that_is_read_only(tmp_path: Path, data: Path, model: Path) -> None:
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "ro,size=100k", "none") as disk:
        says = ["not allowed", "another path"]
        refuses(tmp_path, *training(data, disk / "model"), says=says)
        refuses(tmp_path, *training(data, tmp_path / "m", "--log", disk / "log"), says=says)
        refuses(tmp_path, *predicting(data, model, disk / "scores.parquet"), says=says)


# --- Full --------------------------------------------------------------------------------------


def fails_for_the_disk(answer: Answer, *says: str) -> None:
    assert answer.code == STORAGE, answer
    assert answer.out == ""
    for word in says:
        assert word in answer.error
    assert WAY_OUT.search(answer.error), answer.error


MANY_TREES = ["--set", "n_estimators=200", "min_rows=2"]


@needs_root
@pytest.mark.parametrize("kilobytes", [4, 40, 100])
def test_a_full_disk_leaves_a_log_to_go_on_from(tmp_path: Path, data: Path, kilobytes: int) -> None:
    undisturbed = tmp_path / "undisturbed"
    assert evergrove(*training(data, undisturbed), *MANY_TREES).code == DONE
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none") as disk:
        command = training(data, tmp_path / "model", "--log", disk / "log", "--resume")
        for _ in range(2):  # the second time it is full from the start
            fails_for_the_disk(evergrove(*command, *MANY_TREES), "disk is full", str(disk))
            assert not (tmp_path / "model").exists()
        subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
        answer = evergrove(*command, *MANY_TREES, "--json")
        assert answer.code == DONE, answer
        assert (answer.json["resumed_iterations"] > 0) == (kilobytes > 4)
    assert evergrove("diff", undisturbed, tmp_path / "model").code == DONE


@needs_root
def test_a_disk_too_small_for_the_model(tmp_path: Path, data: Path) -> None:
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=40k", "none") as disk:
        log = tmp_path / "log"
        command = training(data, disk / "model", "--log", log, "--resume", *MANY_TREES)
        fails_for_the_disk(evergrove(*command), "disk is full", str(disk / "model"))
        assert list(disk.iterdir()) == []
        subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
        answer = evergrove(*command, "--json")
        assert answer.code == DONE, answer
        assert answer.json["resumed_iterations"] == 200, "no tree is grown twice"


@needs_root
def test_a_disk_too_small_for_the_scores(tmp_path: Path, data: Path, model: Path) -> None:
    many = write(small_rows(50_000), tmp_path / "many.parquet")
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=100k", "none") as disk:
        out = disk / "scores.parquet"
        fails_for_the_disk(evergrove(*predicting(many, model, out)), "disk is full", str(out))
        assert list(disk.iterdir()) == []


def limit_files(size_bytes: int) -> Callable[[], None]:
    """Writing beyond the size then fails with EFBIG, which is no ENOSPC, but as final."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes))

    return limit


@pytest.mark.parametrize("size_bytes", [0, 10, 2000, 50_000])
def test_a_limit_on_file_sizes_leaves_a_log_to_go_on_from(
    tmp_path: Path, data: Path, size_bytes: int
) -> None:
    undisturbed = tmp_path / "undisturbed"
    assert evergrove(*training(data, undisturbed), *MANY_TREES).code == DONE
    before = set(contents(tmp_path))
    command = training(data, tmp_path / "model", "--log", tmp_path / "log", "--resume")
    limit = limit_files(size_bytes)
    answer = evergrove(*command, *MANY_TREES, preexec_fn=limit)
    fails_for_the_disk(answer, str(tmp_path / "log"), "File too large")
    left = set(contents(tmp_path)) - before
    assert left == ({"log", "log/run.log"} if size_bytes > 2000 else set()), (
        "the header did not fit"
    )
    answer = evergrove(*command, *MANY_TREES)
    assert answer.code == DONE, answer
    assert evergrove("diff", undisturbed, tmp_path / "model").code == DONE


@pytest.mark.parametrize("command", ["train", "evaluate", "digest", "inspect", "parameters"])
def test_a_result_that_cannot_be_printed_is_not_done(
    tmp_path: Path, data: Path, model: Path, command: str
) -> None:
    arguments: dict[str, list[object]] = {
        "train": training(data, tmp_path / "model", "--json"),
        "evaluate": ["evaluate", "--model", model, "--data", data, "--json"],
        "digest": ["digest", model],
        "inspect": ["inspect", model],
        "parameters": ["parameters", "--json"],
    }
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [executable(), *map(str, arguments[command])],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == STORAGE, done
    assert "standard output" in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_no_harm(tmp_path: Path, data: Path, closed: str) -> None:
    """A file that is opened next would take the number of a closed stream, and what is printed."""
    for file in ("undisturbed", "model"):
        log: list[object] = [] if file == "undisturbed" else ["--log", tmp_path / "log"]
        words = [executable(), *training(data, tmp_path / file, "--json", *log, *MANY_TREES)]
        words.remove("--quiet")
        command = shlex.join(map(str, words)) + (f" {closed}" if log else "")
        done = subprocess.run(
            ["bash", "-c", command], env=environment(), capture_output=True, timeout=60, check=False
        )
        expected = STORAGE if log and ">&-" in closed.replace("2>&-", "") else DONE
        assert done.returncode == expected, done
    assert evergrove("diff", tmp_path / "undisturbed", tmp_path / "model").code == DONE
    inspected = evergrove("inspect", tmp_path / "log", "--json").json
    assert (inspected["iterations"], inspected["torn_bytes"]) == (200, 0)


def test_a_reader_that_went_away_is_no_crash(tmp_path: Path, data: Path, model: Path) -> None:
    """evergrove inspect --json | head -1"""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [executable(), "inspect", model, "--json"],
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
        restore_signals=False,  # as Python has it: SIGPIPE is ignored
    )
    os.close(writer)
    assert done.returncode == STORAGE, done
    assert json.loads(evergrove("inspect", model, "--json").out)
