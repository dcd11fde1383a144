"""The one protocol all models follow, and what goes in and out of it.

A model is one module with one class: it declares what it consumes, which tables it fills, its settings and its weights,
and has three verbs: `load`, `predict`, `close`. It keeps no state from one video to the next. Its module is light to
import: heavy libraries are imported inside `load`, because every actor restart pays for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, cast, get_args, get_origin

import pyarrow as pa
from pydantic import BaseModel, ConfigDict
from typing_extensions import TypeVar  # the standard library's takes a default from Python 3.13

from rumiai_ray.settings import execution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from rumiai_ray.models.weights.files import Candidate
    from rumiai_ray.schema import Table


@dataclass(frozen=True)
class Subset:
    """Which of a video's sampled frames a model looks at: evenly spread over the whole video, never a prefix."""

    fps: float | None = None
    """At most this many frames per second; None for every sampled frame."""
    max_frames: int | None = None
    """At most this many frames in all; None for no limit."""


class ModelSettings(BaseModel):
    """Settings of one model. Every field is a flag `--<model>-<field>`, a TOML key and a `RUMIAI_<MODEL>_<FIELD>` variable.

    Fields are declared with `settings.result` or `settings.execution`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: int = execution(1, "threads per library of the model", ge=1)
    actors: int | None = execution(None, "actors of this model per cell; by default the plan decides", ge=1, le=64)
    gpu_memory_gb: float | None = execution(None, "GPU memory of one actor in GB; overrides the catalogue's figure", gt=0)

    def subset(self, duration_s: float) -> Subset:  # noqa: ARG002 -- overridden by models that choose by duration
        """The frames this model wants of a video of `duration_s` seconds. Every sampled frame unless overridden."""
        return Subset()


@dataclass(frozen=True)
class ModelPlan:
    """What exactly will run: the outcome of choosing among a model's candidates. Printed before a run, written to its manifest."""

    name: str
    backend: str
    """What runs: library and network, e.g. `ppocr/v6-small`."""
    version: str
    """Version of the library that runs it."""
    stand_in: bool
    """True where this is a declared stand-in for the flagship."""
    files: Mapping[str, Path]
    """Local path of every weights file (or directory) by its role; their digests have been checked."""
    digests: Mapping[str, str]
    """SHA-256 of every file in `files`, by role."""
    weights_sha256: str
    """The digest written on rows: the file's own where there is one, else of the sorted digests."""
    device: str
    """`cpu` or `cuda:N`."""
    precision: str
    memory_gb: float = 1.0
    """What an actor takes of the machine's memory, in GB."""
    gpu_memory_gb: float = 0.0
    """What an actor takes of a GPU's memory, in GB; 0 on the CPU."""
    cpu_share: float = 1.0
    """What an actor keeps busy of the CPUs its threads could use."""
    settings: ModelSettings = field(default_factory=ModelSettings)
    reason: str = ""
    """Why this candidate was chosen, in words."""
    implementation: str = ""
    """`module:Class` of a family that is not in the catalogue; empty for one that is."""

    @property
    def remark(self) -> str:
        """What a person reads behind the plan's line: why a stand-in runs; empty for a flagship that was simply here."""
        if self.stand_in:
            reason = self.reason.removeprefix("stand-in, ")
            return f"  (stand-in: {reason})" if reason else "  (stand-in)"
        return "" if self.reason.endswith(", here") or not self.reason else f"  ({self.reason})"


@dataclass(frozen=True)
class FrameBatch:
    """Decoded frames of one video that one model asked for."""

    frame_index: NDArray[np.int32]
    """(n,) position among the video's sampled frames, ascending, not necessarily consecutive."""
    time_s: NDArray[np.float64]
    """(n,) seconds from the first presented frame."""
    images: NDArray[np.uint8]
    """(n, height, width, 3) RGB, read-only; the long side is at most 1280 px by default."""
    source_width_px: int
    """Width boxes are given in; multiply stored x by `source_width_px / images.shape[2]`."""
    source_height_px: int

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[3] != 3:  # noqa: PLR2004 -- (n, height, width, RGB)
            raise ValueError(f"images must be (n, height, width, 3), got {self.images.shape}")
        if not len(self.frame_index) == len(self.time_s) == len(self.images):
            raise ValueError(f"{len(self.frame_index)} indices, {len(self.time_s)} times, {len(self.images)} images")

    @property
    def scale(self) -> tuple[float, float]:
        """(x, y) factors from stored pixels to source pixels."""
        return self.source_width_px / self.images.shape[2], self.source_height_px / self.images.shape[1]


@dataclass(frozen=True)
class AudioChunk:
    """A stretch of at most five minutes of one video's audio, cut in silence."""

    samples: NDArray[np.int16]
    """(n,) int16 mono PCM at 16 kHz, read-only."""
    start_s: float
    """Time of the first sample, from the first presented frame; may be negative."""
    language: str | None = None
    """Language tag, e.g. `en` or `pt-BR`, that the manifest or the site gives the video; None where they say nothing."""


