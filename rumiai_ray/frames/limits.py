"""What decoding one video may cost. Decoders are large native code fed with strangers' bytes: they hang, crash and balloon."""

from __future__ import annotations

from dataclasses import dataclass

from rumiai_ray.confinement.process_limits import limit_process

_MAX_OPEN_FILES = 64


@dataclass(frozen=True)
class DecodeLimits:
    """Bounds of one decoding subprocess. Reaching one ends that video with a `MediaError` that names the setting."""

    wall_s: float = 300.0
    """Seconds by the clock (setting `decode_timeout_s`)."""
    cpu_s: float = 300.0
    """Seconds of CPU (setting `decode_timeout_s`)."""
    memory_bytes: int = 4096 * 2**20
    """Address space of the subprocess (setting `decode_memory_mb`); about 300 MiB of it are Python and the libraries."""
    max_pixels: int = 8192 * 4320
    """Pixels of one decoded frame (setting `max_pixels`)."""
    max_duration_s: float = 1800.0
    """Length of the video (setting `max_duration_s`)."""
    max_frames: int = 300_000
    """Decoded frames (setting `max_frames`)."""
    max_file_bytes: int = 2 * 2**30
    """Size of the file (setting `max_input_mb`)."""
    reserve_bytes: int = 1024**3
    """Free space that the disk of the frame store keeps (setting `disk_reserve_mb`)."""
    require_sandbox: bool = False
    """Decode only where the kernel enforces every layer of the subprocess's confinement (setting `require_sandbox`)."""


def confine_this_process(limits: DecodeLimits, parent_pid: int) -> None:
    """Bind the calling process to `limits`, for good, and to the life of its parent.

    The kernel kills it when the thread that started it ends. It can write no file and dump no core. These are bounds of what it
    costs; `cage.enter` bounds what it reaches.

    Args:
        limits: of which memory and CPU time are set here; the parent watches the clock.
        parent_pid: the process that started this one.
    """
    limit_process(memory_bytes=limits.memory_bytes, cpu_s=limits.cpu_s, file_bytes=0, open_files=_MAX_OPEN_FILES, parent_pid=parent_pid)
