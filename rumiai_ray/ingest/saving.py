"""A download on its way to disk: hashed and counted as it is written, whole or not there at all."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from rumiai_ray.errors import StorageError
from rumiai_ray.ingest.local import check_size, too_large
from rumiai_ray.ingest.video import FetchedVideo, VideoMetadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rumiai_ray.ingest.limits import FetchLimits

NAME = "video"
"""Name of a download in its folder. Never taken from the source: that is where traversal and odd suffixes come from."""
PICTURES_NAME, SOUND_NAME = "pictures", "sound"
"""Names of a download whose pictures and sound are two files, until `NAME` holds both."""
MAX_IMAGES = 100
"""Most images of a post that are fetched. TikTok allows 35 and Instagram 20."""
MAX_IMAGE_BYTES = 32 * 2**20
"""Largest file of an image. Sites re-encode what is uploaded: theirs have 1 MB at most."""
IMAGE_NAMES = tuple(f"image-{number}" for number in range(1, MAX_IMAGES + 1))
"""Names of the images of a post by their place in it, until `NAME` holds all of them."""


@dataclass
class Saving:
    """An open `.part` file."""

    subject: str
    limits: FetchLimits
    _stream: IO[bytes]

    def __post_init__(self) -> None:
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            MediaError: more bytes than the limit.
            StorageError: the disk is full or broken.
        """
        self.size_bytes += len(data)
        if self.size_bytes > self.limits.max_bytes:
            raise too_large(self.subject, self.limits)
        self._digest.update(data)
        try:
            self._stream.write(data)
        except OSError as error:
            raise storage_error(error, self._stream.name) from error

    @property
    def sha256(self) -> str:
        """Of what was written so far, hex."""
        return self._digest.hexdigest()


@contextmanager
def saving(folder: Path, subject: str, limits: FetchLimits) -> Iterator[Saving]:
    """A file under a temporary name in `folder`, which gets its name when the block ends well and is removed when it does not.

    Raises:
        MediaError: nothing was written, or more than the limit.
        StorageError: the folder cannot be written.
    """
    part = folder / f"{NAME}.part"
    try:
        try:
            stream = part.open("wb")
        except OSError as error:
            raise storage_error(error, str(part)) from error
        with stream:
            under_way = Saving(subject, limits, stream)
            yield under_way
            try:
                stream.flush()
            except OSError as error:
                raise storage_error(error, str(part)) from error
        check_size(under_way.size_bytes, subject, limits)
        part.replace(folder / NAME)
    finally:
        part.unlink(missing_ok=True)


def saved_video(folder: Path, saved: Saving, metadata: VideoMetadata) -> FetchedVideo:
    """The video that `saving` left in `folder`."""
    return FetchedVideo(saved.sha256, folder / NAME, saved.size_bytes, metadata)


def storage_error(error: OSError, path: str) -> StorageError:
    """The error for a work directory that cannot be written."""
    return StorageError(f"cannot be written: {error.strerror or error}", path, "free space there, or choose another work directory")
