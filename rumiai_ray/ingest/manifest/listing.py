"""Folders and glob patterns as inputs: the files they stand for."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from rumiai_ray.errors import InputError
from rumiai_ray.ingest.location import locate

VIDEO_ENDINGS = frozenset(
    {
        ".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts",
        ".webm", ".wmv",
    }
)  # fmt: skip
"""Endings of the files of a folder that are taken; a file that is named itself may have any."""


def files_of(text: str) -> list[str]:
    """The inputs that `text` stands for: itself, but for a folder or a pattern.

    A folder stands for the video files (`VIDEO_ENDINGS`) in it and in its subfolders, hidden ones left out; a pattern with `*`, `?`, `[…]`
    or `**` for the files that match, where no file has that very name. One that stands for no file is given back as it is: the input
    then ends as a dead letter. Sorted by path, spelled as `text` is.

    Raises:
        InputError: `locate` refuses `text`, or a folder cannot be listed.
    """
    location = locate(text)
    if location.kind != "file":
        return [text]
    if os.path.isdir(location.address):  # noqa: PTH112 -- a Path would normalise the name
        return _folder(text, location.address) or [text]
    if glob.has_magic(text) and not os.path.lexists(location.address):
        found = sorted(name for name in glob.glob(location.address, recursive=True) if Path(name).is_file())  # noqa: PTH207 -- keeps spelling
        return [_as_given(name, text, location.address) for name in found] or [text]
    return [text]


def check_folder(text: str) -> None:
    """Raises `InputError` for a folder: `files_of` found no video in it."""
    location = locate(text) if "://" not in text else None
    if location is not None and os.path.isdir(location.address):  # noqa: PTH112 -- as above
        raise InputError("a folder without video files", text, f"endings that are taken: {', '.join(sorted(VIDEO_ENDINGS))}")


def _folder(text: str, address: str) -> list[str]:
    def refuse(error: OSError) -> None:
        raise InputError(f"a folder that cannot be listed: {error.strerror}", error.filename or text, "check its permissions") from error

    found = []
    for folder, below, names in os.walk(address, onerror=refuse):
        below[:] = [name for name in below if not name.startswith(".")]
        found += [str(Path(folder, name)) for name in names if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_ENDINGS]
    return [str(Path(text) / Path(name).relative_to(address)) if not text.startswith(("file:", "~")) else name for name in sorted(found)]


def _as_given(name: str, text: str, address: str) -> str:
    """`name`, which was found below `address`, relative where `text` is."""
    return str(Path(name).relative_to(Path.cwd())) if text != address and Path(name).is_relative_to(Path.cwd()) else name
