"""Which decoder made a stored frame: a digest of the decoding code and of the libraries that touch a pixel or a sample.

A version number raised by hand is forgotten the one time it matters, and frames of the old code then pass for frames of the new.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIBRARIES = (
    "av",
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "pillow",
    "pillow-heif",
)
"""Distributions that decode, scale and encode. PyAV's wheels bring FFmpeg along; OpenCV comes under any of four names."""
_WITHOUT_INFLUENCE = {
    "frames/decode/cage.py",
    "frames/export.py",
    "frames/shared/entry.py",
    "frames/shared/store.py",
    "frames/store/locks.py",
    "frames/store/shelf.py",
    "frames/store/store.py",
    "frames/store/stored.py",
    "frames/store/trouble.py",
}
"""Modules of `frames` that only keep, hand out or confine, by path in `rumiai_ray`. Every other module of `frames` counts, a new one too:
too many keys cost a decode, too few serve stale frames."""
_OUTSIDE_FRAMES = ("ingest/slide_show.py", "ingest/stated_length.py")
"""Modules of other packages that give facts which the decoder stores, by path in `rumiai_ray`. A test walks the decoder's imports and fails
if one of them is missing here."""


@cache
def decoder_digest() -> str:
    """SHA-256 (hex) of the decoding code and its libraries' versions; taken once per process.

    Raises:
        ConfigError: the package lies somewhere its source cannot be read.
    """
    return digest_of(Path(__file__).parents[1], _installed())


def digest_of(sources: Path, versions: Mapping[str, str]) -> str:
    """SHA-256 (hex) of the decoding modules in a directory and of versions.

    Args:
        sources: directory of the package `rumiai_ray`.
        versions: of libraries, by name.

    Raises:
        ConfigError: a decoding module's Python source is missing.
    """
    frames = {path.relative_to(sources).as_posix() for path in (sources / "frames").rglob("*.py")}
    names = (frames - _WITHOUT_INFLUENCE).union(_OUTSIDE_FRAMES)
    missing = [name for name in _OUTSIDE_FRAMES if not (sources / name).is_file()]
    if not frames or missing:
        what = f"no Python source of {missing[0] if frames else 'frames'} found, so nothing can say which decoder runs"
        raise ConfigError(what, str(sources), "install the package unpacked")
    modules = {name: hashlib.sha256((sources / name).read_bytes()).hexdigest() for name in names}
    text = json.dumps({"modules": modules, "versions": dict(versions)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _installed() -> dict[str, str]:
    """Version of each of `_LIBRARIES` that is installed."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 -- the decoding subprocess does without it

    versions = {}
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return versions
