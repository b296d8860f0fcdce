# SPDX-License-Identifier: Apache-2.0
"""tools/tidy.py: every rule fires on what it forbids, and not on what it allows."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

_spec = importlib.util.spec_from_file_location("tidy", ROOT / "tools" / "tidy.py")
assert _spec is not None and _spec.loader is not None
tidy = importlib.util.module_from_spec(_spec)
sys.modules["tidy"] = tidy
_spec.loader.exec_module(tidy)

HEADER = """// Cuts: where a column is split.
// SPDX-License-Identifier: Apache-2.0
#pragma once

"""
SOURCE = "// SPDX-License-Identifier: Apache-2.0\n"
PYTHON = '# SPDX-License-Identifier: Apache-2.0\n"""What it is."""\n'
MODULES = {
    "src/evergrove/base/CMakeLists.txt": "evergrove_module(base )\n",
    "src/evergrove/bins/CMakeLists.txt": (
        "evergrove_module(bins DEPENDS base LIBRARIES TBB::tbb PCH <vector>)\n"
    ),
    "src/evergrove/source/CMakeLists.txt": "evergrove_module(source\n  DEPENDS base\n)\n",
}


def rules_found(folder: Path, files: dict[str, str]) -> list[str]:
    """Writes the files and returns 'path:line rule' of what tidy finds in them."""
    for path, text in (MODULES | files).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())
    return [f"{found.path}:{found.line} {found.rule}" for found in tidy.check(folder)]


def test_finds_nothing_in_a_clean_tree(tmp_path: Path) -> None:
    files = {
        "src/evergrove/base/status.h": HEADER + "// throw is a word here\n",
        "src/evergrove/bins/cuts.h": HEADER + '#include "evergrove/base/status.h"\n',
        "src/evergrove/bins/cuts.cc": SOURCE + '#include "evergrove/bins/cuts.h"\n',
        "src/evergrove/bins/cuts_test.cc": SOURCE + "double x = std::exp(1.0);\n",
        "src/evergrove/source/parquet.cc": SOURCE + "#include <arrow/api.h>\n",
        "src/evergrove/source/columns.h": HEADER + "#include <arrow/type_fwd.h>\n",
        "python/evergrove/train.py": PYTHON,
    }
    assert rules_found(tmp_path, files) == []


def test_refuses_an_include_that_the_modules_line_does_not_list(tmp_path: Path) -> None:
    include = '#include "evergrove/bins/cuts.h"\n'
    found = rules_found(
        tmp_path,
        {
            "src/evergrove/base/status.cc": SOURCE + include,
            "src/evergrove/source/open.cc": SOURCE + "\n" + include,
        },
    )
    assert found == [
        "src/evergrove/base/status.cc:2 layering",
        "src/evergrove/source/open.cc:3 layering",
    ]


def test_refuses_a_module_without_a_line(tmp_path: Path) -> None:
    found = rules_found(tmp_path, {"src/evergrove/serve/server.cc": SOURCE})
    assert found == ["src/evergrove/serve/server.cc:1 layering"]


def test_refuses_circles_and_modules_that_do_not_exist(tmp_path: Path) -> None:
    files = {
        "src/evergrove/base/CMakeLists.txt": "evergrove_module(base DEPENDS bins)\n",
        "src/evergrove/table/CMakeLists.txt": "evergrove_module(table DEPENDS chair)\n",
    }
    assert rules_found(tmp_path, files) == [
        "src/evergrove/base/CMakeLists.txt:1 module-order",
        "src/evergrove/table/CMakeLists.txt:1 module-order",
    ]


SIM = {
    "sim/CMakeLists.txt": "evergrove_module(sim DEPENDS base bins)\n",
    "sim/story.h": HEADER + '#include "evergrove/bins/cuts.h"\n',
    "sim/main.cc": SOURCE + '#include "sim/story.h"\n#include <evergrove/base/status.h>\n',
}


def test_holds_the_simulation_to_its_line(tmp_path: Path) -> None:
    assert rules_found(tmp_path, SIM) == []
    files = {
        "sim/network.cc": SOURCE + '#include "evergrove/source/open.h"\n',
        "src/evergrove/bins/cuts.cc": SOURCE + '#include "sim/story.h"\n',
    }
    assert rules_found(tmp_path, files) == [
        "sim/network.cc:2 layering",
        "src/evergrove/bins/cuts.cc:2 layering",
    ]


def test_keeps_the_real_world_out_of_the_core_and_the_simulation(tmp_path: Path) -> None:
    files = {
        "sim/CMakeLists.txt": "evergrove_module(sim DEPENDS base source)\n",
        "src/evergrove/bins/CMakeLists.txt": "evergrove_module(bins DEPENDS base source)\n",
    }
    assert rules_found(tmp_path, files) == [
        "sim/CMakeLists.txt:1 module-order",
        "src/evergrove/bins/CMakeLists.txt:1 module-order",
    ]
    files["sim/CMakeLists.txt"] = "evergrove_module(sim DEPENDS base)\n"
    files["src/evergrove/bins/CMakeLists.txt"] = "evergrove_module(bins DEPENDS base sim)\n"
    assert rules_found(tmp_path, files) == ["src/evergrove/bins/CMakeLists.txt:1 module-order"]


def test_keeps_arrow_out_of_the_core_and_out_of_headers(tmp_path: Path) -> None:
    files = {
        "src/evergrove/bins/cuts.cc": SOURCE + "#include <arrow/api.h>\n",
        "src/evergrove/source/open.h": HEADER + "#include <parquet/arrow/reader.h>\n",
    }
    assert rules_found(tmp_path, files) == [
        "src/evergrove/bins/cuts.cc:2 arrow",
        "src/evergrove/source/open.h:5 arrow",
    ]


def test_lets_a_header_that_only_tests_include_have_arrow(tmp_path: Path) -> None:
    use = '#include "evergrove/source/rows.h"\n'
    files = {
        "src/evergrove/source/rows.h": HEADER + "#include <arrow/api.h>\n",
        "src/evergrove/source/open_test.cc": SOURCE + use,
    }
    assert rules_found(tmp_path, files) == []
    files["src/evergrove/source/open.cc"] = SOURCE + use
    assert rules_found(tmp_path, files) == ["src/evergrove/source/rows.h:5 arrow"]


def test_wants_a_reason_for_a_file_above_the_limit(tmp_path: Path) -> None:
    body = "int x;\n" * 700
    small = {f"src/evergrove/base/a{i}.cc": SOURCE for i in range(30)}
    reason = "// One file because the parser's states cannot be told apart.\n"
    files = {
        "src/evergrove/base/long.cc": SOURCE + body,
        "src/evergrove/base/reasoned.cc": reason + SOURCE + body,
    }
    assert rules_found(tmp_path, small | files) == ["src/evergrove/base/long.cc:1 file-size"]


def test_wants_nine_files_in_ten_below_the_usual_size(tmp_path: Path) -> None:
    files = {f"src/evergrove/base/a{i}.cc": SOURCE for i in range(9)}
    longer = SOURCE + "int x;\n" * 450
    one = {"src/evergrove/base/x.cc": longer}
    assert rules_found(tmp_path, files | one) == []
    two = {"src/evergrove/base/y.cc": longer}
    assert rules_found(tmp_path, two) == ["src/evergrove/base/x.cc:1 file-size"]


@pytest.mark.parametrize("name", ["bin_utils.cc", "common.cc", "misc.py", "file_manager.py"])
def test_refuses_names_that_name_nothing(tmp_path: Path, name: str) -> None:
    text = PYTHON if name.endswith(".py") else SOURCE
    assert rules_found(tmp_path, {f"src/evergrove/base/{name}": text}) == [
        f"src/evergrove/base/{name}:1 file-name"
    ]


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ('throw std::runtime_error("x");', "throw"),
        ("int x = std::rand();", "random"),
        ("int x = rand();", "random"),
        ("std::random_device device;", "random"),
        ("double x = std::exp(y);", "exact"),
        ("float x = std::log1pf(y);", "exact"),
        ("int x;\tint y;", "blanks"),
        ("int x; ", "blanks"),
        ("int x;\r", "blanks"),
        ("int x;  // " + "y" * 100, "columns"),
        ("// TODO", "to-do"),
        ("// TODO: later", "to-do"),
        ("int x;  // FIXME this", "to-do"),
    ],
)
def test_refuses_the_line(tmp_path: Path, line: str, rule: str) -> None:
    files = {"src/evergrove/base/x.cc": SOURCE + line + "\n"}
    assert rules_found(tmp_path, files) == [f"src/evergrove/base/x.cc:2 {rule}"]


@pytest.mark.parametrize(
    "line",
    [
        'message = "we never throw anything";',
        "// A throw would be wrong here, and so would std::rand().",
        "operand(x);",
        "double x = exact::exp(y);",
        "// TODO: read the footer once for all row groups.",
        "// https://example.org/" + "y" * 100,
    ],
)
def test_allows_the_line(tmp_path: Path, line: str) -> None:
    assert rules_found(tmp_path, {"src/evergrove/base/x.cc": SOURCE + line + "\n"}) == []


def test_allows_a_throw_in_the_python_binding(tmp_path: Path) -> None:
    files = {"python/bindings/errors.cc": SOURCE + 'throw nb::value_error("x");\n'}
    assert rules_found(tmp_path, files) == []


def test_refuses_using_namespace_in_a_header_only(tmp_path: Path) -> None:
    line = "using namespace std;\n"
    files = {
        "src/evergrove/base/x.h": HEADER + line,
        "src/evergrove/base/x.cc": SOURCE + line,
    }
    assert rules_found(tmp_path, files) == ["src/evergrove/base/x.h:5 using-namespace"]


@pytest.mark.parametrize("flag", ["-ffast-math", "-Ofast", "-ffp-contract=fast"])
@pytest.mark.parametrize("path", ["CMakeLists.txt", "cmake/x.cmake", "CMakePresets.json"])
def test_refuses_flags_that_reorder_floating_point(tmp_path: Path, path: str, flag: str) -> None:
    files = {path: f"add_compile_options({flag})\n"}
    assert rules_found(tmp_path, files) == [f"{path}:1 fast-math"]


def test_wants_a_line_end_at_the_end(tmp_path: Path) -> None:
    files = {
        "src/evergrove/base/x.cc": SOURCE + "int x;",
        "src/evergrove/base/y.cc": SOURCE + "int x;\n\n",
    }
    assert rules_found(tmp_path, files) == [
        "src/evergrove/base/x.cc:2 blanks",
        "src/evergrove/base/y.cc:4 blanks",
    ]


def test_wants_the_licence_and_an_opening(tmp_path: Path) -> None:
    files = {
        "script/do": "#!/usr/bin/env bash\n",
        "src/evergrove/base/a.cc": "int x;\n",
        "src/evergrove/base/b.h": SOURCE + "#pragma once\n",
        "src/evergrove/base/c.h": HEADER.replace("#pragma once\n\n", ""),
        "python/evergrove/d.py": "# SPDX-License-Identifier: Apache-2.0\nx = 1\n",
    }
    assert rules_found(tmp_path, files) == [
        "python/evergrove/d.py:1 opening",
        "script/do:1 licence",
        "src/evergrove/base/a.cc:1 licence",
        "src/evergrove/base/b.h:1 opening",
        "src/evergrove/base/c.h:1 opening",
    ]


def test_follows_links_between_documents(tmp_path: Path) -> None:
    text = "[a](b.md) [c](missing.md#part) [d](https://example.org) [e](#here)\n"
    files = {"docs/a.md": text, "docs/b.md": "```\n[x](y.md)\n```\n"}
    assert rules_found(tmp_path, files) == ["docs/a.md:1 link"]


def test_exits_1_with_findings_and_0_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tidy.py", "--root", str(tmp_path)])
    rules_found(tmp_path, {})
    assert tidy.main() == 0
    rules_found(tmp_path, {"src/evergrove/base/x.cc": "int x;\n"})
    assert tidy.main() == 1
    assert "src/evergrove/base/x.cc:1: licence:" in capsys.readouterr().out
