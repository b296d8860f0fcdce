# SPDX-License-Identifier: Apache-2.0
"""The examples in the documents run, and print what the documents say.

In each page every block marked ```bash or ```python runs, in order and in one folder with the files
of sample_data.py, unless it is marked no-run. A ```text block after it is what it prints, with
"..." for anything. Python blocks in a row are one program.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs import sample_data
from tests.process import command

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md",
    "docs/determinism.md",
    "docs/engines.md",
    "docs/formats/log.md",
    "docs/formats/model.md",
    "docs/guide/cluster.md",
    "docs/guide/command.md",
    "docs/guide/data.md",
    "docs/guide/python.md",
    "docs/guide/resume.md",
]
# Pages of the guide whose examples other tests run.
OTHERS = ["docs/guide/bad_input.md", "docs/guide/tutorial.md"]
# What a page that is not about training takes for granted.
GIVEN = """
evergrove train --data train.parquet --label fraud --exclude transaction_id --valid valid.parquet \\
    --set n_estimators=30 --log run --model fraud.evergrove --quiet
"""
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Example:
    language: str
    code: str
    line: int  # of the page
    output: str | None = None


def examples(text: str) -> list[Example]:
    found: list[Example] = []
    may_be_output = False
    for match in BLOCK.finditer(text):
        language, mark, code = match.groups()
        line = text.count("\n", 0, match.start(3)) + 1
        if language == "text":
            if may_be_output:
                found[-1].output = code
        elif language in ("bash", "python") and "no-run" not in mark:
            found.append(Example(language, code, line))
            may_be_output = True
            continue
        may_be_output = False
    return found


def programs(text: str) -> Iterator[Example]:
    """The examples, with Python blocks in a row as one, each line at its place in the page."""
    program: Example | None = None
    for example in examples(text):
        joins = program is not None and program.output is None
        if program and joins and program.language == example.language == "python":
            gap = example.line - program.line - program.code.count("\n")
            program.code += "\n" * gap + example.code
            program.output = example.output
            continue
        if program:
            yield program
        program = example
    if program:
        yield program


def run(program: Example, page: str, folder: Path) -> str:
    """Returns what it printed on standard output; fails the test if it failed."""
    folders = [command.executable().parent, Path(sys.executable).parent]
    path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    if program.language == "python":
        script = folder / (page.replace("/", "_") + ".py")
        script.write_text("\n" * (program.line - 1) + program.code)
        words = [sys.executable, str(script)]
    else:
        words = ["bash", "-euo", "pipefail", "-c", program.code]
    done = subprocess.run(
        words,
        cwd=folder,
        env=command.environment({"PATH": path}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, (
        f"{page}:{program.line}: the example failed with {done.returncode}\n"
        f"{program.code}\n{done.stdout}\n{done.stderr}"
    )
    return done.stdout


def prints(expected: str, printed: str) -> bool:
    """Whether it is what was printed, blanks at ends and in rows apart."""

    def plain(text: str) -> str:
        return re.sub(r"\s+", " ", text).strip()

    parts = [re.escape(plain(part)) for part in expected.split("...")]
    return re.fullmatch(r"\s*.*?\s*".join(parts), plain(printed), re.DOTALL) is not None


@pytest.mark.parametrize("page", PAGES)
def test_examples_run_and_print_what_the_page_says(page: str, tmp_path: Path) -> None:
    sample_data.write(tmp_path)
    if page.startswith("docs/formats"):
        run(Example("bash", GIVEN, 0), page, tmp_path)
    text = (ROOT / page).read_text()
    assert examples(text), f"{page} has no example"
    for program in programs(text):
        printed = run(program, page, tmp_path)
        if program.output is not None:
            assert prints(program.output, printed), (
                f"{page}:{program.line}: the example prints\n{printed}\nnot\n{program.output}"
            )


def test_every_page_of_the_guide_is_tested() -> None:
    guide = {f"docs/guide/{path.name}" for path in (ROOT / "docs/guide").glob("*.md")}
    assert guide <= {*PAGES, *OTHERS}


def test_finds_examples_and_what_they_print() -> None:
    page = "```bash\necho 1\n```\n\n```text\n1\n```\n```python no-run\nx\n```\n```text\nfree\n```\n"
    assert examples(page) == [Example("bash", "echo 1\n", 2, "1\n")]
    page = "```python\nx = 1\n```\nwords\n```python\nprint(x)\n```\n```bash\ntrue\n```\n"
    assert list(programs(page)) == [
        Example("python", "x = 1\n\n\n\nprint(x)\n", 2),
        Example("bash", "true\n", 9),
    ]


def test_compares_what_is_printed_but_for_dots() -> None:
    assert prints("a ... c\n", "a b\nb c\n")
    assert prints("the same: ...\n", "the same: 0123\n")
    assert not prints("a ... c\n", "a b\n")
    assert not prints("exit 2\n", "exit 3\n")
