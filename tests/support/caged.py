"""Runs Python statements in a process of their own, after that process has confined itself."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from signal import Signals
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rumiai_ray.confinement import Confinement

_PROGRAM = """
import ctypes, errno, json, mmap, os, resource, signal, socket, struct, subprocess, sys, threading
from rumiai_ray.confinement import Confinement, available, confine
given = json.loads(sys.argv[1])
library = ctypes.CDLL(None, use_errno=True)
library.syscall.restype = ctypes.c_long
def call(number, *arguments):
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = library.syscall(ctypes.c_long(number), *words)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
code = compile(sys.argv[2], "before", "exec"), compile(sys.argv[3], "inside", "exec")
exec(code[0])
if given["confinement"] is not None:
    enforced = confine(Confinement(**{k: tuple(v) if isinstance(v, list) else v for k, v in given["confinement"].items()}))
try:
    exec(code[1])
    outcome = "done"
except OSError as error:
    outcome = errno.errorcode.get(error.errno, str(error.errno))
except ImportError as error:
    outcome = f"ImportError {error}"
sys.stdout.write(outcome)
sys.stdout.flush()
os._exit(0)
"""


def outcome(
    inside: str,
    confinement: Confinement | None,
    given: Mapping[str, object] | None = None,
    *,
    before: str = "pass",
    descriptors: Sequence[int] = (),
) -> str:
    """Run `inside` after `confine(confinement)`, or without it where that is None.

    Args:
        inside: statements. They see the standard library's modules, `call(number, ...)` for system calls, and `given`.
        confinement: of the process.
        given: values that JSON can carry.
        before: statements that run before the confinement.
        descriptors: the process inherits them.

    Returns:
        "done", the name of the error number with which a statement failed, or "killed" with the name of a signal.
    """
    values = json.dumps({**(given or {}), "confinement": None if confinement is None else asdict(confinement)})
    process = subprocess.run(
        [sys.executable, "-c", _PROGRAM, values, before, inside],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
    )
    if process.returncode < 0:
        return f"killed {Signals(-process.returncode).name}"
    assert process.returncode == 0, process.stderr
    return process.stdout
