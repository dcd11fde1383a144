"""A video's sampled frames out of the frame store, with the results drawn on them, small enough for a page."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from rumiai_ray.errors import StorageError
from rumiai_ray.report.draw import FramePainter, FrameRows

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from rumiai_ray.frames.store.store import FrameStore
    from rumiai_ray.schema.table import Row

LONG_SIDE_PX = 640
"""Longest side of a picture on a page: sharp on a phone, and 60 of them make a page of 2 MB."""
_POSTER_PX = 112
_WEBP_QUALITY = 72


@dataclass(frozen=True)
class PagePicture:
    """One sampled frame on a page."""

    frame_index: int
    time_s: float
    until_s: float
    """When the next frame of the video, sampled or not, takes its place on the screen."""
    uri: str
    """`data:` URI of the picture."""


@dataclass(frozen=True)
class Strip:
    """The pictures of one video."""

    pictures: tuple[PagePicture, ...] = ()
    size_px: tuple[int, int] = (0, 0)
    poster: str | None = None
    """`data:` URI of a small plain picture from the middle of the video."""
    missing: str | None = None
    """Why there are none."""


def strip_of(
    store: FrameStore | None, video: Row, rows: Mapping[int, FrameRows], most: int, looked_at: Collection[Collection[int]] = ()
) -> Strip:
    """The sampled frames of a video with their rows drawn on them.

    Args:
        store: where frames are kept; None to go without.
        video: its row of `videos`.
        rows: what was found, by `frame_index`.
        most: most frames to give, evenly spread; at least 1.
        looked_at: for each model, the `frame_index` of every frame it answered for. Of frames close to each other, the one that most
            models looked at is given.
    """
    if video["width_px"] is None:
        return Strip(missing="The file has no video stream, so there are no pictures.")
    if store is None:
        return Strip(missing="Pictures were left out.")
    try:
        stored = store.open(video["frames_key"])
    except StorageError as error:
        return Strip(missing=f"The sampled frames are not in the frame store {store.root} any more ({error.what}).")
    with stored:
        total = stored.facts.frames_sampled
        wanted = set(chosen_frames(total, most, looked_at))
        pictures: list[PagePicture] = []
        poster: str | None = None
        size = (0, 0)
        until_s = stored.shown_until_s.tolist()
        for batch in stored.batches():
            for index, time_s, jpeg in zip(batch.frame_index.tolist(), batch.time_s.tolist(), batch.jpegs, strict=True):
                if index not in wanted and index != total // 2:
                    continue
                picture = _decoded(jpeg)
                if index == total // 2:
                    poster = _uri(_fitted(picture, _POSTER_PX))
                if index in wanted:
                    small = _fitted(picture, LONG_SIDE_PX)
                    size = small.shape[1], small.shape[0]
                    painter = FramePainter(size, (video["width_px"], video["height_px"]))
                    drawn = painter.paint(small, rows.get(index, FrameRows()))
                    pictures.append(PagePicture(index, time_s, until_s[index], _uri(drawn)))
    return Strip(tuple(pictures), size, poster)


def chosen_frames(total: int, most: int, looked_at: Collection[Collection[int]] = ()) -> list[int]:
    """Which of a video's sampled frames a page shows: evenly spread, and among neighbours the one that most models looked at.

    Args:
        total: how many frames were sampled; at least 1.
        most: most frames to choose; at least 1.
        looked_at: for each model, the `frame_index` of every frame it answered for.

    Returns:
        `frame_index` of each chosen frame, ascending.

    Example:
        >>> chosen_frames(10, 4)
        [0, 3, 6, 9]
        >>> chosen_frames(10, 4, [{2, 4, 6}, {6, 8}])
        [0, 2, 6, 8]
    """
    looks = Counter(frame for seen in looked_at for frame in set(seen))
    places = np.linspace(0, total - 1, min(most, total))
    edges = [0, *(int(edge) + 1 for edge in (places[:-1] + places[1:]) / 2), total]
    neighbours = zip(places.tolist(), edges[:-1], edges[1:], strict=True)
    return [max(range(first, end), key=lambda frame: (looks[frame], -abs(frame - place))) for place, first, end in neighbours]


def _decoded(jpeg: bytes) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise StorageError("a stored frame is not a picture", hint="`rumiai-ray frames verify`")
    return np.asarray(picture, dtype=np.uint8)


def _fitted(picture: NDArray[np.uint8], long_side_px: int) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    scale = min(1.0, long_side_px / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _uri(picture: NDArray[np.uint8]) -> str:
    done, data = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY])
    if not done:
        raise StorageError("a picture cannot be written as WebP")
    return "data:image/webp;base64," + base64.b64encode(np.asarray(data).tobytes()).decode()
