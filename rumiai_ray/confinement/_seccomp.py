"""Installing a seccomp filter in the calling process."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from rumiai_ray.confinement._kernel import syscall

if TYPE_CHECKING:
    from rumiai_ray.confinement._syscalls import Architecture

_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2
_FLAG_TSYNC = 1
_ACTION_ERRNO = 0x00050000


class _FilterProgram(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def probe(machine: Architecture) -> None:
    """Ask whether the kernel takes filters.

    Raises:
        OSError: it does not.
    """
    action = ctypes.create_string_buffer(_ACTION_ERRNO.to_bytes(4, "little"), 4)
    syscall(machine.numbers["seccomp"], _GET_ACTION_AVAIL, 0, action)


def install(machine: Architecture, instructions: bytes) -> None:
    """Bind every thread of this process, for good. `no_new_privs` must be set before.

    Args:
        machine: where it runs.
        instructions: a program of `_bpf.program`.

    Raises:
        OSError: the kernel refused the program.
        RuntimeError: a thread has another filter and could not be bound.
    """
    code = ctypes.create_string_buffer(instructions, len(instructions))
    program = _FilterProgram(len(instructions) // 8, ctypes.addressof(code))
    unbound_thread = syscall(machine.numbers["seccomp"], _SET_MODE_FILTER, _FLAG_TSYNC, program)
    if unbound_thread:
        raise RuntimeError(f"thread {unbound_thread} cannot be bound by the seccomp filter")
