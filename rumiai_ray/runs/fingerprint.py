"""The fingerprint of a run: one hash over everything that can change what the run says, and over nothing else.

A run may be resumed only under its own fingerprint. Cells, threads, paths, the machine and the commit's name are not in it: the hash
of the source says more than the commit does, and the rest changes how a run goes, not what it says.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rumiai_ray.runs.manifest import RunManifest

ABSENT = "—"
"""Shown for a part only one of two runs has."""


def result_parts(manifest: RunManifest) -> dict[str, object]:
    """What can change a result, as JSON values: source, packages, sampling, result settings and each model's identity."""
    return {
        "source_sha256": manifest.source_sha256,
        "packages": manifest.packages,
        "sampling": manifest.sampling,
        "result_settings": manifest.result_settings,
        "models": {
            model.name: {
                "backend": model.backend,
                "version": model.version,
                "weights": {file.role: file.sha256 for file in model.files},
                # Which of several equal GPUs it was is placement, not arithmetic.
                "device": model.device.partition(":")[0],
                "precision": model.precision,
                "settings": model.result_settings,
            }
            for model in manifest.models
        },
    }


def fingerprint(manifest: RunManifest) -> str:
    """SHA-256 over `result_parts` in canonical JSON."""
    return hashlib.sha256(json.dumps(result_parts(manifest), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def differences(before: RunManifest, now: RunManifest) -> list[str]:
    """Every part in which two manifests differ, side by side: `models.yolo.precision: fp32 | int8`."""
    return [f"{name}: {old} | {new}" for name, old, new in side_by_side(result_parts(before), result_parts(now))]


def side_by_side(before: object, now: object) -> list[tuple[str, str, str]]:
    """Where two nested JSON values differ: (path, then, now), by path; `ABSENT` where one side has no such part."""
    old, new = dict(flat(before)), dict(flat(now))
    return [
        (name, old.get(name, ABSENT), new.get(name, ABSENT))
        for name in sorted(old.keys() | new.keys())
        if old.get(name, ABSENT) != new.get(name, ABSENT)
    ]


def flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of nested dicts as (dotted name, text); `path` is what names begin with."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, sort_keys=True)
