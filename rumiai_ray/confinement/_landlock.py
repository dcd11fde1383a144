"""Landlock: which files and TCP ports this process may reach. See `Documentation/userspace-api/landlock.rst` of the kernel.

Landlock binds what is opened from now on; descriptors that are open already keep working. It does not watch `stat`, `chmod`,
`utime` and UDP, which the seccomp filter refuses.
"""

from __future__ import annotations

import os
import stat
import struct
from ctypes import create_string_buffer
from typing import TYPE_CHECKING

from rumiai_ray.confinement._kernel import syscall

if TYPE_CHECKING:
    from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""The same numbers on every architecture."""
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH, _RULE_NET_PORT = 1, 2

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _MAKE_DIR = 1 << 4, 1 << 7
_MAKE_CHAR, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = 1 << 6, 1 << 9, 1 << 10, 1 << 11, 1 << 12
_EXECUTE, _TRUNCATE, _IOCTL_DEV = 1 << 0, 1 << 14, 1 << 15
_FS_BITS_BY_ABI = ((1, 13), (2, 14), (3, 15), (5, 16))
"""From which ABI on how many access rights of files exist: 1 to 12 at first, then REFER, TRUNCATE, IOCTL_DEV."""
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_SCOPE_ABSTRACT_UNIX_SOCKET, _SCOPE_SIGNAL = 1 << 0, 1 << 1

ABI_TRUNCATE, ABI_NETWORK, ABI_SCOPES = 3, 4, 6
"""First ABI that restricts truncation, TCP ports, and signals with abstract Unix sockets (Linux 6.2, 6.7, 6.12)."""


def abi() -> int:
    """The kernel's version of Landlock, at least 1.

    Raises:
        OSError: the kernel has no Landlock (ENOSYS), has it switched off (EOPNOTSUPP), or a container's filter hides it (EPERM).
    """
    return syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)


def restrict(version: int, readable: Iterable[str], writable: Iterable[str], connect_ports: Iterable[int]) -> None:
    """Bind this thread and the threads it will start, for good. `no_new_privs` must be set before.

    Args:
        version: as `abi` says.
        readable: files and directory trees that may be read.
        writable: files and directory trees that may be read and written; directories can neither be made nor removed.
        connect_ports: TCP ports that may be connected to, on any address; all others are refused from ABI 4 on.

    Raises:
        OSError: a path does not exist, or the kernel refused.
    """
    all_files = (1 << max(bits for since, bits in _FS_BITS_BY_ABI if since <= version)) - 1
    networked, scoped = version >= ABI_NETWORK, version >= ABI_SCOPES
    attributes = [
        all_files,
        *([_BIND_TCP | _CONNECT_TCP] if networked else []),
        *([_SCOPE_ABSTRACT_UNIX_SOCKET | _SCOPE_SIGNAL] if scoped else []),
    ]
    packed = struct.pack(f"={len(attributes)}Q", *attributes)
    ruleset = syscall(_CREATE_RULESET, create_string_buffer(packed, len(packed)), len(packed), 0)
    try:
        for path in readable:
            _allow_path(ruleset, path, _READ_FILE | _READ_DIR)
        no_plain_files = _REMOVE_DIR | _MAKE_DIR | _MAKE_CHAR | _MAKE_BLOCK | _MAKE_SOCK | _MAKE_FIFO | _MAKE_SYM
        written = all_files & ~(_EXECUTE | _IOCTL_DEV | no_plain_files)
        for path in writable:
            _allow_path(ruleset, path, written)
        if networked:
            for port in connect_ports:
                _add_rule(ruleset, _RULE_NET_PORT, struct.pack("=QQ", _CONNECT_TCP, port))
        syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow_path(ruleset: int, path: str, access: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):  # rights of directories are refused for a file
            access &= _READ_FILE | _WRITE_FILE | _TRUNCATE
        _add_rule(ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", access, descriptor))
    finally:
        os.close(descriptor)


def _add_rule(ruleset: int, kind: int, rule: bytes) -> None:
    syscall(_ADD_RULE, ruleset, kind, create_string_buffer(rule, len(rule)), 0)
