"""Results drawn on a picture, with supervision's annotators: boxes, faces, landmarks, skeletons, hands, texts, expressions."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import supervision as sv

from rumiai_ray.report._skeletons import BODY_EDGES, FACE_EDGES, HAND_EDGES, HEAD_EDGES, IRIS_EDGES
from rumiai_ray.report.values import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rumiai_ray.report._skeletons import Edges
    from rumiai_ray.schema.table import Row

COLOURS = {"objects": "#4C8DFF", "faces": "#FFB224", "poses": "#2FD6A3", "hands": "#FF5FA8", "texts": "#B794FF"}
"""One colour a layer, all of them readable with black text on them; the report's legend shows the same."""

LAYERS = {"objects": "objects", "faces": "faces and expression", "poses": "poses", "hands": "hands", "texts": "texts"}
"""What the legend calls them."""

DRAWN = {
    "objects": ("object_index", "label", "confidence", "x1", "y1", "x2", "y2"),
    "faces": ("face_index", "x1", "y1", "x2", "y2"),
    "poses": ("pose_index",),
    "hands": ("hand_index",),
    "texts": ("text", "polygon", "x1", "y1", "x2", "y2"),
    "emotions": ("dominant_emotion", "x1", "y1", "x2", "y2"),
}
"""The columns that are drawn, by table; `frame_index` and `time_s` come with all of them."""

LANDMARKS = {
    "faces": ("face_landmarks", ("face_index", "landmarks")),
    "poses": ("pose_landmarks", ("pose_index", "landmarks", "visibility")),
    "hands": ("hand_landmarks", ("hand_index", "landmarks")),
}
"""The part of a drawn table whose columns are drawn with its rows, and these columns; the first numbers the rows within a frame."""

_VISIBLE = 0.5
"""A pose's landmark below this is hidden or outside: `poses` itself counts its box so."""
_REFERENCE_PX = 640
"""Longest side at which lines are one pixel wide."""
_LABEL_CHARACTERS = 40


@dataclass(frozen=True)
class FrameRows:
    """What was found in one sampled frame, rows of the tables that are named; those of faces, poses and hands with their landmarks."""

    objects: list[dict[str, Any]] = field(default_factory=list)
    faces: list[dict[str, Any]] = field(default_factory=list)
    poses: list[dict[str, Any]] = field(default_factory=list)
    hands: list[dict[str, Any]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)
    emotions: list[dict[str, Any]] = field(default_factory=list)


class FramePainter:
    """Draws rows on pictures of one video.

    Args:
        size_px: (width, height) of the pictures.
        source_px: (width, height) that the rows' coordinates are in.
    """

    def __init__(self, size_px: tuple[int, int], source_px: tuple[int, int]) -> None:
        self._scale = np.array([size_px[0] / source_px[0], size_px[1] / source_px[1]], dtype=np.float32)
        self._corner = np.array([*size_px, *size_px], dtype=np.float32) - 1
        unit = max(size_px) / _REFERENCE_PX
        self._thin, self._thick = max(1, round(unit)), max(1, round(2 * unit))
        self._font_px = max(9, round(12 * unit))

    def paint(self, picture: NDArray[np.uint8], rows: FrameRows) -> NDArray[np.uint8]:
        """A copy of the picture with everything drawn on it.

        Args:
            picture: (height, width, 3) BGR, 0 to 255, of the size given.
            rows: what was found in it.
        """
        scene: Any = picture.copy()
        pose = BODY_EDGES if rows.faces else (*HEAD_EDGES, *BODY_EDGES)  # a face's own contours say more
        scene = self._edges(scene, "poses", rows.poses, pose, visibility="visibility")
        scene = self._edges(scene, "faces", rows.faces, (*FACE_EDGES, *IRIS_EDGES))
        scene = self._edges(scene, "hands", rows.hands, HAND_EDGES)
        scene = self._boxes(scene, "objects", rows.objects, sv.BoxAnnotator(color=_colour("objects"), thickness=self._thick))
        corners = sv.BoxCornerAnnotator(color=_colour("faces"), thickness=self._thick, corner_length=6 * self._thick)
        scene = self._boxes(scene, "faces", rows.faces or rows.emotions, corners)
        for row in rows.texts:
            polygon = np.asarray(row["polygon"], dtype=np.float32).reshape(4, 2) * self._scale
            scene = sv.draw_polygon(scene, polygon.astype(np.int64), color=_colour("texts"), thickness=self._thick)
        painted: NDArray[np.uint8] = self._labels(scene, rows)
        return painted

    def _boxes(self, scene: Any, layer: str, rows: Sequence[Row], annotator: Any) -> Any:
        return annotator.annotate(scene, self._detections(rows, layer)) if rows else scene

    def _edges(self, scene: Any, layer: str, rows: Sequence[Row], edges: Edges, visibility: str | None = None) -> Any:
        rows = [row for row in rows if "landmarks" in row]
        if not rows:
            return scene
        xy = np.stack([np.asarray(row["landmarks"], dtype=np.float32).reshape(-1, 3)[:, :2] * self._scale for row in rows])
        visible = np.stack([np.asarray(row[visibility], dtype=np.float32) >= _VISIBLE for row in rows]) if visibility else None
        points = sv.KeyPoints(xy=xy, visible=visible)
        thickness = self._thick if layer != "faces" else self._thin
        counted_from_1 = [(start + 1, end + 1) for start, end in edges]  # supervision's way, COCO's
        return sv.EdgeAnnotator(color=_colour(layer), thickness=thickness, edges=counted_from_1).annotate(scene, points)

    def _labels(self, scene: Any, rows: FrameRows) -> Any:
        labelled = [
            *((row, "objects", f"{row['label']} {row['confidence']:.2f}") for row in rows.objects),
            *((row, "faces", row["dominant_emotion"]) for row in rows.emotions),
            *((row, "texts", row["text"] or UNREADABLE) for row in rows.texts),
        ]
        if not labelled:
            return scene
        names = list(COLOURS)
        annotator = sv.RichLabelAnnotator(
            color=sv.ColorPalette.from_hex(list(COLOURS.values())), text_color=sv.Color.BLACK, font_path=font(), font_size=self._font_px,
            text_padding=max(1, self._thin), smart_position=True,
        )  # fmt: skip
        detections = self._detections([row for row, _, _ in labelled], "")
        detections.class_id = np.array([names.index(layer) for _, layer, _ in labelled])
        return annotator.annotate(scene, detections, labels=[_short(text) for _, _, text in labelled])

    def _detections(self, rows: Sequence[Row], layer: str) -> Any:
        boxes = np.array([[row[edge] for edge in ("x1", "y1", "x2", "y2")] for row in rows], dtype=np.float32)
        inside = np.clip(boxes * np.tile(self._scale, 2), 0, self._corner)
        return sv.Detections(xyxy=inside, class_id=np.full(len(rows), list(COLOURS).index(layer) if layer else 0))


def font() -> str:
    """Path of a font that has the letters of most scripts: DejaVu Sans, which comes with matplotlib."""
    return str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


@cache
def _colour(layer: str) -> Any:
    return sv.Color.from_hex(COLOURS[layer])


def _short(text: str) -> str:
    """A label in one line."""
    line = " ".join(text.split()) or "·"
    return line if len(line) <= _LABEL_CHARACTERS else line[: _LABEL_CHARACTERS - 1] + "…"
