# SPDX-License-Identifier: Apache-2.0
"""evergrove train --memory: a promise that the kernel holds, or a refusal before anything is read.

Limits are RLIMIT_DATA, all private memory that a process may write to, and RLIMIT_AS, its whole
address space.
"""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.process.command import BAD_INPUT, DONE, STORAGE, Answer, evergrove
from tests.process.rows import LABEL, small_rows, write

SETTINGS = ("--label", LABEL, "--threads", 2, "--set", "n_estimators=6", "max_leaves=40")
MIB = 1 << 20


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(small_rows(1_500_000), tmp_path_factory.mktemp("data") / "rows.parquet", 60_000)


@pytest.fixture(scope="module")
def digest(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    answer = train(rows, tmp_path_factory.mktemp("all"))
    assert not answer.json["memory"]["rows_pass_by"]
    return str(answer.json["digest"])


def limited(kind: int, limit_bytes: int) -> dict[str, Callable[[], None]]:
    return {"preexec_fn": lambda: resource.setrlimit(kind, (limit_bytes, limit_bytes))}


def train(rows: Path, folder: Path, *more: object, **limits: Any) -> Answer:
    return evergrove(
        *("train", "--data", rows, *SETTINGS, "--model", folder / "model", "--json", "--quiet"),
        *(*more,),
        **limits,
    )


def need(rows: Path, *more: object) -> dict[str, Any]:
    answer = evergrove("train", "--data", rows, *SETTINGS, "--explain", "--json", "--quiet", *more)
    assert answer.code == DONE, answer
    memory = answer.json["memory"]
    assert isinstance(memory, dict)
    for way in ("all_rows_in_memory", "rows_passing_by"):
        assert sum(item["bytes"] for item in memory[way]["items"]) == memory[way]["bytes"]
    return memory


@pytest.mark.parametrize("way", ["all_rows_in_memory", "rows_passing_by"])
def test_what_is_explained_is_enough(rows: Path, digest: str, way: str, tmp_path: Path) -> None:
    limit = need(rows)[way]["bytes"]
    answer = train(rows, tmp_path, "--memory", limit, **limited(resource.RLIMIT_DATA, limit))
    assert answer.code == DONE, answer
    assert answer.json["memory"]["limit_bytes"] == limit
    assert answer.json["memory"]["rows_pass_by"] == (way == "rows_passing_by")
    assert answer.json["digest"] == digest


def test_less_is_taken_where_less_is_given(rows: Path, digest: str, tmp_path: Path) -> None:
    least = int(need(rows)["rows_passing_by"]["bytes"])
    while True:
        less = evergrove(
            *("train", "--data", rows, *SETTINGS, "--explain", "--quiet", "--memory", least - MIB)
        )
        if less.code != DONE:
            break
        least -= MIB
    assert less.code == BAD_INPUT
    assert "does not fit into this memory" in less.err
    answer = train(rows, tmp_path, "--memory", least, **limited(resource.RLIMIT_DATA, least))
    assert answer.code == DONE, answer
    assert answer.json["digest"] == digest


def test_trees_do_not_add_up_in_the_parts(rows: Path, tmp_path: Path) -> None:
    """What the first trees take is what the last ones take, though there are many parts."""
    many = ("--set", "n_estimators=60", "max_leaves=255", "min_rows=5")
    limit = int(need(rows, *many)["rows_passing_by"]["bytes"])
    for less in (16 * MIB, 8 * MIB, 4 * MIB, 2 * MIB, MIB):
        asked = ("--explain", "--quiet", "--memory", limit - less)
        if evergrove("train", "--data", rows, *SETTINGS, *many, *asked).code == DONE:
            limit -= less
    answer = train(rows, tmp_path, *many, "--memory", limit, **limited(resource.RLIMIT_DATA, limit))
    assert answer.code == DONE, answer
    assert answer.json["memory"]["rows_pass_by"]


def test_ends_in_order_where_hardly_anything_can_begin(rows: Path, tmp_path: Path) -> None:
    """An allocator that had not begun crashed when the process ended."""
    for limit in (12 * MIB, 20 * MIB, 28 * MIB):
        answer = train(rows, tmp_path, **limited(resource.RLIMIT_DATA, limit))
        assert answer.code in (BAD_INPUT, STORAGE), answer
        assert "evergrove: error: " in answer.err, answer


def test_says_beforehand_that_it_cannot(rows: Path, tmp_path: Path) -> None:
    answer = train(rows, tmp_path, "--memory", "60MiB")
    assert answer.code == BAD_INPUT
    assert "limit: 60 MiB" in answer.error
    assert "needed with rows passing by from a file: " in answer.error
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("kind", [resource.RLIMIT_DATA, resource.RLIMIT_AS])
def test_the_limit_of_a_process_needs_no_option(
    rows: Path, digest: str, kind: int, tmp_path: Path
) -> None:
    code_and_libraries = 120 * MIB if kind == resource.RLIMIT_AS else 0
    limit = need(rows)["rows_passing_by"]["bytes"] + code_and_libraries
    answer = train(rows, tmp_path, **limited(kind, limit))
    assert answer.code == DONE, answer
    assert answer.json["memory"]["rows_pass_by"] or kind == resource.RLIMIT_AS
    assert answer.json["digest"] == digest


def test_goes_on_from_the_log_of_a_run_in_memory(rows: Path, digest: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = train(rows, tmp_path, "--log", log, "--set", "n_estimators=2")
    assert first.code == DONE, first
    limit = need(rows)["rows_passing_by"]["bytes"]
    answer = train(rows, tmp_path, "--log", log, "--resume", "--memory", limit)
    assert answer.code == DONE, answer
    assert answer.json["resumed_iterations"] == 2
    assert answer.json["memory"]["rows_pass_by"]
    assert answer.json["digest"] == digest


def test_leaves_no_file_and_names_a_folder_that_is_not_there(rows: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    limit = need(rows)["rows_passing_by"]["bytes"]
    missing = train(rows, tmp_path, "--memory", limit, "--cache", cache)
    assert missing.code == BAD_INPUT
    assert str(cache) in missing.error
    cache.mkdir()
    assert train(rows, tmp_path, "--memory", limit, "--cache", cache).code == DONE
    assert not list(cache.iterdir())


def test_is_for_runs_in_one_process(rows: Path, tmp_path: Path) -> None:
    answer = train(rows, tmp_path, "--memory", "1GiB", "--workers", 2)
    assert answer.code == BAD_INPUT
    assert "evergrove worker has its own" in answer.error
