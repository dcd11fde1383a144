"""The directory that an export fills: new or empty before, complete after, and without our files where the export failed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from rumiai_ray.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class ExportFolder:
    """Creates an export's files and their directories, each exclusively: nothing is written over, no link is followed that appears there.

    Args:
        directory: where they go; it is there and empty.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made: dict[Path, None] = {}
        self.written: list[Path] = []
        """The files created so far."""

    @contextmanager
    def file(self, name: str) -> Iterator[BinaryIO]:
        """Create a file. `name` is its path below the directory."""
        path = self._directory / name
        self._make(path.parent)
        with path.open("xb") as sink:
            self.written.append(path)
            yield sink

    def remove(self) -> None:
        """Remove the files created so far, and the directories that are empty then."""
        for path in self.written:
            path.unlink(missing_ok=True)
        for made in reversed(self._made):
            if made.is_dir() and not any(made.iterdir()):
                made.rmdir()

    def _make(self, directory: Path) -> None:
        if directory != self._directory and directory not in self._made:
            self._make(directory.parent)
            directory.mkdir()
            self._made[directory] = None


@contextmanager
def new_folder(directory: Path, of: str) -> Iterator[ExportFolder]:
    """Fill a directory. Where the work in it fails, what it wrote by then is removed.

    Args:
        directory: new or empty, so that it never mixes two runs.
        of: what is written, for the message that refuses a directory with files.

    Raises:
        ConfigError: `directory` is not empty.
        StorageError: it cannot be written.
    """
    folder = ExportFolder(directory)
    is_new = not directory.exists()
    try:
        _make_empty(directory, of)
        yield folder
    except BaseException as error:
        folder.remove()
        if is_new and directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
        if isinstance(error, OSError | pa.ArrowException):
            raise unwritable(error, directory) from error
        raise


def _make_empty(directory: Path, of: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise ConfigError("not empty", str(directory), f"choose a new directory: {of} of two runs must not mix")


@contextmanager
def removed_unless_written(path: Path) -> Iterator[None]:
    """Remove a file of our making where what it was made for goes wrong."""
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def unwritable(error: Exception, path: Path) -> StorageError:
    """What to raise where the disk, or Arrow on its way there, refuses."""
    why = getattr(error, "strerror", None) or str(error)
    return StorageError(f"cannot write the file: {why}", str(getattr(error, "filename", None) or path), "choose another place")
