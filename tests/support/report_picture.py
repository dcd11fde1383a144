"""The picture of the report that README shows: `make pictures` takes it of the demo's report with a browser without a window."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from chromium import browser

_SIZE = "1280,1010"
_MOMENT_S = 8
"""A moment of the demo's last scene, whose pictures are in the public domain."""


def take(report: Path, picture: Path) -> None:
    """Write the top of the report's first video page, at `_MOMENT_S`, as `picture` (WebP)."""
    (page,) = (report / "videos").glob("*.html")
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "page.png"
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={_SIZE}", f"--screenshot={shot}"]
        address = f"{page.resolve().as_uri()}#t={_MOMENT_S}"
        subprocess.run([browser(), *options, address], check=True, capture_output=True, timeout=120)
        Image.open(shot).convert("RGB").save(picture, "WEBP", quality=80, method=6)


if __name__ == "__main__":
    take(Path(sys.argv[1]), Path(sys.argv[2]))
