"""The frozen copy of this package that a run's actors import.

A restarted actor imports its module from disk again (measured: code edited during a run answered in the same run). So a run
copies the package once, and every worker gets that copy as its `working_dir`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import rumiai_ray
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.provenance import source_sha256

if TYPE_CHECKING:
    from rumiai_ray.runs.manifest import RunManifest

SETUP_WORKER = Path("rumiai_ray/engine/ray_session/setup_worker.py")
"""In the copy."""


def freeze(directory: Path) -> tuple[Path, str]:
    """Copy the package's sources under `directory`; returns the folder to import from and the copy's source hash.

    The hash is taken from the copy: what counts is the code the actors will run.

    Raises:
        StorageError: the copy cannot be written.
    """
    source = Path(rumiai_ray.__file__).parent
    copy = directory / source.name
    try:
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    except shutil.Error as error:  # several files
        raise _unwritable(copy, str(error.args[0][0][2])) from error
    except OSError as error:
        raise _unwritable(copy, error.strerror or str(error)) from error
    return directory, source_sha256(copy)


def _unwritable(copy: Path, why: str) -> StorageError:
    return StorageError(f"the code that the workers import cannot be copied: {why}", str(copy), "make room there, or set TMPDIR")


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
