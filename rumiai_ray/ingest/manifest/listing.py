"""Folders and glob patterns as inputs: the files they stand for."""

from __future__ import annotations

import glob
import logging
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rumiai_ray.errors import InputError
from rumiai_ray.ingest.cleaning import NAME_CHARS, cleaned
from rumiai_ray.ingest.location import locate

_LOG = logging.getLogger(__name__)

VIDEO_ENDINGS = frozenset(
    {
        ".3g2", ".3gp", ".asf", ".avi", ".dv", ".f4v", ".flv", ".m2t", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg",
        ".mts", ".mxf", ".ogv", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv",
    }
)  # fmt: skip
PICTURE_ENDINGS = frozenset({".apng", ".avif", ".bmp", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
SOUND_ENDINGS = frozenset(
    {
        ".aac", ".aif", ".aiff", ".amr", ".au", ".caf", ".flac", ".m4a", ".m4b", ".mka", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".weba",
        ".wma",
    }
)  # fmt: skip
MEDIA_ENDINGS = VIDEO_ENDINGS | PICTURE_ENDINGS | SOUND_ENDINGS
"""Endings of the files of a folder that are taken; a file that is named itself may have any. Each belongs to a format that the decoder
takes: `frames.decode.container` and `picture_files` list those."""
_ENDINGS_NAMED = 10


@dataclass(frozen=True)
class ListedFile:
    """One input that a folder, a pattern or a single path stands for."""

    name: str
    """Spelled as the argument was; `locate` leads from it to `address`. A file's name may be no valid UTF-8."""
    address: str
    """As `Location.address`."""


def files_of(text: str) -> list[ListedFile]:
    """The inputs that `text` stands for: itself, but for a folder or a pattern.

    A folder stands for the videos, pictures and sound (`MEDIA_ENDINGS`) in it and in its subfolders, hidden ones left out; a warning in the
    log says what else there is. A pattern with `*`, `?`, `[…]`
    or `**` for the files that match, where no file has that very name. One that stands for no file is given back as it is: the input
    then ends as a dead letter. Sorted by path, spelled as `text` is.

    Raises:
        InputError: `locate` refuses `text`, or a folder cannot be listed.
    """
    location = locate(text)
    if location.kind != "file":
        return [ListedFile(text, location.address)]
    if os.path.isdir(location.address):  # noqa: PTH112 -- a Path would normalise the name
        return _folder(text, location.address) or [ListedFile(text, location.address)]
    if glob.has_magic(text) and not os.path.lexists(location.address):
        found = sorted(name for name in glob.glob(location.address, recursive=True) if Path(name).is_file())  # noqa: PTH207 -- keeps spelling
        if found:
            return [ListedFile(_as_given(name, text, location.address), name) for name in found]
    return [ListedFile(text, location.address)]


def check_folder(text: str) -> None:
    """Raises `InputError` for a folder: `files_of` found nothing in it."""
    location = locate(text) if "://" not in text else None
    if location is not None and os.path.isdir(location.address):  # noqa: PTH112 -- as above
        raise InputError("a folder without videos, pictures or sound", text, f"accepted endings: {', '.join(sorted(MEDIA_ENDINGS))}")


def _folder(text: str, address: str) -> list[ListedFile]:
    def refuse(error: OSError) -> None:
        raise InputError(f"a folder that cannot be listed: {error.strerror}", error.filename or text, "check its permissions") from error

    found: list[str] = []
    left_out: Counter[str] = Counter()
    for folder, below, names in os.walk(address, onerror=refuse):
        below[:] = [name for name in below if not name.startswith(".")]
        for name in names:
            ending = Path(name).suffix.lower()
            if name.startswith("."):
                left_out["hidden"] += 1
            elif ending in MEDIA_ENDINGS:
                found.append(str(Path(folder, name)))
            else:
                left_out[ending or "without an ending"] += 1
    if found and left_out:
        taken = "taking 1 file" if len(found) == 1 else f"taking {len(found)} files"
        _LOG.warning("%s: %s, %d left out: %s", text, taken, left_out.total(), _told(left_out))
    keeps_address = text.lower().startswith(("file:", "~"))
    return [ListedFile(name if keeps_address else _relative(Path(text) / Path(name).relative_to(address)), name) for name in sorted(found)]


def _told(left_out: Counter[str]) -> str:
    often_first = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{count} {cleaned(ending, NAME_CHARS)}" for ending, count in often_first[:_ENDINGS_NAMED]]
    return ", ".join([*named, *(["…"] if len(left_out) > _ENDINGS_NAMED else [])])


def _as_given(name: str, text: str, address: str) -> str:
    """`name`, which was found below `address`, relative where `text` is."""
    return _relative(Path(name).relative_to(Path.cwd())) if text != address and Path(name).is_relative_to(Path.cwd()) else name


def _relative(path: Path) -> str:
    """`path` spelled so that no `~` at its beginning is read as a home directory."""
    return f"./{path}" if str(path).startswith("~") else str(path)
