# SPDX-License-Identifier: Apache-2.0
"""docs/guide/bad_input.md quotes sentences: they are in the code, word for word, and its examples
print what it says."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.process.command import ROOT, environment, executable
from tests.process.rows import small_rows, write

PAGE = (ROOT / "docs/guide/bad_input.md").read_text()
ROW = re.compile(r"^\|[^|]*\| ([A-Z*][^|]*[^| ]) \|", re.MULTILINE)
EXAMPLE = re.compile(r"^```bash\n(.*?)^```\n\n```text\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def literals() -> str:
    """All string literals of the code, those in a row joined as the compiler does."""
    text = ""
    for path in sorted((ROOT / "src/evergrove").rglob("*.cc")):
        if not path.name.endswith("_test.cc"):
            text += re.sub(r'"\s*\n\s*"', "", path.read_text())
    return text


@pytest.mark.parametrize("sentence", ROW.findall(PAGE))
def test_a_sentence_is_in_the_code(sentence: str, literals: str) -> None:
    for part in re.split(r"\*[^*]+\*", sentence):  # what stands in italics varies
        assert part.strip() in literals


def test_the_examples_print_what_the_page_says(tmp_path: Path) -> None:
    write(small_rows(), tmp_path / "train.parquet")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "evergrove").symlink_to(executable())
    path = f"{tmp_path / 'bin'}:{environment()['PATH']}"
    examples = EXAMPLE.findall(PAGE)
    assert len(examples) >= 2
    for code, shown in examples:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=tmp_path,
            env=environment({"PATH": path}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done
        pattern = re.escape(shown).replace(re.escape("..."), ".*")
        assert re.fullmatch(pattern, done.stdout), done.stdout
    assert not (tmp_path / "new.evergrove").exists()
