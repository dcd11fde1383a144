"""What a document is made from: one entry's rows of one run, and how the model ended on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rumiai_ray.schema.run import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from rumiai_ray.schema.table import Row

FRAME_NUMBER = "index among the video's sampled frames, 0 first"
"""What `frame_number` means in the documents. The earlier system counted decoded frames, which no table of a run does."""

_DECIMALS = 6
"""Of shares, scores and seconds. float32 carries 7 significant digits; more would be noise of the conversion to float64."""
_PIXEL_DECIMALS = 3
"""Of lengths in pixels, which have up to four digits before the point."""


@dataclass(frozen=True)
class VideoRows:
    """One committed entry with the rows of its video."""

    entry_id: str
    video: Row
    """Its row of `videos`."""
    analyses: Mapping[str, Row]
    """How each model ended on the video, by the model's name."""
    tables: Mapping[str, list[Row]]
    """The video's rows by table, in the order they were committed."""


@dataclass(frozen=True)
class Family:
    """How one model family's document is made."""

    path: str
    """Where it goes below the export's directory; `{name}` is the entry's id."""
    columns: Mapping[str, list[str]]
    """The columns it needs, by table."""
    document: Callable[[VideoRows], Row]


class RowsByVideo:
    """A table's rows by video, converted one video at a time, so that a run of any size needs its Arrow memory only.

    Args:
        table: rows with a `video_key` column.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table.sort_by("video_key")
        self._spans: dict[str, tuple[int, int]] = {}
        start = 0
        counted = self._table["video_key"].value_counts()
        keys, lengths = (counted.field(name).to_numpy(zero_copy_only=False).tolist() for name in ("values", "counts"))
        for key, length in zip(keys, lengths, strict=True):
            self._spans[key] = (start, length)
            start += length

    def of(self, video_key: str) -> list[Row]:
        """The rows of one video, in the table's order."""
        start, length = self._spans.get(video_key, (0, 0))
        return self._table.slice(start, length).to_pylist()


def was_processed(video: VideoRows, model: str) -> bool:
    """Whether the model ran; then, and only then, no rows mean that there was nothing to find."""
    return model in video.analyses and video.analyses[model]["status"] in {Status.OK, Status.EMPTY, Status.DEGRADED}


def outcome(video: VideoRows, model: str) -> Row:
    """The `metadata` every document has: whether the model ran, on what, why not, and which code and weights it was."""
    analysis = video.analyses.get(model)
    if analysis is None:
        return {"processed": False, "status": "not_run", "error": None, "reason": "this run did not include the model", "model": None}
    failed = analysis["status"] == Status.FAILED
    return {
        "processed": was_processed(video, model),
        "status": analysis["status"],
        "error": f"{analysis['error_class']}: {analysis['error_message']}" if failed else None,
        "reason": analysis["detail"],
        "model": analysis["backend"],
        "model_version": analysis["model_version"],
        "stand_in": analysis["stand_in"],
        "weights_sha256": analysis["weights_sha256"],
        "run_id": video.video["run_id"],
        "video_key": video.video["video_key"],
    }


def frame_facts(video: VideoRows, model: str) -> Row:
    """The part of `metadata` that documents of frame models add."""
    analysis = video.analyses.get(model)
    return {
        "frames_analyzed": analysis["frames_analyzed"] if analysis else None,
        "frame_number": FRAME_NUMBER,
        "frame_width": video.video["width_px"],
        "frame_height": video.video["height_px"],
    }


def when(row: Row) -> Row:
    """`timestamp` in seconds and `frame_number` of a row."""
    return {"timestamp": number(row["time_s"]), "frame_number": row["frame_index"]}


def number(value: float | None, decimals: int = _DECIMALS) -> float | None:
    """A measured value as JSON shows it; None stays None.

    Raises:
        ValueError: it is infinite or no number, which JSON cannot say and no measurement is.
    """
    if value is not None and not math.isfinite(value):
        raise ValueError(f"{value} is no measurement")
    return None if value is None else round(value, decimals)


def box_xyxy(row: Row) -> list[float | None]:
    """[x1, y1, x2, y2] of a box in source pixels."""
    return [number(row[edge], _PIXEL_DECIMALS) for edge in ("x1", "y1", "x2", "y2")]


def box_xywh(row: Row) -> list[float | None]:
    """[x, y, width, height] of a box in source pixels."""
    lengths = (row["x1"], row["y1"], row["x2"] - row["x1"], row["y2"] - row["y1"])
    return [number(length, _PIXEL_DECIMALS) for length in lengths]
