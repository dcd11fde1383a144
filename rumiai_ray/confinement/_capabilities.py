"""Linux capabilities: what root, and a process in a container that is root, may do beyond its files' permissions."""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING

from rumiai_ray.confinement._kernel import syscall

if TYPE_CHECKING:
    from rumiai_ray.confinement._syscalls import Architecture

_VERSION_3 = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1 << 1, 1 << 2


def drop(machine: Architecture, *, keep_file_access: bool) -> None:
    """Give up the calling thread's capabilities, for good.

    Args:
        machine: where it runs.
        keep_file_access: keep those that open files whatever their permissions say, where the process has them: root may run this
            package from the home directory of another user. Landlock still bounds which files.

    Raises:
        OSError: the kernel refused the call.
    """
    header = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0), 8)
    data = ctypes.create_string_buffer(24)  # low words of effective, permitted, inheritable; then the high words
    syscall(machine.numbers["capget"], header, data)
    effective, permitted = struct.unpack_from("=II", data)
    kept = (_DAC_OVERRIDE | _DAC_READ_SEARCH) if keep_file_access else 0
    struct.pack_into("=6I", data, 0, effective & kept, permitted & kept, 0, 0, 0, 0)
    syscall(machine.numbers["capset"], header, data)
