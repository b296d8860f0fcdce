# SPDX-License-Identifier: Apache-2.0
"""The evergrove command, as a user has it: run to its end, or started to be disturbed.

    answer = evergrove("train", "--data", path, "--label", "fraud", "--model", model, "--json")
    assert answer.code == 0
    digest = answer.json["digest"]

EVERGROVE names another executable than that of .venv or build/release. A run that does not end in
time is killed and fails the test: hanging is never an answer. PATIENCE is how many times as long as
usual it is given; what a sanitizer watches is slow.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

DONE, DIFFERS, BAD_INPUT, STORAGE, STOPPED, OUR_BUG = 0, 1, 2, 3, 4, 70

TIMEOUT_SECONDS = 60.0 * float(os.environ.get("PATIENCE", "1"))


@dataclass(frozen=True)
class Answer:
    code: int  # negative: the signal that ended it
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object that standard output holds."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    @property
    def error(self) -> str:
        """The one sentence of a refusal; standard error has nothing else."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self
        start = "evergrove: error: "
        assert lines[0].startswith(start), self
        return lines[0].removeprefix(start)


def executable() -> Path:
    given = os.environ.get("EVERGROVE")
    places = [ROOT / ".venv/bin/evergrove", ROOT / "build/release/src/evergrove/cli/evergrove"]
    for place in [Path(given)] if given else places:
        if place.is_file():
            return place.absolute()
    raise RuntimeError("the evergrove command is not built yet; script/build makes it")


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours, without what would change how the command behaves, and with the changes."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("EVERGROVE_") and name not in ("NO_COLOR", "LD_PRELOAD")
    }
    return {**kept, **(changes or {})}


def evergrove(
    *arguments: object,
    env: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT_SECONDS,
    **limits: Any,
) -> Answer:
    """Runs the command to its end."""
    done = subprocess.run(
        [executable(), *map(str, arguments)],
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
        **limits,
    )
    return Answer(
        done.returncode,
        done.stdout.decode(),
        done.stderr.decode(errors="backslashreplace"),
    )


def start(*arguments: object, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Starts the command; the caller ends it with finish()."""
    return subprocess.Popen(
        [executable(), *map(str, arguments)],
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], timeout: float = TIMEOUT_SECONDS) -> Answer:
    """Waits for what was started."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Answer(process.returncode, out, err)
