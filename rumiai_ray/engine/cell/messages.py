"""What goes between driver, front, lane and model actor: calls, answers, outcomes. Plain values, picklable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rumiai_ray.engine.work.item import Header, Stretch


@dataclass(frozen=True)
class Failure:
    """Why a model gave nothing for a video."""

    error_class: str
    """Name of the exception's class, or of the signal or limit that ended the actor."""
    message: str
    given_up: bool = False
    """The model is gone for good in its cell: whatever it is asked, this is its answer."""
    traceback: str = field(default="", compare=False, repr=False)
    """Text for the run's log, bounded; empty where nothing was raised, as where a process was killed."""


@dataclass(frozen=True)
class Answer:
    """What a model actor returns from one call."""

    tables: Mapping[str, bytes]
    """Packed, by table."""
    rows: int
    """In all tables together."""
    missed: tuple[str, ...]
    processing_time_s: float
    """Time inside `Model.predict`."""
    memory_bytes: int
    """The actor's anonymous resident memory after the call (RssAnon): shared pages of the object store not counted."""
    cpu_s: float
    """CPU time of the actor's process, all threads, inside `Model.predict`."""
    notes: tuple[str, ...] = ()
    """What it had to do otherwise than planned, at no loss."""


@dataclass(frozen=True)
class Outcome:
    """How one model's part of one row of work ended, after all attempts: the small half of what a front returns."""

    attempts: int
    processing_time_s: float | None
    """None where the model never answered."""
    rows: int
    frames: tuple[int, ...]
    """`frame_index` of every frame it answered for; empty for audio, thumbnails and failures."""
    audio_s: float
    """Seconds of audio it answered for; 0 for pictures and for failures."""
    missed: tuple[str, ...]
    failure: Failure | None
    cpu_s: float = 0.0
    """CPU time of the last attempt, if it was answered."""
    thumbnails: int = 0
    """Thumbnails it answered for."""
    notes: tuple[str, ...] = ()
    """What the model had to do otherwise than planned, at no loss."""
    charged: tuple[Failure, ...] = ()
    """Why each attempt that failed did, in order; of the last one too, whatever came of the others."""


@dataclass(frozen=True)
class Index:
    """The small half of a front's reply: which row of work it answers and how each model ended."""

    entry_id: str
    video_key: str
    batch_index: int
    batch_count: int
    outcomes: Mapping[str, Outcome]
    payload_bytes: int = 0
    """Size of the large half in memory."""
    header: Header | None = None
    """The row's header, handed on."""
    done: Stretch | None = None
    """Where and when a front worked on it; None for a row that asks no model."""
    sent: int = 1
    """Times it was sent to a front, noted by the driver."""


Payload = dict[str, dict[str, bytes]]
"""The large half of a front's reply: packed rows by model, then by table. Models that failed are absent."""


@dataclass(frozen=True)
class CallUnderWay:
    """A call that a model actor is executing."""

    entry_id: str
    for_s: float


@dataclass(frozen=True)
class ModelActivity:
    """What the actors of one model in one cell are at. Times are of the node's clock and add up over the actors."""

    actors: int
    loaded: int
    """Actors whose model is loaded now."""
    lost: int
    """Actors whose model is gone for good."""
    ready_s: float
    """Time since each actor's model was loaded first."""
    busy_s: float
    """Of `ready_s`, the time inside calls; a call under way counts as far as it has got."""
    queued: int = 0
    """Calls taken and not yet answered, about."""
    calls: tuple[CallUnderWay, ...] = ()
    """Calls that are being executed, at most one an actor."""

    @property
    def settled(self) -> bool:
        """Whether rows no longer wait for the model to load: an actor has loaded it, or none ever will."""
        return self.loaded > 0 or self.lost == self.actors


@dataclass(frozen=True)
class Activity:
    """What a front says of its models when it is asked."""

    front: str
    """Of this start of the front: the times of another one begin at 0."""
    models: Mapping[str, ModelActivity]
    node: str = ""
    """Where it is."""
