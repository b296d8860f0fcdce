# SPDX-License-Identifier: Apache-2.0
"""tools/count_tests.py: nothing that failed is counted as passed."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def count(folder: Path, *more: str) -> tuple[int, str]:
    program = [sys.executable, str(ROOT / "tools" / "count_tests.py"), str(folder), *more]
    answer = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    return answer.returncode, answer.stdout


def write(folder: Path, name: str, *cases: str) -> None:
    (folder / f"{name}.xml").write_text(f"<testsuites><t>{''.join(cases)}</t></testsuites>")


def case(name: str, inside: str = "", status: str = "run") -> str:
    return f'<testcase classname="Suite" name="{name}" status="{status}">{inside}</testcase>'


def test_adds_up_the_reports(tmp_path: Path) -> None:
    write(tmp_path, "ctest", case("bins_test"), case("golden"))
    write(tmp_path, "bins_test", case("a"), case("b"), case("c", "<skipped/>"))
    write(tmp_path, "pytest", case("d"))
    assert count(tmp_path) == (0, "4 passed, 0 failed, 1 skipped\n")


def test_names_what_failed(tmp_path: Path) -> None:
    write(tmp_path, "ctest", case("bins_test", "<failure/>"))
    write(tmp_path, "bins_test", case("a"), case("b", "<failure/>"))
    write(tmp_path, "pytest", case("c", "<error/>"))
    status, words = count(tmp_path)
    assert status == 1
    assert words == "failed: Suite.b\nfailed: Suite.c\n1 passed, 2 failed, 0 skipped\n"


def test_counts_programs_that_died_or_did_not_start(tmp_path: Path) -> None:
    write(
        tmp_path,
        "ctest",
        case("died_after_its_report", "<failure/>"),
        case("died_before", "<failure/>", status="fail"),
        case("never_started", "<skipped/>", status="notrun"),
    )
    write(tmp_path, "died_after_its_report", case("a"))
    status, words = count(tmp_path)
    assert status == 1
    assert words.splitlines()[-1] == "1 passed, 3 failed, 0 skipped"


def test_fails_when_nothing_ran_or_a_runner_died(tmp_path: Path) -> None:
    assert count(tmp_path)[0] == 1
    write(tmp_path, "pytest", case("a"))
    assert count(tmp_path)[0] == 0
    assert count(tmp_path, "--died", "1")[0] == 1
