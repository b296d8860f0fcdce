# SPDX-License-Identifier: Apache-2.0
"""What tests need to know of an `evergrove coordinator` that they have started."""

import subprocess
import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Listening:
    address: str  # for workers
    page: str  # the status page's URL; empty if it has none


def wait_until_it_listens(coordinator: "subprocess.Popen[str]") -> Listening:
    """Reads its standard error, a pipe, up to the address; the rest is read and dropped by a
    thread, for a long run says more than a pipe holds."""
    assert coordinator.stderr is not None
    said, page, address = "", "", ""
    for line in coordinator.stderr:
        said += line
        if "Status page: " in line:
            page = line.split("Status page: ")[1].strip()
        if "Listens on " in line:
            address = line.split("Listens on ")[1].split()[0]
            break
    assert address, said
    threading.Thread(target=coordinator.stderr.read, daemon=True).start()
    return Listening(address, page)
