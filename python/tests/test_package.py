# SPDX-License-Identifier: Apache-2.0
"""The package as others see it: types, names, what it imports and when."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import evergrove
from evergrove import _arrow, _core

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "evergrove"


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_mypy_finds_nothing() -> None:
    pytest.importorskip("mypy", reason="mypy is not installed; script/setup --for check brings it")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "python/evergrove"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (PACKAGE / "py.typed").exists()


def test_a_user_sees_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed; script/setup --for check brings it")
    program = tmp_path / "user.py"
    program.write_text(
        "import evergrove\n"
        "model = evergrove.train({}, 'data.parquet', 'y')\n"
        "reveal_type(model.digest)\n"
        "reveal_type(evergrove.Classifier().fit(1, 2).best_iteration_)\n"
        "evergrove.load(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--ignore-missing-imports", str(program)],
        cwd=ROOT,
        env={"MYPYPATH": str(ROOT / "python"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'user.py:3: note: Revealed type is "str"' in done.stdout.replace("builtins.", "")
    assert 'user.py:4: note: Revealed type is "int"' in done.stdout.replace("builtins.", "")
    assert 'user.py:5: error: Argument 1 to "load"' in done.stdout


def test_the_stub_names_what_the_extension_has() -> None:
    stub = ast.parse((PACKAGE / "_core.pyi").read_text())
    for owner, body in [(_core, stub.body)] + [
        (getattr(_core, node.name), node.body)
        for node in stub.body
        if isinstance(node, ast.ClassDef)
    ]:
        named = {
            node.target.id
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
            else getattr(node, "name", "")
            for node in body
        } - {""}
        there = {name for name in vars(owner) if not name.startswith("_")}
        assert {name for name in named if not name.startswith("_")} == there, owner


def test_all_names_are_there() -> None:
    assert all(hasattr(evergrove, name) for name in evergrove.__all__)
    assert set(evergrove.__all__) <= set(dir(evergrove))
    with pytest.raises(AttributeError, match="Classifer"):
        evergrove.Classifer  # noqa: B018


def test_nothing_is_imported_before_it_is_needed() -> None:
    heavy = ("sklearn", "pandas", "polars", "scipy", "IPython")
    program = f"import evergrove, sys; print([m for m in {heavy} if m in sys.modules])"
    assert run(program) == "[]\n"


def test_training_needs_neither_pandas_nor_scikit_learn() -> None:
    run(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('pandas', 'sklearn', 'polars', 'scipy'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import evergrove, numpy as np\n"
        "x = np.arange(100.0).reshape(-1, 1)\n"
        "model = evergrove.train({'n_estimators': 2}, x, x[:, 0] > 50)\n"
        "assert model.predict(x).shape == (100,)\n"
        "try: evergrove.Classifier\n"
        "except ImportError as error: assert 'evergrove[sklearn]' in str(error)\n"
        "else: raise AssertionError('Classifier came from nowhere')\n"
    )


def test_another_arrow_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyarrow.__version__", "25.0.0")
    with pytest.raises(ImportError, match=r"built for pyarrow 26, but 25\.0\.0 is installed"):
        _arrow.load_arrow()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'pyarrow==26"):
        _arrow.load_arrow()


def test_the_arrow_that_was_built_against_is_the_one_asked_for() -> None:
    assert _core.ARROW_SOVERSION == f"{_arrow.ARROW_MAJOR}00"
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert pyproject.count(f"pyarrow=={_arrow.ARROW_MAJOR}.*") == 2
