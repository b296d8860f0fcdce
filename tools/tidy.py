#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what compilers and formatters do not: layering, sizes, banned words, opening comments.

Each finding is one line, `path:line: rule: what is wrong and what to do`; exit 1 if there is any.
The rules are functions from a Tree to findings, listed in RULES; tests/tools/test_tidy.py shows
each of them firing.

    tools/tidy.py                 the whole checkout
    tools/tidy.py --root FOLDER   another one
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

LINES_USUAL = 430  # nine source files in ten are shorter
LINES_MAX = 600  # a longer one says at its top why it is one
COLUMNS_MAX = 100

BANNED_NAMES = {"util", "utils", "common", "misc", "helper", "helpers", "manager"}
# Modules beside src/evergrove, which include their own headers as "sim/x.h". Nothing includes them.
OUTER_MODULES = {"sim"}
# The real world, whose .cc files may include Arrow. The others are the core, which builds without
# it and can be simulated.
EDGE_MODULES = {"source", "runtime", "cli"}
# What Arrow is allowed in our headers: forward declarations and the C data interface.
ARROW_LIGHT = re.compile(r"arrow/(.*type_fwd\.h|c/abi\.h)$")
REASON_FOR_LENGTH = re.compile(r"\b(one file|long) because\b", re.IGNORECASE)

CODE_SUFFIXES = {".cc", ".h", ".py", ".pyi"}
TEXT_SUFFIXES = CODE_SUFFIXES | {".cmake", ".md", ".toml", ".txt", ".ini", ".json", ".html"}

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]')
MODULE = re.compile(r"evergrove_module\(\s*(\w+)([^)]*)\)")


@dataclass(frozen=True)
class Finding:
    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


class File:
    """A text file of the checkout, read when first asked."""

    def __init__(self, root: Path, path: str) -> None:
        self.root = root
        self.path = path
        self.name = PurePosixPath(path).name
        self.suffix = PurePosixPath(path).suffix

    @cached_property
    def text(self) -> str:
        return (self.root / self.path).read_bytes().decode("utf-8")  # line ends as they are

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def is_script(self) -> bool:
        return self.suffix in ("", ".sh") and self.text.startswith(("#!", "# What"))

    @property
    def is_code(self) -> bool:
        return self.suffix in CODE_SUFFIXES or self.is_script

    @property
    def is_cpp(self) -> bool:
        return self.suffix in (".cc", ".h")

    @property
    def is_cmake(self) -> bool:
        return self.suffix == ".cmake" or self.name == "CMakeLists.txt"

    @property
    def is_test(self) -> bool:
        return self.name.endswith("_test.cc") or self.path.startswith("tests/")

    @property
    def module(self) -> str | None:
        """The C++ module that the file belongs to, if any."""
        parts = PurePosixPath(self.path).parts
        if parts[0] in OUTER_MODULES and len(parts) > 1:
            return parts[0]
        return parts[2] if parts[:2] == ("src", "evergrove") and len(parts) > 3 else None

    def code_lines(self) -> Iterator[tuple[int, str]]:
        """Numbers and lines of a C++ file without // comments and without string literals."""
        for number, line in enumerate(self.lines, start=1):
            without_strings = re.sub(r'"(?:[^"\\]|\\.)*"', '""', line)
            yield number, without_strings.split("//", 1)[0]


@dataclass
class Tree:
    """The text files of a checkout, and the modules that its CMake lines declare."""

    files: list[File]

    @cached_property
    def modules(self) -> dict[str, set[str]]:
        declared: dict[str, set[str]] = {}
        for file in self.files:
            if file.module is None or file.name != "CMakeLists.txt":
                continue
            for name, arguments in MODULE.findall(file.text):
                depends = re.search(r"\bDEPENDS\b(.*?)(?=\b[A-Z]{3,}\b|$)", arguments, re.DOTALL)
                declared[name] = set(depends.group(1).split()) if depends else set()
        return declared

    @cached_property
    def test_headers(self) -> set[str]:
        """Headers that tests include and nothing else does."""
        includers: dict[str, set[bool]] = {}
        for file in self.cpp:
            for _, header in includes(file):
                includers.setdefault(f"src/{header}", set()).add(file.is_test)
        return {header for header, by_tests in includers.items() if by_tests == {True}}

    @property
    def code(self) -> Iterator[File]:
        return (file for file in self.files if file.is_code)

    @property
    def cpp(self) -> Iterator[File]:
        return (file for file in self.files if file.is_cpp)


def includes(file: File) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(file.lines, start=1):
        if match := INCLUDE.match(line):
            yield number, match.group(1)


def module_of_header(header: str) -> str | None:
    parts = header.split("/")
    if parts[0] in OUTER_MODULES and len(parts) > 1:
        return parts[0]
    return parts[1] if parts[0] == "evergrove" and len(parts) > 2 else None


