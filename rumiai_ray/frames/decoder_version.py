"""Which decoder made a stored frame: a digest of this package's own code and of the libraries that touch a pixel or a sample.

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
    "_locks.py", "_remote_entry.py", "_shelf.py", "_trouble.py", "cage.py", "export.py", "remote.py", "store.py", "stored.py",
}  # fmt: skip
"""Modules that only keep and hand out what others made, and the one that only confines them. Every other one counts, a new one
too: too many keys cost a decode, too few serve old frames."""


@cache
def decoder_digest() -> str:
    """SHA-256 (hex) of the decoding code and its libraries' versions; taken once per process.

    Raises:
        ConfigError: the package lies somewhere its source cannot be read.
    """
    return digest_of(Path(__file__).parent, _installed())


def digest_of(sources: Path, versions: Mapping[str, str]) -> str:
    """SHA-256 (hex) of the decoding modules in a directory and of versions.

    Args:
        sources: directory of this package's modules.
        versions: of libraries, by name.

    Raises:
        ConfigError: there is no Python source.
    """
    modules = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sources.glob("*.py") if path.name not in _WITHOUT_INFLUENCE
    }
    if not modules:
        raise ConfigError("no Python source found, so nothing can say which decoder runs", str(sources), "install the package unpacked")
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
