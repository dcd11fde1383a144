"""The frozen copy of this package that a run's actors import.

A restarted actor imports its module from disk again (measured: code edited during a run answered in the same run). So a run
copies the package once, and every worker gets that copy as its `working_dir`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import rumiai_ray
from rumiai_ray.errors import ConfigError
from rumiai_ray.provenance import source_sha256

if TYPE_CHECKING:
    from rumiai_ray.runs.manifest import RunManifest


def freeze(directory: Path) -> tuple[Path, str]:
    """Copy the package's sources under `directory`; returns the folder to import from and the copy's source hash.

    The hash is taken from the copy: what counts is the code the actors will run.
    """
    source = Path(rumiai_ray.__file__).parent
    copy = directory / source.name
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    return directory, source_sha256(copy)


def check_code(manifest: RunManifest, code_sha256: str) -> None:
    """Refuse to run other code than the run's manifest names.

    Args:
        manifest: of the run.
        code_sha256: source hash of the snapshot that the workers import.

    Raises:
        ConfigError: the package was edited between the start of the command and the start of Ray.
    """
    if code_sha256 != manifest.source_sha256:
        raise ConfigError("the package's source changed while the run was starting", f"run {manifest.run_id}", "start it again")