def layering(tree: Tree) -> Iterator[Finding]:
    """A module includes itself and what DEPENDS on its CMake line lists."""
    for file in tree.cpp:
        if file.module is None:
            continue
        if file.module not in tree.modules:
            message = f"no evergrove_module({file.module} ...) line; add it to its CMakeLists.txt"
            yield Finding(file.path, 1, "layering", message)
            continue
        allowed = tree.modules[file.module] | {file.module}
        for number, header in includes(file):
            included = module_of_header(header)
            if included is not None and included not in allowed:
                message = (
                    f"{file.module} may not include {included}; its CMake line lists "
                    f"{', '.join(sorted(tree.modules[file.module])) or 'nothing'}"
                )
                yield Finding(file.path, number, "layering", message)


def module_order(tree: Tree) -> Iterator[Finding]:
    """DEPENDS lines have no circle, name only modules that exist, and keep the core pure."""
    for name, depends in sorted(tree.modules.items()):
        folder = name if name in OUTER_MODULES else f"src/evergrove/{name}"
        path = f"{folder}/CMakeLists.txt"
        for other in sorted(depends):
            if other not in tree.modules:
                yield Finding(path, 1, "module-order", f"there is no module {other}")
            elif other in OUTER_MODULES:
                yield Finding(path, 1, "module-order", f"nothing depends on {other}")
            elif other in EDGE_MODULES and name not in EDGE_MODULES:
                message = f"{name} is core and may not depend on {other}: files, sockets, clocks"
                yield Finding(path, 1, "module-order", message)
            elif name in tree.modules[other] and name <= other:
                yield Finding(path, 1, "module-order", f"{name} and {other} depend on each other")


def arrow_at_the_edges(tree: Tree) -> Iterator[Finding]:
    """Arrow costs seconds a file, and the core must build without it."""
    for file in tree.cpp:
        if file.module is None:
            continue
        for number, header in includes(file):
            if not header.startswith(("arrow/", "parquet/")):
                continue
            if file.module not in EDGE_MODULES:
                message = f"{file.module} is core and may not include Arrow; move this to source"
                yield Finding(file.path, number, "arrow", message)
            elif (
                file.suffix == ".h"
                and file.path not in tree.test_headers
                and not ARROW_LIGHT.match(header)
            ):
                message = "headers include no Arrow but type_fwd.h; declare what is needed forward"
                yield Finding(file.path, number, "arrow", message)


def file_sizes(tree: Tree) -> Iterator[Finding]:
    """Nine files in ten stay below LINES_USUAL, and one above LINES_MAX gives its reason."""
    code = list(tree.code)
    longer = [file for file in code if len(file.lines) > LINES_USUAL]
    if len(longer) * 10 > len(code):
        names = ", ".join(file.path for file in longer)
        message = f"more than one file in ten has over {LINES_USUAL} lines: {names}"
        yield Finding(longer[0].path, 1, "file-size", message)
    for file in longer:
        top = "\n".join(file.lines[:30])
        if len(file.lines) > LINES_MAX and not REASON_FOR_LENGTH.search(top):
            message = (
                f"{len(file.lines)} lines, {LINES_MAX} is the limit: split it by its nouns, or say "
                "at the top 'One file because ...'"
            )
            yield Finding(file.path, 1, "file-size", message)


def file_names(tree: Tree) -> Iterator[Finding]:
    """A file is named after the noun it defines."""
    for file in tree.code:
        words = set(re.split(r"[_\-.]", file.name.lower()))
        if banned := words & BANNED_NAMES:
            message = f"'{banned.pop()}' names no noun; what do its functions share?"
            yield Finding(file.path, 1, "file-name", message)


# Patterns that no C++ file may have, by rule: which files, the pattern, and what to do.
CPP_BANS: list[tuple[str, Callable[[File], bool], re.Pattern[str], str]] = [
    (
        "throw",
        lambda file: file.module is not None and not file.is_test,
        re.compile(r"\bthrow\b"),
        "src/ does not throw; return a Status",
    ),
    (
        "random",
        lambda file: True,
        re.compile(r"\bstd::s?rand\b|\brandom_device\b|(?<![\w:.>])s?rand\s*\("),
        "randomness comes from a named seed; use base/hash.h",
    ),
    (
        "exact",
        lambda file: file.module is not None and not file.is_test,
        re.compile(r"\bstd::(exp|exp2|expm1|log|log1p|log2|log10|pow|tanh|sinh|cosh)f?\s*\("),
        "the C library's bits differ between machines; use exact::exp and exact::log",
    ),
    (
        "using-namespace",
        lambda file: file.suffix == ".h" and not file.name.endswith("-inl.h"),
        re.compile(r"^\s*using\s+namespace\b"),
        "a header opens no namespace for those who include it",
    ),
]


def banned_code(tree: Tree) -> Iterator[Finding]:
    for file in tree.cpp:
        for number, line in file.code_lines():
            for rule, applies, pattern, message in CPP_BANS:
                if pattern.search(line) and applies(file):
                    yield Finding(file.path, number, rule, message)


def fast_math(tree: Tree) -> Iterator[Finding]:
    """No build file lets the compiler reorder floating point."""
    pattern = re.compile(r"-(ffast-math|Ofast|funsafe-math-optimizations|ffp-contract=fast)\b")
    for file in tree.files:
        if file.suffix in (".md", ".py", ".html"):
            continue
        for number, line in enumerate(file.lines, start=1):
            if pattern.search(line):
                message = "reorders floating point, so that one model becomes two; leave it out"
                yield Finding(file.path, number, "fast-math", message)


