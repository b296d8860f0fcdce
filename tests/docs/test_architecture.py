# SPDX-License-Identifier: Apache-2.0
"""ARCHITECTURE.md is held against the code: its modules, their includes, the files it names."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src/evergrove"
TEXT = (ROOT / "ARCHITECTURE.md").read_text()


def rows() -> list[tuple[str, str, str]]:
    """Module, what it may include, where things are decided."""
    table = TEXT.split("## Modules")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|([^|]*)\|$", table, re.MULTILINE)


def includes_told() -> dict[str, set[str]]:
    told: dict[str, set[str]] = {}
    for module, words, _ in rows():
        above = set(told)
        if words.strip() == "nothing":
            told[module] = set()
        elif words.strip().startswith("all above"):
            told[module] = above - set(re.findall(r"but (\w+)", words))
        else:
            told[module] = {word.strip() for word in words.split(",")}
    return told


def includes_declared() -> dict[str, set[str]]:
    declared: dict[str, set[str]] = {}
    for path in SOURCE.glob("*/CMakeLists.txt"):
        line = re.search(r"evergrove_module\((\w+)(?: DEPENDS ([a-z ]*))?", path.read_text())
        assert line, path
        declared[line.group(1)] = set((line.group(2) or "").split())
    return declared


def test_modules_and_what_they_may_include_are_those_of_cmake() -> None:
    assert includes_told() == includes_declared()


def test_files_that_decide_are_in_their_modules() -> None:
    for module, _, places in rows():
        for name in re.findall(r"`([\w*]+\.(?:cc|h))`", places):
            assert list((SOURCE / module).glob(name)), f"{module} has no {name}"


def test_paths_lead_to_files() -> None:
    for path in re.findall(r"`((?:\w+/)+[\w*]+\.\w+)`", TEXT):
        places = [ROOT, SOURCE]
        assert any(list(place.glob(path)) for place in places) or "X" in path, path


def test_names_of_functions_are_in_the_code() -> None:
    code = "\n".join(path.read_text() for path in SOURCE.glob("*/*.h"))
    code += "\n".join(path.read_text() for path in SOURCE.glob("*/*.cc"))
    run = TEXT.split("## One run")[1].split("## Threads")[0]
    names = set(re.findall(r"`(?:\w+::)*(\w+)(?:\(\))?`", run)) - {"evergrove"}
    missing = {name for name in names if not re.search(rf"\b{name}\b", code)}
    assert not missing
