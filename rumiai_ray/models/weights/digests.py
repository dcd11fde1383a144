"""Digests: hash files, and hold them against the catalogue or the user's pins. Nothing is cached: a file is hashed each time."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from rumiai_ray.errors import WeightsError
from rumiai_ray.models.weights.pins import PINS, WrongDigestError, pinned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rumiai_ray.models.weights.files import WeightFile

_READ_BYTES = 8 * 2**20
"""`hashlib.file_digest` reads 0.25 MB at a time and wants the GIL for each, up to 5 ms when another thread imports: 0.8 s for 300 MB."""


def check(found: Mapping[WeightFile, Path], directories: Sequence[Path]) -> dict[str, str]:
    """Hash located files and hold them against the catalogue, or against a pin where the catalogue knows no digest.

    Returns:
        SHA-256 by role.

    Raises:
        WrongDigestError: a digest differs, or the file is neither in the catalogue with a digest nor pinned.
        WeightsError: a file or `pins.toml` cannot be read.
    """
    pins = pinned(directories) if any(file.sha256 is None for file in found) else {}
    unvouched: dict[WeightFile, str] = {}
    for (file, path), actual in zip(found.items(), digests := digests_of(found.values()), strict=True):
        known = pins.get(file.path)
        expected = file.sha256 or (known and known.sha256)
        if expected is None:
            unvouched[file] = actual
        elif actual != expected:
            hint = "remove it, then `rumiai-ray weights fetch`"
            raise WrongDigestError(f"wrong file: SHA-256 is {actual}, must be {expected}", str(path), hint)
    if unvouched:
        raise _nobody_vouches(unvouched, found)
    return {file.role: actual for file, actual in zip(found, digests, strict=True)}


def _nobody_vouches(unvouched: Mapping[WeightFile, str], found: Mapping[WeightFile, Path]) -> WrongDigestError:
    """All lines to paste at once: a user who is told of one file at a time comes back as often as there are files."""
    first = next(iter(unvouched))
    directory = found[first].parents[len(PurePosixPath(first.path).parts) - 1]
    lines = "\n".join(f'"{file.path}" = "{digest}"' for file, digest in unvouched.items())
    # On lines of their own, so that no bracket or full stop is pasted with them.
    hint = f"if you trust them, add to {directory / PINS}:\n{lines}\n"
    return WrongDigestError("this release has no digest to check them against", ", ".join(file.path for file in unvouched), hint)


def digests_of(paths: Iterable[Path]) -> list[str]:
    """SHA-256 of files, in the order given.

    Raises:
        WeightsError: a file cannot be read.
    """
    # hashlib releases the GIL: a few threads read and hash side by side.
    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(_digest, paths))


def _digest(path: Path) -> str:
    digest, room = hashlib.sha256(), memoryview(bytearray(_READ_BYTES))
    try:
        with path.open("rb", buffering=0) as stream:
            while count := stream.readinto(room):
                digest.update(room[:count])
            return digest.hexdigest()
    except OSError as error:
        raise WeightsError(f"cannot be read: {error.strerror}", str(path), "check its permissions and the disk") from error


def combined(digests: Mapping[str, str]) -> str:
    """The one digest written on rows: the file's own where there is one, else SHA-256 over the sorted lines `role:digest`."""
    if len(digests) == 1:
        return next(iter(digests.values()))
    return hashlib.sha256("\n".join(sorted(f"{role}:{digest}" for role, digest in digests.items())).encode()).hexdigest()
