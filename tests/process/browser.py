# SPDX-License-Identifier: Apache-2.0
"""A real browser without a window: the document after its scripts have run, and pictures of it.

    @needs_browser
    def test_page() -> None:
        assert "training" in document("http://127.0.0.1:9464/")

Chromium or Chrome on the PATH; EVERGROVE_BROWSER names another one.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def executable() -> str | None:
    given = os.environ.get("EVERGROVE_BROWSER")
    return given or next((path for name in NAMES if (path := shutil.which(name))), None)


needs_browser = pytest.mark.skipif(
    executable() is None,
    reason="needs Chromium on the PATH (apt-get install chromium), or EVERGROVE_BROWSER",
)


def visit(url: str, *flags: str, milliseconds: int = 4000) -> str:
    """Opens the URL for so long by the page's own clock; what the flags have printed."""
    program = executable()
    assert program is not None
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio"),
                *(f"--user-data-dir={profile}", "--no-first-run", "--disable-dev-shm-usage"),
                *("--hide-scrollbars", f"--virtual-time-budget={milliseconds}", *flags, url),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=120,
            check=True,
        )
    return done.stdout.decode()


def document(url: str, milliseconds: int = 4000) -> str:
    return visit(url, "--dump-dom", milliseconds=milliseconds)


def picture(url: str, to: Path, width: int, height: int, dark: bool = False) -> None:
    visit(
        url,
        f"--screenshot={to}",
        f"--window-size={width},{height}",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
    )
