# SPDX-License-Identifier: Apache-2.0
"""The command's own sched_yield is the one that TBB calls (src/evergrove/cli/main.cc)."""

import re
import subprocess
from pathlib import Path

from tests.process.command import environment, executable


def test_tbb_yields_as_the_command_says() -> None:
    command = executable()
    looks = environment({"LD_DEBUG": "bindings", "LD_BIND_NOW": "1"})
    done = subprocess.run(
        [command, "--version"], capture_output=True, text=True, check=True, env=looks
    )
    binding = re.compile(r"binding file \S*libtbb\.\S* \[0\] to (\S+) \[0\]: .*`sched_yield'")
    found = [match[1] for match in map(binding.search, done.stderr.splitlines()) if match]
    assert found
    assert {Path(path).name for path in found} == {command.name}
