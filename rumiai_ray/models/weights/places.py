"""The directories of this user: the cache with fetched weights, and the file with the digests that this user trusts."""

from __future__ import annotations

import os
import stat
import tempfile
from functools import cache
from pathlib import Path

DIRECTORY_VARIABLE = "RUMIAI_WEIGHTS_DIR"


def user_cache() -> Path:
    """The per-user cache directory of this package, by the XDG base directory specification."""
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else _home() / ".cache") / "rumiai_ray"


def user_pins() -> Path:
    """The file in which `weights fetch` notes the digests of files that it trusted on first use: the user's own, never a shared one."""
    named = os.environ.get("XDG_CONFIG_HOME")
    return (Path(named) if named else _home() / ".config") / "rumiai_ray" / "pins.toml"


def default_directories(named: Path | None = None) -> tuple[Path, ...]:
    """Where weights are looked for, in order: the directory named, then the user's cache (where `fetch` puts them).

    Args:
        named: None for the one in `RUMIAI_WEIGHTS_DIR`, if any.
    """
    variable = os.environ.get(DIRECTORY_VARIABLE)
    first = named or (Path(variable).expanduser() if variable else None)
    cache_directory = user_cache() / "weights"
    return (cache_directory,) if first in {None, cache_directory} else (first, cache_directory)


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # neither HOME nor an entry in the passwd database: `docker run --user 12345`
        return _substitute()


@cache
def _substitute() -> Path:
    """A directory for a user without a home. Nobody else can have prepared it: what lies there is trusted like a home directory."""
    folder = Path(tempfile.gettempdir()) / f"rumiai-ray-home-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        seen = folder.lstat()
    except OSError:  # a file in the way, or a temporary directory that nobody may write to
        return Path(tempfile.mkdtemp(prefix="rumiai-ray-home-"))
    ours = stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.getuid() and not seen.st_mode & 0o077
    return folder if ours else Path(tempfile.mkdtemp(prefix="rumiai-ray-home-"))
