"""Local files: opened only when they are regular files, used in place, known by their hash."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from rumiai_ray.errors import InputError, MediaError
from rumiai_ray.ingest.video import FetchedVideo, VideoMetadata

if TYPE_CHECKING:
    from io import BufferedReader

    from rumiai_ray.ingest.limits import FetchLimits

_KINDS = (
    (stat.S_ISDIR, "a directory, not a file", "a folder given as an argument stands for its videos, pictures and sound; this one has none"),
    (stat.S_ISFIFO, "a named pipe, not a file", "write its content to a file first"),
    (stat.S_ISSOCK, "a socket, not a file", "name a video file"),
    (stat.S_ISCHR, "a device, not a file", "name a video file"),
    (stat.S_ISBLK, "a device, not a file", "name a video file"),
)

_ERRNOS = {
    errno.ENOENT: ("no such file", "check the path; relative paths start at the working directory"),
    errno.ENOTDIR: ("no such file: a part of the path is not a directory", "check the path"),
    errno.EACCES: ("no permission to read the file", "give this user read permission, also for the directories above"),
    errno.EPERM: ("no permission to read the file", "give this user read permission"),
    errno.ELOOP: ("symbolic links that lead in a circle", "name the file itself"),
    errno.ENAMETOOLONG: ("a name longer than the file system allows", "check the path"),
}

_NOT_A_PATH = (
    (
        re.compile(r"(?://)?(?:https?:|(?:[a-z0-9-]+\.)+(?:com|net|org|tv|be|co|io|ru|cn|jp|kr|de|fr|uk))/", re.IGNORECASE),
        "web addresses begin with https://",
    ),
    (re.compile(r"[A-Za-z]:[\\/]"), "this is a Windows path; under WSL, drive C: is /mnt/c, with / between folders"),
)
"""What a path that leads nowhere was meant as, by how the text that was given begins."""


def open_regular(path: str, given: str = "") -> BufferedReader:
    """Open a regular file for reading; symbolic links are followed.

    Args:
        path: absolute.
        given: the text that `path` was made of, which tells what may have been meant.

    Raises:
        InputError: missing, no permission, or no regular file. Pipes and devices are not opened: that can hang or act.
    """
    try:
        _check_kind(os.stat(path).st_mode, path)  # noqa: PTH116 -- a Path would normalise the name that the user must recognise
        # O_NONBLOCK, and the second look: between the two the file may have become a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _check_kind(os.fstat(descriptor).st_mode, path)
        except InputError:
            os.close(descriptor)
            raise
        return os.fdopen(descriptor, "rb")
    except OSError as error:
        what, hint = _ERRNOS.get(error.errno or 0, (f"cannot be read: {error.strerror}", "check the disk and the mount"))
        if error.errno == errno.ENOENT and os.path.islink(path):  # noqa: PTH114 -- as above
            what, hint = "a symbolic link to a file that does not exist", "mount or restore what it points to"
        elif error.errno in {errno.ENOENT, errno.ENOTDIR}:
            hint = next((better for spelling, better in _NOT_A_PATH if spelling.match(given)), hint)
        raise InputError(what, path, hint) from error


def _check_kind(mode: int, path: str) -> None:
    for is_kind, what, hint in _KINDS:
        if is_kind(mode):
            raise InputError(what, path, hint)


def local_video(path: str, limits: FetchLimits, metadata: VideoMetadata | None = None, given: str = "") -> FetchedVideo:
    """The video in a local file, left where it is.

    Args:
        path: absolute.
        limits: of which only `max_bytes` matters here.
        metadata: what is known about it; nothing for a file the user named.
        given: see `open_regular`.

    Raises:
        InputError: it cannot be opened or read.
        MediaError: it is empty or larger than the limit.
    """
    with open_regular(path, given) as stream:
        size_bytes = os.fstat(stream.fileno()).st_size
        check_size(size_bytes, path, limits)
        try:
            digest = hashlib.file_digest(stream, "sha256")
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", path, "check the disk and the mount") from error
    return FetchedVideo(digest.hexdigest(), Path(path), size_bytes, metadata or VideoMetadata())


def check_size(size_bytes: int, subject: str, limits: FetchLimits) -> None:
    """Raises `MediaError` where there are no bytes or more than `limits.max_bytes`."""
    if size_bytes == 0:
        raise MediaError("the file is empty", subject, "fetch or export the video again")
    if size_bytes > limits.max_bytes:
        raise too_large(subject, limits)


def too_large(subject: str, limits: FetchLimits) -> MediaError:
    """The error for a video over `limits.max_bytes`."""
    return MediaError(f"larger than {limits.max_bytes / 1024**2:g} MB", subject, "raise --limits-max-input-mb, or cut the video")
