"""The GPUs of this machine, as CUDA's driver tells of them; importing torch to ask would cost seconds."""

from __future__ import annotations

import ctypes
import logging
from dataclasses import dataclass

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gpu:
    """One GPU of this machine."""

    name: str
    memory_gb: float | None
    """None where the driver does not say."""


def gpus_here() -> tuple[Gpu, ...]:
    """The GPUs that the driver shows this process; empty where there is no driver, or none that works."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        _LOG.debug("no NVIDIA driver: %s", error)
        return ()
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return ()
    return tuple(_gpu(driver, number) for number in range(count.value))


def _gpu(driver: ctypes.CDLL, number: int) -> Gpu:
    device, size, name = ctypes.c_int(), ctypes.c_size_t(), ctypes.create_string_buffer(100)
    failed = driver.cuDeviceGet(ctypes.byref(device), number)
    unnamed = failed or driver.cuDeviceGetName(name, len(name), device)
    unmeasured = failed or driver.cuDeviceTotalMem_v2(ctypes.byref(size), device)
    return Gpu("a GPU without a name" if unnamed else name.value.decode(), None if unmeasured else size.value / 1e9)
