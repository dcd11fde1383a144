"""System calls by number through the C library, for what the standard library does not offer."""

from __future__ import annotations

import ctypes
import os
from functools import cache

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
"""From <linux/prctl.h>."""


@cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | ctypes.Structure | None) -> int:
    """Make one system call.

    Args:
        number: of the call on this architecture.
        arguments: integers, buffers and structures (passed by address), None for a NULL pointer.

    Raises:
        OSError: the kernel refused the call.
    """
    library = _c_library()
    library.syscall.restype = ctypes.c_long
    words = [ctypes.c_long(argument) if isinstance(argument, int) else _address(argument) for argument in arguments]
    result: int = library.syscall(ctypes.c_long(number), *words)
    if result == -1:
        raise _last_error()
    return result


def prctl(option: int, value: int) -> None:
    """Set one attribute of this process.

    Raises:
        OSError: the kernel refused the call.
    """
    if _c_library().prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) == -1:
        raise _last_error()


def _address(argument: ctypes.Array[ctypes.c_char] | ctypes.Structure | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if argument is None else ctypes.addressof(argument))


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
