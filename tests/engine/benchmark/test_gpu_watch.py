"""Watching a GPU, with a library that pretends there is one."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from rumiai_ray.engine.benchmark.gpu_watch import GpuWatch


class _Error(Exception):
    pass


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two GPUs; what they are doing is told to it."""
    library = SimpleNamespace(NVMLError=_Error, used=1_000_000_000, gpu=0, asked=[], looks=0)

    def utilisation(handle: str) -> Any:
        library.asked.append(handle)
        library.looks += 1
        return SimpleNamespace(gpu=library.gpu)

    library.nvmlInit = lambda: None
    library.nvmlDeviceGetHandleByIndex = lambda index: f"index {index}"
    library.nvmlDeviceGetHandleByUUID = lambda name: f"uuid {name}"
    library.nvmlDeviceGetMemoryInfo = lambda _: SimpleNamespace(used=library.used)
    library.nvmlDeviceGetUtilizationRates = utilisation
    monkeypatch.setitem(sys.modules, "pynvml", library)
    return library


def _looked(library: Any, times: int) -> None:
    before = library.looks
    while library.looks < before + times:
        time.sleep(0.01)


def test_memory_is_the_peak_above_what_was_taken_before_and_busy_counts_from_the_fresh_start(nvml: Any) -> None:
    with GpuWatch() as watch:
        nvml.used, nvml.gpu = 3_500_000_000, 0
        _looked(nvml, 2)
        nvml.used, nvml.gpu = 2_000_000_000, 80
        _looked(nvml, 1)
        watch.start_over()
        _looked(nvml, 3)
    assert watch.memory_gb == pytest.approx(2.5)
    assert watch.busy == pytest.approx(0.8)


@pytest.mark.parametrize(("visible", "handle"), [("1,0", "index 1"), ("GPU-abc", "uuid GPU-abc"), ("", "index 0")])
def test_it_looks_at_the_first_gpu_that_the_process_may_use(nvml: Any, monkeypatch: pytest.MonkeyPatch, visible: str, handle: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with GpuWatch():
        _looked(nvml, 1)
    assert set(nvml.asked) == {handle}


def test_a_machine_without_a_gpu_is_said_to_have_none(nvml: Any) -> None:
    def broken() -> None:
        raise _Error("Driver Not Loaded")

    nvml.nvmlInit = broken
    with pytest.raises(OSError, match="no GPU can be watched: Driver Not Loaded"):
        GpuWatch()