@dataclass(frozen=True)
class Thumbnails:
    """A stretch of one video's thumbnails: every decoded frame, tiny; some of the neighbouring stretches' at either end."""

    jpegs: tuple[bytes, ...]
    """n JPEG files, all of one size."""
    time_s: NDArray[np.float64]
    """(n,) seconds from the first presented frame, ascending."""
    own_first: int
    """Position of the first frame that is this stretch's own."""
    own_count: int
    """So many are."""
    end_s: float
    """When the last own frame ends: where the next stretch begins, or the video's end."""
    is_slide_show: bool = False
    """Whether each frame is an image of a post, see `SourceFacts.is_slide_show`."""


Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the image that the model was given; may reach outside it."""

Batch = FrameBatch | AudioChunk | Thumbnails
"""What a model is asked about: one of them, as its `consumes` says."""
Consumes = Literal["frames", "audio", "thumbnails"]
_BATCHES: Mapping[Consumes, type[Batch]] = {"frames": FrameBatch, "audio": AudioChunk, "thumbnails": Thumbnails}

Settings = TypeVar("Settings", bound=ModelSettings, default=Any)
Taken = TypeVar("Taken", bound=Batch, default=Any)
"""What a family takes: the batch that its `consumes` names."""


@dataclass(frozen=True)
class Prediction:
    """What a model says about one batch."""

    tables: Mapping[str, pa.Table]
    """Rows by table name, each of that table's `row_schema`; every table of the model, empty ones included."""
    missed: tuple[str, ...] = ()
    """What the model could not look at, in words; makes the analysis `degraded`. Never used for "found nothing"."""


class Model(ABC, Generic[Settings, Taken]):
    """One model family behind the one protocol. Instances live inside one actor, used by one call at a time.

    A family names its settings and its batches once, as in `class Yolo(Model[YoloSettings, FrameBatch])`: `settings_type` and `consumes`
    are read from there, and what else a family is given is refused here, for all families.
    """

    name: ClassVar[str]
    tables: ClassVar[tuple[Table, ...]]
    packages: ClassVar[tuple[str, ...]] = ()
    """Distributions whose version can change a row of this family; the manifest records them, and a resumed run must have them alike."""
    opt_in: ClassVar[bool] = False
    """Whether the family runs only where `--models` names it."""
    consumes: ClassVar[Consumes]
    settings_type: ClassVar[type[ModelSettings]] = ModelSettings

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for base in cls.__dict__.get("__orig_bases__", ()):
            if get_origin(base) is Model:
                settings, batch = get_args(base)
                cls.settings_type = settings
                cls.consumes = next(name for name, kind in _BATCHES.items() if kind is batch)

    def __init__(self, plan: ModelPlan) -> None:
        """Raises `TypeError` where the plan's settings are another family's."""
        self.plan = plan
        self.settings: Settings = self._own(plan.settings)

    @classmethod
    def _own(cls, settings: ModelSettings) -> Settings:
        if not isinstance(settings, cls.settings_type):
            raise TypeError(f"{cls.name} takes {cls.settings_type.__name__}, not {type(settings).__name__}")
        return cast("Settings", settings)

    @classmethod
    def choices(cls, settings: ModelSettings) -> tuple[Candidate, ...]:
        """`candidates`, for callers that do not know the family's own type of settings.

        Raises:
            TypeError: `settings` are another family's.
        """
        return cls.candidates(cls._own(settings))

    def answer(self, batch: Batch) -> Prediction:
        """`predict`, for callers that do not know the family's own type of batch.

        Raises:
            TypeError: the family takes another type.
        """
        if not isinstance(batch, _BATCHES[self.consumes]):
            raise TypeError(f"{self.name} takes {self.consumes}, not {type(batch).__name__}")
        return self.predict(cast("Taken", batch))

    @classmethod
    @abstractmethod
    def candidates(cls, settings: Settings) -> tuple[Candidate, ...]:
        """What can run this family under `settings`, best first."""

    @abstractmethod
    def load(self) -> None:
        """Import the libraries and load the weights named by `self.plan.files`, onto `self.plan.device`.

        Raises:
            WeightsError: a file does not load.
        """

    @abstractmethod
    def predict(self, batch: Taken) -> Prediction:
        """Rows for one batch of one video. Depends on nothing but the batch and the plan.

        Raises:
            Exception: anything; the engine turns it into this model's typed failure for this video.
        """

    @classmethod
    def join(cls, parts: Sequence[Mapping[str, pa.Table]]) -> dict[str, pa.Table]:
        """One video's tables from the tables of its batches, in order. Overridden where rows are numbered across batches."""
        return {table.name: pa.concat_tables([table.empty(), *(part[table.name] for part in parts)]) for table in cls.tables}

    @classmethod
    def remarks(cls, tables: Mapping[str, pa.Table]) -> tuple[str, ...]:  # noqa: ARG003 -- for families that have something to say
        """What `analyses.detail` says about one video's rows of this family beyond the status, e.g. how many texts could not be read.

        Args:
            tables: all rows of the video by table name, without run and video.
        """
        return ()

    def close(self) -> None:
        """Free what `load` took. Called once, before the actor ends in good order."""
