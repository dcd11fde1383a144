"""Pins: digests that the user vouches for, by hand in a weights directory or by a fetch that trusted a file on first use."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rumiai_ray.errors import WeightsError
from rumiai_ray.models.weights.places import user_pins

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PINS = "pins.toml"
"""File of a weights directory in which its owner vouches for files whose digest this release does not know."""
_LINES = 'lines are: "path" = "sha256", or "path" = { sha256 = "…", commit = "…" }, one for each path'


class WrongDigestError(WeightsError):
    """A file is there, but is not the one the catalogue (or a pin) names."""


@dataclass(frozen=True)
class Pin:
    """What is known of one file."""

    sha256: str
    commit: str | None = None
    """The commit of the hub's repository that the file was fetched at."""


def pinned(directories: Sequence[Path]) -> dict[str, Pin]:
    """Pins by path. The user's own file counts before those of `directories`, an earlier directory before a later one.

    Raises:
        WeightsError: a file of pins cannot be read.
    """
    pins: dict[str, Pin] = {}
    for file in (*(directory / PINS for directory in reversed(directories)), user_pins()):
        pins |= _read(file)
    return pins


def pin(path: str, new: Pin, remark: str) -> Path:
    """Note in the user's own file that `path` has this digest; returns the file.

    Another process may have fetched the same path meanwhile and noted it first: then its line stays the only one, and its digest counts.

    Args:
        path: of the weights file, relative to a weights directory.
        new: its digest, and the commit that the hub resolved.
        remark: one line on where the file comes from and its licence.

    Raises:
        WrongDigestError: the file says already that `path` has another digest.
        WeightsError: the file cannot be written, or is no file of pins.
    """
    file = user_pins()
    commit = f', commit = "{new.commit}"' if new.commit else ""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _alone(file):
            kept = _read(file).get(path)  # a file that cannot be read is not written over
            if kept is not None:
                _see_that_it_is(new, kept, path, file)
                return file
            before = file.read_text(encoding="utf-8") if file.exists() else ""
            part = file.with_suffix(".part")
            said = " ".join(remark.split())
            part.write_text(f'{before}# {said}\n"{path}" = {{ sha256 = "{new.sha256}"{commit} }}\n', encoding="utf-8")
            part.replace(file)
    except OSError as error:
        hint = "the digest of a file that is trusted on first use must be kept: make the directory writable, or set XDG_CONFIG_HOME"
        raise WeightsError(f"cannot be written: {error.strerror}", str(file), hint) from error
    return file


def _see_that_it_is(new: Pin, kept: Pin, path: str, file: Path) -> None:
    if new.sha256 != kept.sha256:
        what = f"gave a file whose SHA-256 is {new.sha256}, and another fetch has just trusted {kept.sha256} ({file})"
        raise WrongDigestError(what, path, "nothing was kept; fetch again, and ask its source if that fails too")


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    lock = os.open(file.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _read(file: Path) -> dict[str, Pin]:
    try:
        read = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WeightsError(f"cannot be read: {error}", str(file), _LINES) from error
    return {name: _pin_of(name, value, file) for name, value in read.items()}


def _pin_of(name: str, value: object, file: Path) -> Pin:
    digest, commit = (value.get("sha256"), value.get("commit")) if isinstance(value, dict) else (value, None)
    if not (isinstance(digest, str) and re.fullmatch("[0-9a-fA-F]{64}", digest)):
        raise WeightsError(f"the digest pinned for {name} is not a SHA-256", str(file), _LINES)
    if not (commit is None or (isinstance(commit, str) and re.fullmatch("[0-9a-fA-F]{40}", commit))):
        raise WeightsError(f"the commit pinned for {name} is not a commit hash of 40 hex digits", str(file), _LINES)
    return Pin(digest.lower(), commit)
