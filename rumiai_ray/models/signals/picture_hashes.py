"""Perceptual hashes of a video's thumbnails: OpenCV's block mean hash of the picture without its bars, and of crops of it.

The hash of a crop equals that of a repost from which the rest was cut. A mirrored repost needs no hash of its own: the bits of a block mean
hash are a picture of 16 x 16 pixels, which can be mirrored when hashes are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rumiai_ray.models.mediapipe.picture_area import picture_area
from rumiai_ray.schema.picture_hashes import CROPS, CROPS_S, INSET, WHOLE, WHOLE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from rumiai_ray.models.base import Thumbnails
    from rumiai_ray.schema.table import Row

SAME_BITS = 6
"""A picture whose hash differs from the last one's by fewer bits is taken for the same: copies that were encoded again differ by 0 to 2."""
_PLAIN = 6.0
"""Standard deviation in grey levels below which a picture is plain: the median splits noise then, and JPEG's noise is of 1 to 3."""
_NESTED = 2
"""Bars within bars that are cut off: a repost puts its own around those that a clip has."""
_EVEN = 24
"""Grey levels within which a line counts as one colour: JPEG's noise on a thumbnail's bar, beside a picture."""
_OTHER_SHARE = 0.05
"""Share of such a line that may have another colour: its ends, where it meets bars on the other sides."""
_MIXED = 0.8
"""A line beside a bar whose distance to the bar's colour is less than so many times the next line's was made of both by shrinking."""
_SMALLEST = 0.2
"""Share of a side below which what is left between bars is no picture."""
_SIDE_PX = 256
"""The library resizes to this side; crops are cut out of a picture of it."""
_CROP: dict[str, tuple[float, float, float, float]] = {
    "centre_95": (0.025, 0.025, 0.95, 0.95),
    "centre_90": (0.05, 0.05, 0.9, 0.9),
    "top_left": (0.0, 0.0, 0.9, 0.9),
    "top_right": (0.1, 0.0, 0.9, 0.9),
    "bottom_left": (0.0, 0.1, 0.9, 0.9),
    "bottom_right": (0.1, 0.1, 0.9, 0.9),
    "top": (0.0, 0.0, 1.0, 0.9),
    "bottom": (0.0, 0.1, 1.0, 0.9),
    "left": (0.0, 0.0, 0.9, 1.0),
    "right": (0.1, 0.0, 0.9, 1.0),
}
"""x, y, width and height as shares of the picture."""


def hash_rows(batch: Thumbnails, picture: Callable[[int], NDArray[np.uint8]]) -> Iterator[Row]:
    """Rows of `picture_hashes` for a stretch's own pictures: the first one in each quarter of a second, and crops of the first in a second.

    Args:
        batch: the stretch.
        picture: gives one of its pictures by its position: (height, width, 3) uint8, BGR.
    """
    hashes = _Hashes()
    for at in range(batch.own_first, batch.own_first + batch.own_count):
        if _begins(batch, at, WHOLE_S):
            views = (WHOLE, *CROPS) if _begins(batch, at, CROPS_S) else (WHOLE,)
            for view, found in zip(views, hashes.of(picture(at), views), strict=True):
                yield {"time_s": float(batch.time_s[at]), "view": view, "hash": found}


def thinned(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows of a video without those of pictures that look like the last one whose row was kept.

    Args:
        rows: of a whole video, in order of time, the whole picture's before its crops'.
    """
    last: dict[bool, str | None] = {}  # the whole picture's hash at the last row that was kept: of whole pictures, and of crops
    whole: str | None = None
    keeps_crops = False
    for row in rows:
        is_crop = row["view"] != WHOLE
        if not is_crop:
            whole = row["hash"]
            keeps_crops = True not in last or _differ(whole, last[True])
            if False not in last or _differ(whole, last[False]):
                last[False] = whole
                yield row
        elif keeps_crops:
            last[True] = whole
            yield row


def _differ(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return one is not other
    return (int(one, 16) ^ int(other, 16)).bit_count() >= SAME_BITS


def _begins(batch: Thumbnails, at: int, step_s: float) -> bool:
    """Whether a picture is the first one in a step of the video's time; the same however the video is cut into stretches."""
    return at == 0 or int(batch.time_s[at] / step_s) > int(batch.time_s[at - 1] / step_s)


def _without_bars(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture without lines of one colour at its edges, and without such lines inside these. A plain picture stays as it is."""
    inside = picture
    for turn in range(2 * _NESTED):
        lines = inside if turn % 2 == 0 else inside.swapaxes(0, 1)
        first, end = _even_lines(lines), len(lines) - _even_lines(lines[::-1])
        if end - first < _SMALLEST * picture.shape[turn % 2]:
            return picture
        inside = inside[first:end] if turn % 2 == 0 else inside[:, first:end]
    return inside


def _even_lines(lines: NDArray[np.uint8]) -> int:
    """How many of (n, length, 3) lines from the first one on are of the first one's colour all along, or partly so beside a bar."""
    apart = np.abs(lines.astype(np.int16) - np.median(lines[0], axis=0).astype(np.int16))
    uneven = np.flatnonzero((apart.max(axis=2) > _EVEN).mean(axis=1) > _OTHER_SHARE)
    if not len(uneven) or not uneven[0] or uneven[0] + 1 >= len(lines):
        return int(uneven[0]) if len(uneven) else len(lines)
    edge = int(uneven[0])
    return edge + int(apart[edge].mean() < _MIXED * apart[edge + 1].mean())


class _Hashes:
    def __init__(self) -> None:
        import cv2  # noqa: PLC0415 -- heavy, and an actor's restart should not pay for it

        self._cv2 = cv2
        self._hash = cv2.img_hash.BlockMeanHash.create(cv2.img_hash.BLOCK_MEAN_HASH_MODE_0)

    def of(self, picture: NDArray[np.uint8], views: Iterable[str]) -> Iterator[str | None]:
        """The hash of each view of a picture as hex digits; None for all of a plain picture.

        Args:
            picture: (height, width, 3) uint8, BGR.
            views: of `WHOLE` and `CROPS`.
        """
        inside = _without_bars(picture)
        grey = self._grey(inside)
        if grey.std() < _PLAIN:
            yield from (None for _ in views)
            return
        whole = self._square(grey)
        for view in views:
            if view == INSET:
                x1, y1, x2, y2 = map(int, picture_area(inside))
                yield self._hashed(self._square(self._grey(inside[y1:y2, x1:x2])))
            else:
                x, y, width, height = (round(share * _SIDE_PX) for share in _CROP.get(view, (0.0, 0.0, 1.0, 1.0)))
                yield self._hashed(whole[y : y + height, x : x + width])

    def _grey(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(self._cv2.cvtColor(picture, self._cv2.COLOR_BGR2GRAY), np.uint8)

    def _square(self, grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(self._cv2.resize(grey, (_SIDE_PX, _SIDE_PX), interpolation=self._cv2.INTER_LINEAR), np.uint8)

    def _hashed(self, square: NDArray[np.uint8]) -> str:
        found: bytes = self._hash.compute(np.ascontiguousarray(square)).tobytes()
        return found.hex()
