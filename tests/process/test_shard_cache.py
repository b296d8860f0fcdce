# SPDX-License-Identifier: Apache-2.0
"""evergrove worker --cache: rows come from local disk the next time; the model is the same."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.process.command import BAD_INPUT, DONE, evergrove, executable
from tests.process.coordinator_process import wait_until_it_listens
from tests.process.rows import LABEL, small_rows, write

SETTINGS = ("--label", LABEL, "--valid-fraction", "0.2", "--set", "n_estimators=5")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(small_rows(200_000), tmp_path_factory.mktemp("data") / "rows.parquet", 10_000)


@pytest.fixture(scope="module")
def digest(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    model = tmp_path_factory.mktemp("model") / "model"
    assert evergrove("train", "--data", rows, *SETTINGS, "--model", model).code == DONE
    return evergrove("digest", model).out.split()[0]


def run(rows: Path, folder: Path, *options: str | Path) -> tuple[str, str]:
    """A coordinator and one worker with these options: the digest, and what the worker said."""
    token = folder / "token"
    token.write_text("a-token-for-tests-of-some-length\n")
    token.chmod(0o600)
    coordinator = subprocess.Popen(
        [
            *(executable(), "coordinator", "--data", rows, *SETTINGS),
            *("--token-file", token, "--model", folder / "model"),
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        address = wait_until_it_listens(coordinator).address
        worker = evergrove(
            *("worker", "--coordinator", address, "--token-file", token, "--threads", "1"),
            *options,
        )
        assert worker.code == DONE, worker
        assert coordinator.wait(60) == DONE
    finally:
        coordinator.kill()
        coordinator.wait()
    return evergrove("digest", folder / "model").out.split()[0], worker.err


def counts(said: str) -> tuple[int, int]:
    """Shards that were read, and those of them that came from the cache."""
    found = re.findall(r"Shards read so far: (\d+), from the cache: (\d+)", said)
    assert found, said
    return int(found[-1][0]), int(found[-1][1])


def test_the_next_worker_reads_from_the_cache(rows: Path, digest: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first_digest, said = run(rows, tmp_path, "--cache", cache)
    assert first_digest == digest
    read, found = counts(said)
    assert read > 1
    assert found == 0
    files = list((cache / "evergrove-shards").iterdir())
    assert len(files) == read
    assert (cache / "evergrove-shards").stat().st_mode & 0o777 == 0o700

    again_digest, said = run(rows, tmp_path, "--cache", cache)
    assert again_digest == digest
    assert counts(said) == (read, read)

    spoilt = bytearray(files[0].read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    files[0].write_bytes(spoilt)
    files[1].write_bytes(b"")
    spoilt_digest, said = run(rows, tmp_path, "--cache", cache)
    assert spoilt_digest == digest
    assert counts(said) == (read, read - 2)
    assert said.count("made again") == 2


def test_data_that_changed_in_its_place_is_not_found(tmp_path: Path) -> None:
    data = write(small_rows(200_000), tmp_path / "rows.parquet", 10_000)
    run(data, tmp_path, "--cache", tmp_path)
    write(small_rows(20_000, seed=9), data, 10_000)
    evergrove("train", "--data", data, *SETTINGS, "--model", tmp_path / "alone")
    digest, said = run(data, tmp_path, "--cache", tmp_path)
    assert counts(said)[1] == 0
    assert digest == evergrove("digest", tmp_path / "alone").out.split()[0]


def test_a_small_limit_is_kept_and_costs_nothing_but_time(
    rows: Path, digest: str, tmp_path: Path
) -> None:
    limited_digest, _ = run(rows, tmp_path, "--cache", tmp_path, "--cache-size", "700kB")
    assert limited_digest == digest
    files = (tmp_path / "evergrove-shards").iterdir()
    assert 0 < sum(file.stat().st_size for file in files) <= 700_000


@pytest.mark.parametrize("size", ["0", "many", "-1GB", "4XB"])
def test_what_is_no_size_is_refused(size: str, tmp_path: Path) -> None:
    answer = evergrove(
        *("worker", "--coordinator", "127.0.0.1:1", "--cache", tmp_path),
        f"--cache-size={size}",
    )
    assert answer.code == BAD_INPUT
    assert answer.error


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evergrove-shards").mkdir(mode=0o755)
    answer = evergrove("worker", "--coordinator", "127.0.0.1:1", "--cache", tmp_path)
    assert answer.code == BAD_INPUT
    assert "chmod 700" in answer.error
