"""Python, disks, the sandbox, GPUs, and the folders that an older system left in the working directory."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path

from rumiai_ray.cli.doctor.finding import Finding
from rumiai_ray.cli.doctor.libraries import loadable_libraries
from rumiai_ray.confinement import available, missing_layers

OLDEST_PYTHON = (3, 11)
NEEDED_BYTES = 500_000_000
"""Below this even a demo may not fit: a one-minute video's frames, audio and tables take up to 100 MB."""
COMFORTABLE_BYTES = 5_000_000_000
OLD_OUTPUTS = (
    "human_analysis_outputs",
    "object_detection_outputs",
    "creative_analysis_outputs",
    "speech_transcriptions",
    "emotion_detection_outputs",
    "scene_detection_outputs",
    "audio_energy_outputs",
    "unified_analysis",
    "insights",
)
"""Where the system before this one cached model outputs, by video id."""
CUBLAS = "libcublas.so.12"
"""CTranslate2 4.8 opens it by this name at the first call on a GPU, while torch brings CUDA 13's."""


def python_version() -> Finding:
    """Python 3.11 or newer."""
    actual = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding("python", "error", f"Python {actual}", "install Python 3.11 or newer, then `make venv`")
    return Finding("python", "ok", f"Python {actual}")


def disk_space(store: Path, out: str | Path) -> list[Finding]:
    """Room and permission for the frame store and for runs. A URI is not looked at."""
    findings = [_space("frame store", store, "--store")]
    if "://" in str(out):
        return [*findings, Finding("runs", "ok", f"{out} is not a local directory and was not checked")]
    return [*findings, _space("runs", Path(out), "--out")]


def _space(check: str, path: Path, flag: str) -> Finding:
    existing = path.expanduser().absolute()
    while not existing.exists():
        existing = existing.parent
    elsewhere = f"`{flag} DIRECTORY` names another"
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Finding(check, "error", f"{path} cannot be written: {existing} is not a writable directory", elsewhere)
    free_bytes = shutil.disk_usage(existing).free
    message = f"{path}: {free_bytes / 1e9:.1f} GB free"
    if free_bytes < NEEDED_BYTES:
        return Finding(check, "error", message, f"free {NEEDED_BYTES / 1e9:.1f} GB or more; {elsewhere}")
    if free_bytes < COMFORTABLE_BYTES:
        return Finding(check, "warning", message, f"enough for a few videos; `rumiai-ray frames` shows the store; {elsewhere}")
    return Finding(check, "ok", message)


def sandbox(*, required: bool) -> Finding:
    """Whether the kernel can confine the processes that handle strangers' bytes: the decoder, and the one that runs yt-dlp."""
    missing = missing_layers()
    if not missing:
        return Finding("sandbox", "ok", f"the decoder and yt-dlp are confined: Landlock ABI {available().landlock_abi}, seccomp")
    message = f"the processes that read videos are not fully confined: {'; '.join(missing)}"
    remedy = "use a kernel of 6.7 or later with Landlock among its security modules, in a container that permits it"
    if required:
        return Finding("sandbox", "error", message, f"{remedy}, or leave out --limits-require-sandbox")
    return Finding("sandbox", "warning", message, f"analyse only videos you trust here, or {remedy}")


def gpu(*, quick: bool) -> list[Finding]:
    """Which GPUs there are, and, where there is one, whether Whisper's library can use it."""
    driver = _driver()
    if not driver:
        return [Finding("gpu", "ok", "none: models run on the CPU")]
    return [_gpu_by_torch() if not quick else Finding("gpu", "ok", driver), _cublas()]


def _driver() -> str:
    """What shows that an NVIDIA driver is at work; empty without one."""
    gpus = Path("/proc/driver/nvidia/gpus")
    if gpus.is_dir() and (count := len(list(gpus.iterdir()))):
        return f"{count} NVIDIA GPU{'s' if count > 1 else ''}"
    return "an NVIDIA driver (nvidia-smi is installed)" if shutil.which("nvidia-smi") else ""


def _gpu_by_torch() -> Finding:
    try:
        import torch  # noqa: PLC0415 -- seconds
    except (ImportError, OSError) as error:
        return Finding("gpu", "error", f"torch cannot be imported: {error}", "`make venv` installs what fits")
    if not torch.cuda.is_available():
        return Finding(
            "gpu",
            "warning",
            "an NVIDIA driver is installed, but torch finds no GPU",
            "`nvidia-smi` shows the driver; is it older than CUDA 13?",
        )
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return Finding("gpu", "ok", ", ".join(names))


def _cublas() -> Finding:
    check = "gpu for whisper"
    if loadable_libraries([CUBLAS]):
        return Finding(check, "ok", f"{CUBLAS} loads")
    folder = Path(sysconfig.get_path("purelib")) / "nvidia" / "cublas" / "lib"
    export = f"export LD_LIBRARY_PATH={shlex.quote(str(folder))}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"
    remedy = export if (folder / CUBLAS).exists() else f"`pip install nvidia-cublas-cu12`, then `{export}`"
    return Finding(check, "warning", f"{CUBLAS} does not load: Whisper cannot run on the GPU", remedy)


def old_outputs() -> Finding:
    """Folders of cached model outputs in the working directory. Nothing reads them any more; they take room and mislead."""
    found = [name for name in OLD_OUTPUTS if Path(name).is_dir()]
    if not found:
        return Finding("old outputs", "ok", "none in the working directory")
    message = f"this directory holds outputs of an older system, which nothing reads any more: {', '.join(found)}"
    return Finding("old outputs", "warning", message, f"keep them elsewhere, or remove them: `rm -r {' '.join(found)}`")
