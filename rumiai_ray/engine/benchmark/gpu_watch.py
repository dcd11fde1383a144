"""What a GPU is doing while something runs on it, as NVIDIA's management library tells: memory taken, share of time at work."""

from __future__ import annotations

import os
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

_EVERY_S = 0.1


class GpuWatch:
    """A context that looks ten times a second at the first GPU this process may use. Others' work on it counts as well: it must be idle.

    Raises:
        OSError: there is no such library, or no such GPU.
    """

    def __init__(self) -> None:
        pynvml: Any = import_module("pynvml")  # of use only where there is a GPU
        self._nvml = pynvml
        try:
            pynvml.nvmlInit()
            self._device = self._first()
        except pynvml.NVMLError as error:
            raise OSError(f"no GPU can be watched: {error}") from error
        self._before_bytes = self._used_bytes()
        self._peak_bytes = self._before_bytes
        self._busy: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gpu-watch", daemon=True)

    @property
    def memory_gb(self) -> float:
        """The most that was taken since the watch was made, in GB of 10^9 bytes."""
        return (self._peak_bytes - self._before_bytes) / 1e9

    @property
    def busy(self) -> float | None:
        """Share of the time since `start_over` in which the GPU was at work; None where there was no time to look."""
        return sum(self._busy) / len(self._busy) if self._busy else None

    def start_over(self) -> None:
        """Forget how busy it was so far."""
        self._busy.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _first(self) -> Any:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0] or "0"
        if visible.isdigit():
            return self._nvml.nvmlDeviceGetHandleByIndex(int(visible))
        return self._nvml.nvmlDeviceGetHandleByUUID(visible)

    def _used_bytes(self) -> int:
        return int(self._nvml.nvmlDeviceGetMemoryInfo(self._device).used)

    def _run(self) -> None:
        while not self._over.wait(_EVERY_S):
            self._peak_bytes = max(self._peak_bytes, self._used_bytes())
            self._busy.append(self._nvml.nvmlDeviceGetUtilizationRates(self._device).gpu / 100)
