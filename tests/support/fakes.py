"""Fast models that read a number out of pixels and samples, and misbehave on demand. Imported by Ray's workers.

A frame's number is the mean of its red channel; an audio chunk's is its first sample.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa

from rumiai_ray.engine.work.item import Sampled
from rumiai_ray.models.base import AudioChunk, Batch, Consumes, FrameBatch, Model, ModelPlan, ModelSettings, Prediction, Thumbnails
from rumiai_ray.schema.table import FRAME, Table, column
from rumiai_ray.settings import result

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rumiai_ray.models.weights.files import Candidate


class FakeSettings(ModelSettings):
    """What the fake does, and on which number."""

    behave: str = result("well", "well, raise, exit, segfault, hang, leak, burn, lie or unloadable")
    on: int = result(-1, "the number it misbehaves on; -1 for every number")


_ECHO = (column("number", pa.int64(), "The number read."), column("pid", pa.int64(), "The process that read it."))
SEEN = Table("seen", 1, "One frame as the fake saw it.", (*FRAME, *_ECHO))
HEARD = Table("heard", 1, "One chunk as the fake heard it.", _ECHO)
_LEAK: list[bytearray] = []
_WHITE = 127
SAMPLED = Sampled(duration_s=0.8, width_px=64, height_px=48, times_s=(0.0, 0.2, 0.4, 0.6), shown_until_s=(0.2, 0.4, 0.6, 0.8))
"""Four frames at 5 fps."""
BURNT_S = 0.2
"""CPU time that `burn` uses up in one call."""


class Fake(Model):
    """Reads numbers out of frames."""

    name: ClassVar[str] = "fake"
    consumes: ClassVar[Consumes] = "frames"
    tables: ClassVar[tuple[Table, ...]] = (SEEN,)
    settings_type = FakeSettings

    @classmethod
    def candidates(cls, settings: ModelSettings) -> tuple[Candidate, ...]:
        del settings
        return ()

    def load(self) -> None:
        if self._settings.behave == "unloadable":
            raise ValueError("weights are not to my taste")

    def predict(self, batch: Batch) -> Prediction:
        if not isinstance(batch, FrameBatch):
            raise TypeError("frames, please")
        numbers = [self._read(image) for image in batch.images]
        self._misbehave(numbers)
        records = [
            {"frame_index": int(index), "time_s": float(at), "number": number, "pid": os.getpid()}
            for index, at, number in zip(batch.frame_index, batch.time_s, numbers, strict=True)
        ]
        if self._settings.behave == "lie":
            return Prediction({"seen": pa.table({"frame_index": [1]})})
        return Prediction({"seen": SEEN.rows(records)})

    def _read(self, image: NDArray[np.uint8]) -> int:
        return round(float(image[..., 0].mean()))

    @property
    def _settings(self) -> FakeSettings:
        assert isinstance(self.plan.settings, FakeSettings)
        return self.plan.settings

    def _misbehave(self, numbers: list[int]) -> None:
        settings = self._settings
        if settings.on not in {-1, *numbers}:
            return
        match settings.behave:
            case "raise":
                raise ValueError(f"I do not like {numbers}")
            case "exit":
                os._exit(3)
            case "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "hang":
                time.sleep(3600)
            case "burn":
                began = time.process_time()
                while time.process_time() - began < BURNT_S:
                    pass
            case "leak":
                _LEAK.append(bytearray(os.urandom(1)) * 80_000_000)


class Reader(Fake):
    """Reads the digits of `synthetic_clips.picture`."""

    name = "reader"

    def _read(self, image: NDArray[np.uint8]) -> int:
        height, width = image.shape[:2]
        cells = image[height // 6 :: height // 3, width // 8 :: width // 4, 0][:3, :4]
        return sum(1 << bit for bit, value in enumerate(cells.reshape(-1)) if value > _WHITE)


class Greedy(Fake):
    """Has no GPU memory for more than `on` frames at a time."""

    name = "greedy"

    def predict(self, batch: Batch) -> Prediction:
        import torch  # noqa: PLC0415 -- seconds

        if isinstance(batch, FrameBatch) and len(batch.images) > self._settings.on:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more than there is")
        return super().predict(batch)


class Listener(Fake):
    """Reads a number out of audio."""

    name = "listener"
    consumes: ClassVar[Consumes] = "audio"
    tables: ClassVar[tuple[Table, ...]] = (HEARD,)

    def predict(self, batch: Batch) -> Prediction:
        if not isinstance(batch, AudioChunk):
            raise TypeError("audio, please")
        number = int(batch.samples[0])
        self._misbehave([number])
        return Prediction({"heard": HEARD.rows([{"number": number, "pid": os.getpid()}])})


class Watcher(Fake):
    """Reads numbers out of thumbnails."""

    name = "watcher"
    consumes: ClassVar[Consumes] = "thumbnails"

    def predict(self, batch: Batch) -> Prediction:
        if not isinstance(batch, Thumbnails):
            raise TypeError("thumbnails, please")
        own = range(batch.own_first, batch.own_first + batch.own_count)
        self._misbehave([batch.own_count])
        rows = [{"frame_index": at, "time_s": float(batch.time_s[at]), "number": len(batch.jpegs[at]), "pid": os.getpid()} for at in own]
        return Prediction({"seen": SEEN.rows(rows)})


def plan(name: str, kind: str = "Fake", **settings: object) -> ModelPlan:
    """A plan for a fake under any name."""
    return ModelPlan(
        name=name,
        backend=f"fake/{kind.lower()}",
        version="1",
        stand_in=False,
        files={},
        digests={},
        weights_sha256="",
        device="cpu",
        precision="fp32",
        settings=FakeSettings.model_validate(settings),
        implementation=f"fakes:{kind}",
    )


__all__ = ["Fake", "FakeSettings", "Listener", "Watcher", "plan"]
