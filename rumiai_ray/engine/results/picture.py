"""The picture of a running batch, `logs/now.json`: its progress, what every cell does and what is being read, written every few seconds.

It is for an onlooker on another terminal or machine (`rumiai-ray runs top`), and nothing of the run rests on it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rumiai_ray.engine.results.progress import Phase, Progress
from rumiai_ray.engine.work.counts import Tally
from rumiai_ray.runs.line_log import picture_path
from rumiai_ray.schema.run import Status

if TYPE_CHECKING:
    from rumiai_ray.engine.work.entry_registry import UnderWay
    from rumiai_ray.runs.shards import Shard
    from rumiai_ray.storage import Store

_DISK_EVERY_S = 2.0
_OBJECT_EVERY_S = 30.0
"""On an object store, where every picture is a request that is paid for."""

_LOG = logging.getLogger(__name__)

_Count = Annotated[int, Field(ge=0, le=10**12)]
_Finite = Annotated[float, Field(ge=-1e12, le=1e12)]


class _Part(BaseModel):
    """A run's directory may be a stranger's, so that what is read there is checked."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class CallPicture(_Part):
    """A call that a model is executing."""

    entry: str
    for_s: _Finite


class ModelPicture(_Part):
    """One model of one cell."""

    actors: _Count
    loaded: _Count
    lost: _Count
    queued: _Count
    """Calls that wait for it, those included that are under way."""
    calls: tuple[CallPicture, ...]


class CellPicture(_Part):
    """One cell."""

    node: str
    models: dict[str, ModelPicture]


class ReadingPicture(_Part):
    """An entry that is being fetched and decoded, or whose rows wait for room."""

    entry: str
    node: str
    for_s: _Finite


class RunPicture(_Part):
    """A run at one moment. The figures are those of `Progress`, whose fields say what they mean."""

    format: Literal[1] = 1
    run_id: str
    driver: str
    number: _Count
    """Of the picture, from 1: it rises as long as the driver lives, whatever the clocks say."""
    every_s: Annotated[float, Field(gt=0, le=60)]
    """Time to the next picture, about."""
    written: _Finite
    """Seconds since 1970, by the driver's clock."""
    phase: Phase
    elapsed_s: _Finite
    models_loaded: _Count
    models: _Count
    cells: _Count
    cells_wanted: _Count
    rows: _Count
    writing: _Count
    total: _Count
    done: _Count
    video_s_known: _Finite
    video_s_analysed: _Finite
    video_s_total: _Finite | None
    eta_s: _Finite | None
    frames_per_s: _Finite | None
    busy: dict[str, _Finite | None]
    quiet_s: _Finite
    entries: dict[str, _Count]
    """Entries in the run by ending."""
    failed_models: _Count
    cells_now: tuple[CellPicture, ...]
    reading: tuple[ReadingPicture, ...]
    ended: str = ""
    """How the driver ended; empty while it works."""

    @property
    def progress(self) -> Progress:
        """The figures, for what shows a progress."""
        shared = {name: getattr(self, name) for name in _FIGURES}
        tally = Tally(Counter(self.entries), Counter({("", Status.FAILED): self.failed_models}))
        return Progress(**shared, tally=tally)


_FIGURES = (
    "phase", "elapsed_s", "models_loaded", "models", "cells", "cells_wanted", "rows", "writing", "total", "done", "video_s_known",
    "video_s_analysed", "video_s_total", "eta_s", "frames_per_s", "busy", "quiet_s",
)  # fmt: skip
"""What a picture and a progress have under the same names."""


class PictureWriter:
    """Keeps the picture of a run. Raises nothing: one that cannot be written is said once, and the next is tried.

    Args:
        run: the run's directory.
        run_id: the run's.
        driver: the machine this is.
        shard: the one that the driver does.
    """

    def __init__(self, run: Store, run_id: str, driver: str, shard: Shard | None = None) -> None:
        self._run = run
        self._path = picture_path(shard)
        self._run_id = run_id
        self._driver = driver
        self._every_s = _DISK_EVERY_S if run.on_disk else _OBJECT_EVERY_S
        self._written_s = float("-inf")
        self._number = 0
        self._seen: tuple[Progress, tuple[UnderWay, ...]] | None = None
        """What the last tick told; `close` writes it, however long ago the last picture was written."""
        self._said = False

    def tick(self, progress: Progress, reading: tuple[UnderWay, ...]) -> None:
        """Write the picture if it is time for one."""
        self._seen = progress, reading
        if time.monotonic() - self._written_s < self._every_s:
            return
        self._written_s = time.monotonic()
        self._number += 1
        try:
            self._write(self._made(progress, reading))
        except Exception as problem:  # noqa: BLE001 -- the picture's boundary: nothing that goes wrong with it may end the run
            self._say(problem)

    def close(self, how: str) -> None:
        """Say in the last picture that the driver has ended, and how."""
        if self._seen is None:
            return
        self._number += 1
        try:
            self._write(self._made(*self._seen).model_copy(update={"cells_now": (), "reading": (), "ended": how}))
        except Exception as problem:  # noqa: BLE001 -- likewise
            self._say(problem)

    def _made(self, progress: Progress, reading: tuple[UnderWay, ...]) -> RunPicture:
        shared = {name: getattr(progress, name) for name in _FIGURES}
        return RunPicture(
            **shared,
            run_id=self._run_id,
            driver=self._driver,
            number=self._number,
            every_s=self._every_s,
            written=time.time(),
            entries=dict(progress.tally.entries),
            failed_models=progress.failed_models,
            cells_now=tuple(
                CellPicture(
                    node=said.node,
                    models={
                        name: ModelPicture(
                            actors=model.actors,
                            loaded=model.loaded,
                            lost=model.lost,
                            queued=model.queued,
                            calls=tuple(CallPicture(entry=call.entry_id, for_s=round(call.for_s, 3)) for call in model.calls),
                        )
                        for name, model in said.models.items()
                    },
                )
                for said in progress.activity
            ),
            reading=tuple(ReadingPicture(entry=one.entry_id, node=one.node, for_s=round(one.for_s, 3)) for one in reading),
        )

    def _write(self, picture: RunPicture) -> None:
        self._run.replace_private(self._path, picture.model_dump_json().encode())

    def _say(self, problem: Exception) -> None:
        if not self._said:
            self._said = True
            _LOG.warning("`rumiai-ray runs top` cannot be told what the run does now: %s: %s", type(problem).__name__, problem)


def read_picture(run: Store, shard: Shard | None = None) -> RunPicture | None:
    """The last picture of a run, or of the driver of one of its shards; None where there is none, or none that can be read.

    Raises:
        StorageError: the file cannot be read.
    """
    data = run.read_or_none(picture_path(shard))
    if data is None:
        return None
    try:
        return RunPicture.model_validate_json(data)
    except ValidationError as error:
        _LOG.debug("%s is no picture of a run: %s", run.uri(picture_path(shard)), error)
        return None
