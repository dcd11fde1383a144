"""The fingerprint of a run: one hash over everything that can change what the run says, and over nothing else.

A run may be resumed only under its own fingerprint. Cells, threads, paths, the machine and the commit's name are not in it: the hash
of the source says more than the commit does, and the rest changes how a run goes, not what it says.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from rumiai_ray.shown import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ABSENT = "—"
"""Shown for a part only one of two runs has."""


def fingerprint(parts: Mapping[str, object]) -> str:
    """SHA-256 of what can change a result (`RunManifest.result_parts`) in canonical JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def differences(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Every part in which two runs differ, side by side and on one line: `models.yolo.precision: fp32 | int8`."""
    return [one_line(f"{name}: {old} | {new}") for name, old, new in side_by_side(before, now)]


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