def to_do(tree: Tree) -> Iterator[Finding]:
    """A note of what is left to do says what."""
    pattern = re.compile(r"\b(TODO|FIXME|XXX)\b(?!:\s+\w+\s+\w+)")
    for file in tree.files:
        if not (file.is_code or file.is_cmake):
            continue
        for number, line in enumerate(file.lines, start=1):
            # A comment in a string, as in the tests of this rule, is none.
            comment = re.search(r"^[^\"']*(//|#).*", line)
            if comment and pattern.search(comment.group()):
                message = "say what is to be done and why: TODO: three words or more"
                yield Finding(file.path, number, "to-do", message)


def blanks(tree: Tree) -> Iterator[Finding]:
    """Lines have no tabs, no blanks at the end, no carriage returns; files end with a line end."""
    for file in tree.files:
        for number, line in enumerate(file.lines, start=1):
            if "\t" in line:
                yield Finding(file.path, number, "blanks", "has a tab; use spaces")
            if line != line.rstrip():
                yield Finding(file.path, number, "blanks", "has blanks at its end")
            # An address cannot be broken; a module's line is one by agreement.
            may_be_long = "https://" in line or line.startswith("evergrove_module(")
            if len(line) > COLUMNS_MAX and not may_be_long and (file.is_code or file.is_cmake):
                message = f"has {len(line)} columns, {COLUMNS_MAX} is the limit"
                yield Finding(file.path, number, "columns", message)
        if file.text and not file.text.endswith("\n"):
            yield Finding(file.path, len(file.lines), "blanks", "has no line end at its end")
        if file.text.endswith("\n\n"):
            yield Finding(file.path, len(file.lines), "blanks", "ends with an empty line")


def opening(tree: Tree) -> Iterator[Finding]:
    """Every file of code says its licence, and what it is, before any code."""
    for file in tree.code:
        if file.name == "__init__.py" and len(file.lines) <= 3:
            continue
        top = file.lines[:40]
        if not any("SPDX-License-Identifier: Apache-2.0" in line for line in top):
            message = "has no line 'SPDX-License-Identifier: Apache-2.0' at its top"
            yield Finding(file.path, 1, "licence", message)
        if file.suffix == ".h":
            if not top[0].startswith("// ") or "SPDX" in top[0]:
                message = "a header opens with what it is, what it promises, and the smallest use"
                yield Finding(file.path, 1, "opening", message)
            # Highway includes a -inl.h once for each target, behind a guard of its own.
            if "#pragma once" not in file.lines and not file.name.endswith("-inl.h"):
                yield Finding(file.path, 1, "opening", "a header has #pragma once")
        elif file.suffix == ".py":
            first = next((line for line in top if line and not line.startswith("#")), "")
            if not first.startswith('"""'):
                yield Finding(file.path, 1, "opening", "a Python file opens with a docstring")


def links(tree: Tree) -> Iterator[Finding]:
    """Links between documents lead to files that are there."""
    for file in tree.files:
        if file.suffix != ".md":
            continue
        in_code = False
        for number, line in enumerate(file.lines, start=1):
            in_code ^= line.lstrip().startswith("```")
            if in_code:
                continue
            for target in re.findall(r"\]\(([^)\s]+)\)", line):
                path = target.split("#", 1)[0]
                if not path or "://" in target or target.startswith("mailto:"):
                    continue
                if not (file.root / PurePosixPath(file.path).parent / path).exists():
                    yield Finding(file.path, number, "link", f"{path} is not there")


RULES: list[Callable[[Tree], Iterator[Finding]]] = [
    layering,
    module_order,
    arrow_at_the_edges,
    file_sizes,
    file_names,
    banned_code,
    fast_math,
    to_do,
    blanks,
    opening,
    links,
]


def text_files(root: Path) -> list[File]:
    """What git tracks or would track; without git, everything that is not hidden."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0 and (root / ".git").exists():
        paths = [path for path in listed.stdout.split("\0") if path]
    else:
        found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
        paths = [path.as_posix() for path in found if not path.parts[0].startswith(".")]
    files = [File(root, path) for path in sorted(set(paths)) if (root / path).is_file()]
    return [file for file in files if file.suffix in TEXT_SUFFIXES or is_program(file)]


def is_program(file: File) -> bool:
    """Scripts have no suffix; they are told by their first two bytes."""
    if file.suffix not in ("", ".sh"):
        return False
    with (file.root / file.path).open("rb") as stream:
        return stream.read(2) == b"#!" or file.suffix == ".sh"


def check(root: Path) -> list[Finding]:
    tree = Tree(text_files(root))
    found = {finding for rule in RULES for finding in rule(tree)}
    return sorted(found, key=lambda finding: (finding.path, finding.line, finding.rule))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    arguments = parser.parse_args()
    findings = check(arguments.root)
    for finding in findings:
        print(finding)
    print(f"tidy: {len(findings)} findings", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
