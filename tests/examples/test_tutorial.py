# SPDX-License-Identifier: Apache-2.0
"""The tutorial's examples run in order and print what the page says."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.docs import test_docs as pages  # noqa: E402

PAGE = "docs/guide/tutorial.md"


def test_tutorial_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # Python blocks rest on the names of those before.
    before = ""
    count = 0
    for program in pages.programs((ROOT / PAGE).read_text()):
        if program.language == "python":
            quiet = "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()):\n"
            indented = "".join(f"    {line}\n" for line in before.splitlines())
            own = program.code
            program.code = (quiet + indented if before else "") + own
            program.line = 1
            before += own
        printed = pages.run(program, PAGE, tmp_path)
        if program.output is not None:
            assert pages.prints(program.output, printed), (
                f"{program.code}prints\n{printed}\nnot\n{program.output}"
            )
        count += 1
    assert count >= 9
