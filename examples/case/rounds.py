# SPDX-License-Identifier: Apache-2.0
"""Which trees XGBoost's workers have made, and when: a line of JSON a round, a file a process.

    note(trees=17)                     # on the worker, whose environment names the folder
    read_rounds(folder)[-1]            # (1764150000.2, 17)

Without XGBoost, so that the case runs where it is not installed.
"""

import json
import os
import time
from pathlib import Path

FOLDER_VARIABLE = "EVERGROVE_CASE_FOLDER"


def note(trees: int) -> None:
    line = json.dumps([time.time(), trees])
    with (Path(os.environ[FOLDER_VARIABLE]) / f"{os.getpid()}.rounds").open("a") as file:
        file.write(line + "\n")


def read_rounds(folder: Path) -> list[tuple[float, int]]:
    """Times and trees, in the order of time, without a half-written line."""
    found = []
    for file in folder.glob("*.rounds"):
        for line in file.read_text().split("\n")[:-1]:
            when, trees = json.loads(line)
            found.append((float(when), int(trees)))
    return sorted(found)
