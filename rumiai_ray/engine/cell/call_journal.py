"""The note an actor leaves before it starts a call, so that after its death somebody can tell which call it died of.

Every call of a dead actor, executing or queued, fails with the same `ActorUnavailableError` (measured, Ray 2.60); so the
evidence is written outside the dying process: one small file per model actor, on the node's own disk, overwritten in place.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_WIDTH = 128
"""Bytes of the one record: fixed, so that one `pwrite` replaces it whole."""


@dataclass(frozen=True)
class Note:
    """What the actor was doing when it last wrote."""

    call: str
    """Number of the call that is executing, unique to the front's incarnation; empty where none is."""
    since_s: float
    """`time.monotonic()` at its start; the clock is the node's, the same in every process."""
    starts: int
    """How often the actor's process has been started."""
    begun: int = 0
    """Calls begun since it was started last."""
    ended_s: float = 0.0
    """Time inside calls that have ended, of all its processes; a call that ended its process lasts until the next one starts."""

    @property
    def executing(self) -> bool:
        """Whether a call is under way, as far as its process has said."""
        return bool(self.call and self.begun)

    def busy_s(self, now_s: float) -> float:
        """Time inside calls until `now_s`, by the node's `time.monotonic()`: never falls, and a call under way counts."""
        return self.ended_s + (now_s - self.since_s if self.executing else 0.0)


class NoteBook:
    """The writing side, held by the actor."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # the driver made it on its own node only
        before = read(path)
        self._starts = (before.starts if before else 0) + 1
        self._begun = 0
        self._ended_s = before.busy_s(time.monotonic()) if before else 0.0
        self._since_s = 0.0
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        # What the process before this one died of stays on record until the next call begins: a lane that is slow to look
        # would otherwise find nobody to blame, and send the killer again free of charge, for ever.
        self._write(before.call if before else "")

    def begin(self, call: str) -> None:
        """Note that `call` is executing from now on."""
        self._begun += 1
        self._write(call)

    def done(self) -> None:
        """Note that the call has ended, whether it gave an answer or raised."""
        self._ended_s += time.monotonic() - self._since_s
        self._write("")

    def _write(self, call: str) -> None:
        self._since_s = time.monotonic()
        record = f"{call or '-'} {self._since_s:.6f} {self._starts} {self._begun} {self._ended_s:.6f}".encode().ljust(_WIDTH)
        os.pwrite(self._file, record, 0)


def give_up(path: Path, error_class: str, message: str, traceback: str = "") -> None:
    """Leave word that this actor is given up and why: a front that is restarted must neither wait for it nor forget the reason."""
    _grave(path).write_text(json.dumps([error_class, message, traceback]), encoding="utf-8")


def given_up(path: Path) -> tuple[str, str, str] | None:
    """(error class, message, traceback) of an actor that was given up, or None."""
    try:
        error_class, message, traceback = json.loads(_grave(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return error_class, message, traceback


def _grave(path: Path) -> Path:
    return path.with_name(f"{path.name}.given-up")


def read(path: Path) -> Note | None:
    """The last note, or None where the actor has not yet written one."""
    try:
        fields = path.read_bytes().split()
    except FileNotFoundError:
        return None
    if not fields:
        return None
    call, since, starts, begun, ended = fields
    return Note("" if call == b"-" else call.decode(), float(since), int(starts), int(begun), float(ended))
