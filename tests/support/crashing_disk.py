"""A process that dies, a power cut or a failing disk at the n-th change to a directory, in this process and without waiting for the disk.

Everything that changes files goes through `open` for writing, `os.mkdir`, `os.fsync`, `os.link`, `os.replace`, `os.unlink`: these are
replaced for paths under the directory. Once the process is dead nothing it still tries has any effect.

A power cut is modelled at its worst: of what was not synced nothing is left, or (`names kept`) empty files are; a name that a rename took
over has its old content. What an earlier process
left counts as synced: the kernel writes it back within half a minute.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pytest import MonkeyPatch  # noqa: PT013 -- the class, not the module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

End = Literal["killed", "power cut", "power cut, names kept", "error"]
"""What happens instead of the n-th operation. Of a write half is done first. `error`: the disk reports one, once, and the process lives."""


class Crash(BaseException):
    """The process is dead. No product code catches it."""


class CrashingDisk:
    """The file operations under a directory.

    Args:
        root: the directory; its own entry is taken for durable.
        at: number of the operation that is not done any more; None for an undisturbed process that is only watched.
        end: what happens instead.
    """

    def __init__(self, root: Path, at: int | None = None, end: End = "killed") -> None:
        self.root = root
        self.operations: list[str] = []
        """What was done, in words, relative to `root`."""
        self.written: dict[Path, int] = {}
        """Bytes written to each file that is there."""
        self._at = at
        self._end = end
        self._dead = False
        self._unsynced_names: list[Path] = []
        self._unsynced_content: set[Path] = set()
        self._replaced: dict[Path, bytes] = {}
        """What was durable under a name that a rename has taken over since, until that is durable."""

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Watch, and end the process at its time; `Crash` ends here, and the power goes where it is to go."""
        with MonkeyPatch.context() as replaced:
            for module in (builtins, io):
                replaced.setattr(module, "open", self._open(builtins.open))
            replaced.setattr(os, "mkdir", self._on_path("make", os.mkdir, self._made))
            replaced.setattr(os, "link", self._link(os.link))
            replaced.setattr(os, "replace", self._replace(os.replace))
            for name in ("unlink", "remove"):
                replaced.setattr(os, name, self._on_path("remove", os.unlink, self._removed))
            replaced.setattr(os, "fsync", self._fsync(os.fsync))
            with suppress(Crash):
                yield
        if self._dead and self._end.startswith("power cut"):
            self._cut_power(keep_names=self._end.endswith("names kept"))

    def operate(self, what: str, path: Path, effect: Callable[[], T], half: Callable[[], object] | None = None) -> T:
        """Do one operation, or end."""
        if self._dead:
            raise Crash
        number = len(self.operations)
        self.operations.append(f"{what} {path.relative_to(self.root)}")
        if number != self._at:
            return effect()
        if half is not None:
            half()
        if self._end == "error":
            raise OSError(errno.EIO, "Input/output error", str(path))
        self._dead = True
        raise Crash

    def write(self, path: Path, data: memoryview, write: Callable[[memoryview], int]) -> int:
        """Write to a file; a dead process's buffers go nowhere."""
        if self._dead:
            return len(data)
        if path not in self.written:
            return write(data)  # removed while it was open

        def put(part: memoryview) -> int:
            self.written[path] += len(part)
            self._unsynced_content.add(path)
            return write(part)

        return self.operate("write", path, lambda: put(data), lambda: put(data[: len(data) // 2]))

    def _here(self, path: Any) -> Path | None:
        if isinstance(path, int):
            return None
        absolute = Path(os.fsdecode(path)).absolute()
        return absolute if absolute.is_relative_to(self.root) else None

    def _open(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def open_(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            path = self._here(file)
            if path is None or not set(mode) & set("wxa+"):
                return real(file, mode, *args, **kwargs)
            assert mode in {"xb", "wb"}, f"the crashing disk does not know mode {mode!r} yet"
            return io.BufferedWriter(self.operate("create", path, lambda: self._created(path, mode)))

        return open_

    def _created(self, path: Path, mode: str) -> _File:
        file = _File(self, path, mode.replace("b", ""))
        self.written[path] = 0
        self._unsynced_content.add(path)
        self._unsynced_names.append(path)
        return file

    def _on_path(self, what: str, real: Callable[..., None], done: Callable[[Path], None]) -> Callable[..., None]:
        def call(path: Any, *args: Any, **kwargs: Any) -> None:
            here = self._here(path)
            if here is None:
                real(path, *args, **kwargs)
                return
            self.operate(what, here, lambda: real(path, *args, **kwargs))
            done(here)

        return call

    def _made(self, path: Path) -> None:
        self._unsynced_names.append(path)

    def _removed(self, path: Path) -> None:
        self.written.pop(path, None)
        self._unsynced_content.discard(path)
        if path in self._unsynced_names:
            self._unsynced_names.remove(path)

    def _link(self, real: Callable[..., None]) -> Callable[..., None]:
        def link(source: Any, target: Any, **kwargs: Any) -> None:
            here, there = self._here(source), self._here(target)
            assert here
            assert there
            self.operate("link", there, lambda: real(source, target, **kwargs))
            self.written[there] = self.written[here]
            self._unsynced_names.append(there)
            if here in self._unsynced_content:
                self._unsynced_content.add(there)

        return link

    def _replace(self, real: Callable[..., None]) -> Callable[..., None]:
        def replace(source: Any, target: Any) -> None:
            here, there = self._here(source), self._here(target)
            assert here
            assert there
            before = there.read_bytes() if there.exists() and there not in self._unsynced_names else None
            self.operate("replace", there, lambda: real(source, target))
            if before is not None:
                self._replaced[there] = before
            self.written[there] = self.written.pop(here)
            self._unsynced_names = [there if name == here else name for name in (*self._unsynced_names, there)]
            if here in self._unsynced_content:
                self._unsynced_content.discard(here)
                self._unsynced_content.add(there)

        return replace

    def _fsync(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def fsync(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if not path.is_relative_to(self.root):
                real(descriptor)
                return
            self.operate("sync", path, lambda: None)
            self._unsynced_content.discard(path)
            self._unsynced_names = [name for name in self._unsynced_names if name.parent != path]
            self._replaced = {name: data for name, data in self._replaced.items() if name.parent != path}

        return fsync

    def _cut_power(self, *, keep_names: bool) -> None:
        for path in self._unsynced_content:
            os.truncate(path, 0)
        for path in [] if keep_names else reversed(self._unsynced_names):
            if path in self._replaced:
                path.write_bytes(self._replaced[path])
            else:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


class _File(io.FileIO):
    def __init__(self, disk: CrashingDisk, path: Path, mode: str) -> None:
        super().__init__(path, mode)
        self._disk = disk
        self._path = path

    def write(self, data: Any) -> int:
        return self._disk.write(self._path, memoryview(data).cast("B"), super().write)
