"""Faults to order: which process is to come to grief, how, where in its work, over which clip, and how often.

A test arms a list of faults; whatever is on the way of the data calls `strike` at its own moments and dies if a fault is due. The
list and the marks of what has struck lie in one directory that every process of the test's Ray knows by its environment. A mark is
created exclusively, so that a fault that is due once strikes once, however many processes come by. Standard library only: the
decoding subprocess imports it too.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from typing import BinaryIO

DIRECTORY = "FAULTS_DIRECTORY"
"""The environment variable."""
ALWAYS = 0

Kind = Literal["raise", "memory", "kill", "segfault", "abort", "hang", "gil"]
"""`memory`: an allocation that is refused; `abort`: what native code does then; `gil`: a hang in native code that holds the GIL."""
KINDS: tuple[Kind, ...] = get_args(Kind)
DEATHS: tuple[Kind, ...] = ("kill", "segfault", "abort")
HANGS: tuple[Kind, ...] = ("hang", "gil")
_SIGNALS = {"kill": signal.SIGKILL, "segfault": signal.SIGSEGV, "abort": signal.SIGABRT, "hang": signal.SIGSTOP, "gil": signal.SIGSTOP}
_TOO_MUCH_BYTES = 2**50
_FOR_EVER_S = 3600


@dataclass(frozen=True)
class Fault:
    """One fault."""

    kind: Kind
    where: str
    """`extract` (the decoding subprocess), `worker` (Ray Data's), `front`, a model's name, `assemble`, `writer`, `driver`."""
    at: str
    """`start`, `middle` or `end` of the work on one clip; for the last two `before`, `mid` or `after` `data` or `record`."""
    on: int = -1
    """The clip's number; -1 for any."""
    times: int = 1
    """How often it strikes; `ALWAYS` for a clip that nobody survives."""

    def __str__(self) -> str:
        return f"{self.kind} {self.where} {self.at}{' always' if self.times == ALWAYS else ''}"


def arm(faults: list[Fault], driver: int = 0) -> None:
    """From now on these faults are due, and no others. `driver` is the process that faults of the driver strike from outside."""
    directory = _directory()
    if directory is None:
        raise RuntimeError(f"{DIRECTORY} is not set: start Ray with `chaos.ray_with_faults`")
    for mark in directory.glob("struck-*"):
        mark.unlink()
    _write(directory, faults, driver)


def drive(driver: int) -> None:
    """The driver is another process now; what has struck stays."""
    directory = _directory()
    if directory is None:
        raise RuntimeError(f"{DIRECTORY} is not set")
    _write(directory, _armed(directory)[0], driver)


def struck() -> dict[Fault, int]:
    """How often each armed fault has struck."""
    directory = _directory()
    if directory is None:
        return {}
    return {fault: len(list(directory.glob(f"struck-{number}-*"))) for number, fault in enumerate(_armed(directory)[0])}


def strike(where: str, at: str, on: int, error: Exception | None = None) -> None:
    """Commit the fault that is due here, if any. `error` is what a fault of the kind `raise` raises here."""
    fault = due(where, at, on)
    if fault is not None:
        commit(fault.kind, error)


def due(where: str, at: str, on: int) -> Fault | None:
    """The fault that is due here; it counts as struck."""
    directory = _directory()
    if directory is None:
        return None
    for number, fault in enumerate(_armed(directory)[0]):
        if (fault.where, fault.at) == (where, at) and fault.on in {-1, on} and _mark(directory, number, fault.times):
            return fault
    return None


def commit(kind: Kind, error: Exception | None = None) -> None:
    """Do it to this process."""
    match kind:
        case "raise":
            raise error or RuntimeError("a fault to order")
        case "memory":
            bytearray(_TOO_MUCH_BYTES)
        case "hang":
            time.sleep(_FOR_EVER_S)
        case "gil":
            ctypes.PyDLL(None).sleep(_FOR_EVER_S)  # PyDLL keeps the GIL
        case "kill" | "segfault" | "abort":
            os.kill(os.getpid(), _SIGNALS[kind])
            time.sleep(_FOR_EVER_S)  # the signal may be delivered to another thread


def strike_driver(at: str) -> None:
    """Commit the fault that is due to the driver, from another process. Only kinds that are signals."""
    directory = _directory()
    if directory is None:
        return
    driver = _armed(directory)[1]
    fault = due("driver", at, -1) if driver else None
    if fault is not None:
        os.kill(driver, _SIGNALS[fault.kind])


def strike_process(pid: int, kind: Kind) -> None:
    """Commit a fault that is a signal to another process."""
    with suppress(ProcessLookupError):
        os.kill(pid, _SIGNALS[kind])


def decoder(kind: Kind, at: str, job: str) -> None:
    """Be the decoding subprocess, with a fault at the start, in the middle or at the end of what it sends."""
    from rumiai_ray.frames.decode import child as _decoder  # noqa: PLC0415 -- heavy, and only this subprocess needs it
    from rumiai_ray.frames.decode import wire as _wire  # noqa: PLC0415 -- heavy, and only this subprocess needs it

    send = _wire.send

    def faulty_send(pipe: BinaryIO, header: dict[str, Any], payload: bytes | memoryview = b"") -> None:
        if at == "start" or (at == "middle" and header["kind"] == "sound") or (at == "end" and header["kind"] == "done"):
            commit(kind)
        send(pipe, header, payload)

    _decoder.send = faulty_send  # type: ignore[attr-defined]  # imported there, not exported
    _decoder.main(job)


def _directory() -> Path | None:
    name = os.environ.get(DIRECTORY)
    return Path(name) if name else None


def _write(directory: Path, faults: list[Fault], driver: int) -> None:
    fresh = directory / "armed.new"
    fresh.write_text(json.dumps({"driver": driver, "faults": [asdict(fault) for fault in faults]}), encoding="utf-8")
    fresh.replace(directory / "armed.json")


def _armed(directory: Path) -> tuple[list[Fault], int]:
    try:
        found = json.loads((directory / "armed.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [], 0
    return [Fault(**fault) for fault in found["faults"]], found["driver"]


def _mark(directory: Path, number: int, times: int) -> bool:
    count = 0
    while times == ALWAYS or count < times:
        try:
            (directory / f"struck-{number}-{count}").touch(exist_ok=False)
        except FileExistsError:
            count += 1
        else:
            return True
    return False
