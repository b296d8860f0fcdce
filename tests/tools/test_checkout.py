# SPDX-License-Identifier: Apache-2.0
"""This checkout is tidy, and its scripts say what they do and refuse what they do not know."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(
    path
    for path in [*(ROOT / "script").iterdir(), *(ROOT / "script" / "campaigns").iterdir()]
    if path.is_file() and path.suffix == ""
)


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_is_tidy() -> None:
    tidy = run(sys.executable, ROOT / "tools" / "tidy.py")
    assert tidy.returncode == 0, tidy.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_has_help_that_works_from_any_folder(script: Path, tmp_path: Path) -> None:
    answer = run(script, "--help", cwd=tmp_path)
    assert answer.returncode == 0
    name = script.relative_to(ROOT).as_posix()
    assert answer.stdout.startswith(name), "the help opens with the usage"
    assert len(answer.stdout.splitlines()) >= 3
    assert answer.stderr == ""
    assert list(tmp_path.iterdir()) == []


# These leave their options to the program that they build first, which has tests of its own.
OPTIONS_ELSEWHERE = ("case", "demo")


@pytest.mark.parametrize(
    "script",
    [path for path in SCRIPTS if path.name not in OPTIONS_ELSEWHERE],
    ids=lambda path: path.name,
)
def test_refuses_an_option_that_it_does_not_know(script: Path) -> None:
    answer = run(script, "--no-such-option")
    assert answer.returncode == 2
    assert "--no-such-option" in answer.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_is_executable_and_knows_its_own_place(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    text = script.read_text()
    if text.startswith("#!/usr/bin/env bash"):
        assert "prelude.sh" in text
        assert run("bash", "-n", script).returncode == 0


def test_setup_knows_what_it_needs_without_root() -> None:
    """With everything there it says nothing; it never asks for root first."""
    answer = run(ROOT / "script" / "setup", "--for", "test", "--print")
    assert answer.returncode in (0, 1), answer.stderr
    assert (answer.returncode == 0) == (answer.stdout == "")


def test_setup_without_root_prints_the_one_line_to_have_run() -> None:
    """As a user without rights, on a machine where one Debian package is missing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "script", folder / "script")
        shutil.copytree(ROOT / "requirements", folder / "requirements")
        (folder / "bin").mkdir()
        query = folder / "bin" / "dpkg-query"
        query.write_text('#!/bin/sh\n[ "$4" = libhwy-dev ] || echo installed\n')
        sudo = folder / "bin" / "sudo"
        sudo.write_text("#!/bin/sh\nexit 1\n")
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755)
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        answer = subprocess.run(
            [*(nobody if os.geteuid() == 0 else []), folder / "script" / "setup"],
            env={"PATH": f"{folder / 'bin'}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert answer.returncode == 2
    command = "apt-get update && apt-get install -y --no-install-recommends libhwy-dev"
    assert answer.stderr.splitlines()[-1] == command


def test_every_python_package_has_one_version() -> None:
    versions: dict[str, str] = {}
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        for line in path.read_text().splitlines():
            requirement = line.split("#", 1)[0].strip()
            if not requirement or requirement.startswith("-r "):
                continue
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][0-9.]*)", requirement)
            assert match, f"{path.name}: '{requirement}' pins no version"
            name = match.group(1).lower().replace("_", "-")
            assert versions.setdefault(name, match.group(2)) == match.group(2), name
