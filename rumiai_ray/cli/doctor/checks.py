"""Is this machine fit for a run? Each check says what it found and what to do; the quick ones are every run's preflight.

The module and the checks beside it import the standard library only, the rest where it is used: `__main__` runs on a bare Python.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rumiai_ray.cli.doctor import machine as _machine_checks
from rumiai_ray.cli.doctor import packages as _package_checks
from rumiai_ray.cli.doctor import ray as _ray_checks
from rumiai_ray.cli.doctor import weights as _weight_checks
from rumiai_ray.cli.doctor.finding import Finding
from rumiai_ray.cli.doctor.libraries import debian_packages, system_libraries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rumiai_ray.models.base import ModelSettings
    from rumiai_ray.models.weights.files import Profile

__all__ = ["Finding", "debian_packages", "examine"]


def examine(  # noqa: PLR0913 -- all that a machine is looked at for
    profile: Profile,
    models: Mapping[str, ModelSettings],
    weights_dirs: Sequence[Path],
    store: Path,
    out: str | Path,
    *,
    quick: bool,
    require_sandbox: bool = False,
    accepted: bool = False,
) -> list[Finding]:
    """Look at the machine from the ground up: Python, libraries, packages, weights, disk, sandbox, GPU, Ray, and what an older system left.

    Args:
        profile: whose weights.
        models: settings of the families that will run, by family name.
        weights_dirs: directories searched for weights, in order.
        store: directory of the frame store.
        out: directory that holds runs, or a URI, which is not looked at.
        require_sandbox: a decoder that the kernel cannot confine is an error, not a warning.
        accepted: whether licences that forbid commercial use were accepted.
        quick: leave out what takes more than a blink (asking torch for GPUs), the age of yt-dlp, and the weights, which a run hashes itself
            right after.

    Returns:
        One finding or more for every check, those without trouble included, in the order in which troubles are best mended.
    """
    return [
        _machine_checks.python_version(),
        system_libraries(profile, models),
        *_package_checks.packages(),
        *([] if quick else _weight_checks.weights(profile, models, weights_dirs, accepted=accepted)),
        *([] if quick else [_package_checks.ytdlp_age(datetime.now(UTC).date())]),
        *_machine_checks.disk_space(store, out),
        _machine_checks.sandbox(required=require_sandbox),
        *_machine_checks.gpu(quick=quick),
        *_ray_checks.ray_usability(quick=quick),
        _machine_checks.old_outputs(),
    ]
