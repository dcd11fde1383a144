"""Which process a process ID meant, told by facts that a change of the system's clock does not move."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

_PROC = Path("/proc")
_START_FIELD = 19
"""Of `/proc/PID/stat` behind the command's closing parenthesis: field 22 in `proc(5)`."""
_ENDED = {"Z", "X", "x"}


@dataclass(frozen=True)
class ProcessId:
    """A process, distinguished from every later process with the same number.

    `psutil.Process.create_time` is computed from the wall clock: a clock step made a living process look like another one.
    """

    pid: int
    start_ticks: int
    """Clock ticks from the boot of the machine to the start of the process."""
    boot_id: str
    """The kernel's random name of this boot: ticks of two boots cannot be compared."""

    @classmethod
    def of(cls, pid: int) -> Self:
        """The process that has this number now.

        Raises:
            ProcessLookupError: no process has, or the process has ended and waits for its parent.
        """
        try:
            state, *fields = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError) as error:
            raise ProcessLookupError(pid) from error
        if state in _ENDED:
            raise ProcessLookupError(pid)
        boot_id = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return cls(pid, int(fields[_START_FIELD - 1]), boot_id)

    @property
    def lives(self) -> bool:
        """Whether the process runs still."""
        try:
            return type(self).of(self.pid) == self
        except ProcessLookupError:
            return False
