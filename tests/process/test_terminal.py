# SPDX-License-Identifier: Apache-2.0
"""What people see of the command: help, completion, progress and colours, on a terminal and not."""

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
from pathlib import Path
from typing import Any

import pytest

from tests.process.command import BAD_INPUT, DONE, ROOT, environment, evergrove, executable
from tests.process.rows import LABEL, replaced, small_rows, write

COMMANDS = [
    *("train", "evaluate", "predict", "inspect", "digest", "diff", "parameters", "credentials"),
    "completion",
]
ESCAPE = "\x1b"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("terminal")
    write(small_rows(500), folder / "train.parquet")
    write(small_rows(300, seed=1), folder / "valid.parquet")
    return folder


# --- Help and completion -----------------------------------------------------------------------


def test_help_of_the_command() -> None:
    answer = evergrove("--help")
    assert answer.code == DONE
    assert answer.err == ""
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", answer.out, re.MULTILINE)
    assert "Examples:" in answer.out
    for code in ("0 done", "1 differs", "2 bad input", "3 storage", "4 stopped", "70"):
        assert code in " ".join(answer.out.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_an_example(command: str) -> None:
    answer = evergrove(command, "--help")
    assert answer.code == DONE
    assert answer.err == ""
    assert ESCAPE not in answer.out
    assert f"evergrove {command} " in answer.out or f"evergrove {command}\n" in answer.out
    assert "Example" in answer.out
    assert max(len(line) for line in answer.out.splitlines()) <= 110


def test_the_options_of_the_contract_are_there() -> None:
    options = {
        "train": "data label objective valid valid-fraction weight exclude categorical set config "
        "seed threads log resume model json quiet",
        "evaluate": "model data metrics json",
        "predict": "model data out kind keep",
        "inspect": "json",
    }
    for command, names in options.items():
        text = evergrove(command, "--help").out
        for name in names.split():
            assert re.search(rf"--{name}\b", text), (command, name)


def test_parameters_are_those_of_the_contract() -> None:
    text = (
        "n_estimators learning_rate growth max_leaves max_depth max_bins min_rows min_hessian "
        "min_gain lambda_l1 lambda_l2 subsample colsample_bytree colsample_bylevel "
        "colsample_bynode scale_pos_weight base_score early_stopping_rounds seed"
    )
    names = text.split()
    parameters = evergrove("parameters", "--json").json["parameters"]
    assert set(names) <= {parameter["name"] for parameter in parameters}
    assert all(parameter["documentation"] for parameter in parameters)
    words = evergrove("parameters").out
    for name in names:
        assert f"{name} (" in words


def test_version() -> None:
    answer = evergrove("--version")
    assert answer.code == DONE
    (version,) = re.findall(
        r"project\(evergrove VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text()
    )
    assert answer.out == f"evergrove {version}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_parses(shell: str, tmp_path: Path) -> None:
    answer = evergrove("completion", shell)
    assert answer.code == DONE
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "completion"
    script.write_text(answer.out)
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["evergrove", "tr"], ["train"]),
        (["evergrove", "train", "--valid"], ["--valid", "--valid-fraction"]),
        (["evergrove", "predict", "--k"], ["--kind", "--keep"]),
        (["evergrove", "train", "--set", "max_l"], ["max_leaves="]),
    ],
)
def test_bash_completes(typed: list[str], expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "completion").write_text(evergrove("completion", "bash").out)
    words = " ".join(f"'{word}'" for word in typed)
    script = f"""
        source {tmp_path}/completion
        COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}
        _evergrove; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.split() == expected, done


# --- A terminal --------------------------------------------------------------------------------


def on_a_terminal(
    *arguments: object, env: dict[str, str] | None = None, columns: int = 100
) -> tuple[int, str]:
    """Runs the command with a terminal as its output; returns the exit code and all it shows."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [executable(), *map(str, arguments)],
        env=environment({"TERM": "xterm-256color", **(env or {})}),
        stdin=side,
        stdout=side,
        stderr=side,
    )
    os.close(side)
    shown = b""
    while True:
        try:
            piece = os.read(main, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(main)
    return process.wait(timeout=60), shown.decode()


def training_on_a_terminal(folder: Path, *more: object, **options: Any) -> tuple[int, str]:
    return on_a_terminal(
        *("train", "--data", folder / "train.parquet", "--valid", folder / "valid.parquet"),
        *("--label", LABEL, "--model", folder / "terminal", *more),
        *("--set", "n_estimators=5000", "min_rows=2"),
        **options,
    )


def test_a_terminal_shows_bar_speed_metric_and_time_to_go(folder: Path) -> None:
    code, shown = training_on_a_terminal(folder)
    assert code == DONE
    assert "━" in shown
    assert "/5000" in shown
    assert "trees/s" in shown
    assert "valid auc" in shown
    assert "to go" in shown
    assert ESCAPE in shown
    # The bar is wiped away before the result is printed.
    last_bar = shown.rindex("to go")
    assert "\r\x1b[K" in shown[last_bar : shown.index("5,000 trees")]


@pytest.mark.parametrize("columns", [100, 40, 20])
def test_the_bar_never_wraps(folder: Path, columns: int) -> None:
    code, shown = training_on_a_terminal(folder, columns=columns)
    assert code == DONE
    drawn = [line for line in re.split(r"\r(?:\x1b\[K)?", shown) if "training" in line]
    assert drawn
    for line in drawn:
        plain = re.sub(r"\x1b\[[0-9;]*[mK]", "", line.split("\n")[0])
        assert len(plain) < columns


def test_no_color_means_no_colours_but_a_bar(folder: Path) -> None:
    code, shown = training_on_a_terminal(folder, env={"NO_COLOR": "1"})
    assert code == DONE
    assert not re.search(r"\x1b\[[0-9;]*m", shown)
    assert "━" in shown


def test_a_dumb_terminal_gets_no_escapes(folder: Path) -> None:
    code, shown = training_on_a_terminal(folder, env={"TERM": "dumb"})
    assert code == DONE
    assert ESCAPE not in shown


def test_quiet_is_quiet_on_a_terminal(folder: Path) -> None:
    assert training_on_a_terminal(folder, "--quiet") == (DONE, "")


def test_errors_are_red_on_a_terminal_only(folder: Path) -> None:
    code, shown = on_a_terminal("digest", folder / "gone")
    assert code == BAD_INPUT
    assert "\x1b[31merror\x1b[0m" in shown
    assert ESCAPE not in evergrove("digest", folder / "gone").err


def test_names_from_the_data_bring_no_escapes(tmp_path: Path) -> None:
    """A column's name is what a stranger wrote."""
    rows = replaced(small_rows(), **{"\x1b]0;owned\x07": [0.5, 1.5] * 100})
    data = write(rows, tmp_path / "rows.parquet")
    answer = evergrove(
        *("train", "--data", data, "--label", LABEL, "--model", tmp_path / "model", "--json")
    )
    assert answer.code == DONE, answer
    assert ESCAPE not in answer.out + answer.err
    words = evergrove("inspect", tmp_path / "model")
    assert words.code == DONE
    assert ESCAPE not in words.out
