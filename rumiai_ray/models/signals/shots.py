"""Shots: PySceneDetect's measure of change and an adaptive rule in time (`cuts.py`) on the thumbnails of every decoded frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rumiai_ray.models.base import Model, ModelSettings, Prediction, Thumbnails
from rumiai_ray.models.signals.cuts import Changes, CutRule, cuts
from rumiai_ray.models.weights.files import Candidate
from rumiai_ray.schema import shots as schema
from rumiai_ray.settings import result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from rumiai_ray.schema import Table


class ShotsSettings(ModelSettings):
    """Settings of the shot detector.

    The first three are the defaults of PySceneDetect's adaptive detector. With them the rule of `cuts.py` finds, as that detector does,
    every cut of the eighteen shared clips (two of them flanked by a blend) and no other; a fixed threshold misses three.
    """

    threshold: float = result(
        3.0, "a shot begins where a frame differs at least this many times as much from the previous one as its neighbours do", gt=0
    )
    min_difference: float = result(15.0, "difference in hue, saturation and brightness without which no frame begins a shot", ge=0, le=255)
    neighbours: int = result(2, "differences on either side that a frame's difference is compared with", ge=1, le=30)
    min_shot_s: float = result(
        0.3, "shortest shot, in seconds; a flash of a few frames is not one, and a picture that stays this long is held", ge=0
    )


class Shots(Model[ShotsSettings, Thumbnails]):
    """What lies between cuts."""

    name: ClassVar[str] = "shots"
    tables: ClassVar[tuple[Table, ...]] = schema.TABLES
    packages: ClassVar[tuple[str, ...]] = ("scenedetect",)

    @classmethod
    def candidates(cls, settings: ShotsSettings) -> tuple[Candidate, ...]:
        """The one there is, in both profiles."""
        del settings
        return (
            Candidate(
                backend="pyscenedetect/adaptive",
                package="scenedetect",
                files=(),
                profiles=("standard", "offline"),
                precision="fp64",
                runs_on_gpu=False,
                memory_gb=0.25,
                cpu_share=0.0,
            ),
        )

    def load(self) -> None:
        """See `Model.load`. There is nothing to load but the library."""
        import scenedetect.detectors  # noqa: F401, PLC0415 -- heavy, and the first call should not pay for it

    def predict(self, batch: Thumbnails) -> Prediction:
        """Rows of `shots` for one stretch. `shot_index` counts the cuts of the stretch so far: 0 goes on with the shot before it."""
        settings = self.settings
        first, end = batch.own_first, batch.own_first + batch.own_count
        found = [at for at in _cuts(batch, settings) if first <= at < end]
        starts = found if found and found[0] == first else [first, *found]
        ends = [*starts[1:], end]
        offset = 1 if found and found[0] == first else 0
        rows = []
        for number, (begin, stop) in enumerate(zip(starts, ends, strict=True)):
            start_s = float(batch.time_s[begin])
            end_s = batch.end_s if stop == end else float(batch.time_s[stop])
            rows.append(_row(number + offset, start_s, end_s, stop - begin))
        return Prediction({schema.SHOTS.name: schema.SHOTS.rows(rows)})

    @classmethod
    def join(cls, parts: Sequence[Mapping[str, pa.Table]]) -> dict[str, pa.Table]:
        """A shot that goes on over a seam is one; shots are numbered through."""
        joined: list[dict[str, Any]] = []
        for part in parts:
            for row in part[schema.SHOTS.name].to_pylist():
                if joined and row["shot_index"] == 0:
                    before = joined.pop()
                    row = _row(0, before["start_s"], row["end_s"], before["frames"] + row["frames"])  # noqa: PLW2901 -- one with it
                joined.append(row | {"shot_index": len(joined)})
        return {schema.SHOTS.name: schema.SHOTS.rows(joined)}


def _row(index: int, start_s: float, end_s: float, frames: int) -> dict[str, object]:
    return {"shot_index": index, "start_s": start_s, "end_s": end_s, "duration_s": end_s - start_s, "frames": frames}


def _cuts(batch: Thumbnails, settings: ShotsSettings) -> list[int]:
    """Positions of the frames that begin a shot, in order."""
    from scenedetect.common import FrameTimecode  # noqa: PLC0415 -- see `load`
    from scenedetect.detectors import ContentDetector  # noqa: PLC0415

    class Meter(ContentDetector):  # type: ignore[misc]  # the library has no types
        """Says how much each picture that it is given differs from the one before."""

        def difference(self, number: int) -> float:
            """Mean difference in hue, saturation and brightness, 0 to 255; 0 for the first picture."""
            self.process_frame(FrameTimecode(number, 1.0), _picture(batch, number))
            return float(self._frame_score or 0.0)

    def between(first: int, second: int) -> float:
        pair = Meter()
        pair.difference(first)
        return pair.difference(second)

    meter = Meter()
    differences = np.array([meter.difference(number) for number in range(len(batch.jpegs))])
    is_to_the_end = batch.own_first + batch.own_count == len(batch.jpegs)
    end_s = batch.end_s if is_to_the_end else float(batch.time_s[-1])
    changes = Changes(differences, batch.time_s, end_s, is_to_the_end, batch.is_slide_show)
    return cuts(changes, CutRule(settings.threshold, settings.min_difference, settings.neighbours, settings.min_shot_s), between)


def _picture(batch: Thumbnails, number: int) -> NDArray[np.uint8]:
    """(height, width, 3) BGR."""
    import cv2  # noqa: PLC0415 -- see `load`

    picture = cv2.imdecode(np.frombuffer(batch.jpegs[number], np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"thumbnail {number} does not decode")
    return np.asarray(picture, np.uint8)
