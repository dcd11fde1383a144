"""What a process that handles strangers' bytes may cost, and that the process never outlives its parent.

`confine` bounds what a process reaches, `limit_process` what the process uses; a worker calls both before its first foreign byte.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import sys

from rumiai_ray.confinement._kernel import PR_SET_PDEATHSIG, prctl


def limit_process(*, memory_bytes: int, cpu_s: float, file_bytes: int, open_files: int, parent_pid: int) -> None:
    """Bind the calling process to these limits for good, and to the life of its parent. A stricter limit set from outside stays.

    The kernel kills the process when the thread that started it ends. The process dumps no core.

    Args:
        memory_bytes: address space.
        cpu_s: CPU time in seconds; the kernel ends the process with SIGXCPU after it, with SIGKILL a second later.
        file_bytes: size of the largest file the process may write; 0 for none.
        open_files: most file descriptors at a time.
        parent_pid: the process that started this one; this process ends at once where the parent is gone already.
    """
    whole_cpu_s = max(1, math.ceil(cpu_s))
    for what, soft, hard in (
        (resource.RLIMIT_AS, memory_bytes, memory_bytes),
        (resource.RLIMIT_CPU, whole_cpu_s, whole_cpu_s + 1),
        (resource.RLIMIT_FSIZE, file_bytes, file_bytes),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, open_files, open_files),
    ):
        _, allowed = resource.getrlimit(what)
        if allowed != resource.RLIM_INFINITY:
            soft, hard = min(soft, allowed), min(hard, allowed)  # noqa: PLW2901 -- a stricter limit set from outside stays
        resource.setrlimit(what, (soft, hard))
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # the parent died before the line above
            os._exit(1)
