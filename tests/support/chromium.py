"""Pages opened in a real browser without a window."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT_S = 240


def browser() -> str:
    """The browser's program; the test is skipped where there is none, except in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found or os.environ.get("CI") != "true", "CI must not skip the browser: .ci/run installs chromium"
    if found is None:
        pytest.skip("no browser: Debian package chromium")
    return found


def rendered(page: Path, workplace: Path, *, anchor: str = "", width_px: int = 1280) -> str:
    """The page's document as it is once its script has run, as HTML.

    Args:
        page: the file.
        workplace: where the browser may write.
        anchor: what stands after `#` in the address.
        width_px: of the window.
    """
    address = page.as_uri() + (f"#{anchor}" if anchor else "")
    command = [
        browser(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
        f"--user-data-dir={workplace / 'profile'}", f"--window-size={width_px},900", "--virtual-time-budget=2000", "--dump-dom", address,
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_TIMEOUT_S)
    return ended.stdout
