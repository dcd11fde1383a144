"""Which way up a picture is shown: all eight orientations, by EXIF, by a display matrix, by `irot` and `imir`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_RIGHT_ANGLE = 90
_EXIF = ((0, False), (0, True), (180, False), (180, True), (270, True), (90, False), (90, True), (270, False))
"""(clockwise degrees, mirrored) by EXIF orientation less one (CIPA DC-008, tag 0x0112)."""


@dataclass(frozen=True)
class Orientation:
    """What turns a stored picture into the picture as shown: it is mirrored left to right first, then turned."""

    rotation_deg: int = 0
    """Clockwise: 0, 90, 180 or 270."""
    mirrored: bool = False

    @classmethod
    def of_exif(cls, value: object) -> Orientation:
        """The orientation that EXIF numbers 1 to 8; any other value means upright."""
        if isinstance(value, int) and 1 <= value <= len(_EXIF):
            return cls(*_EXIF[value - 1])
        return cls()

    @classmethod
    def of_matrix(cls, matrix: Sequence[int]) -> Orientation:
        """The nearest orientation to a display matrix.

        Args:
            matrix: (9,) row by row as in a `tkhd` box (ISO/IEC 14496-12, 8.3.2): a stored point (p, q), y downwards, is shown at
                (a·p + c·q, b·p + d·q) with a, b = matrix[0:2] and c, d = matrix[3:5].
        """
        a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
        mirrored = a * d - b * c < 0
        if mirrored:  # undo the mirroring, which comes first, and look at what remains: a rotation
            a, b = -a, -b
        return cls(_quarters(math.degrees(math.atan2(b - c, a + d))), mirrored)

    @classmethod
    def of_item(cls, quarters_ccw: int, mirror_axis: int | None) -> Orientation:
        """The orientation that the properties of a HEIF item ask for: `irot` first, then `imir` (ISO/IEC 23008-12, 6.5.10 and 6.5.12).

        Args:
            quarters_ccw: angle of `irot`, in quarter turns counterclockwise.
            mirror_axis: of `imir`; 0 exchanges top and bottom, 1 left and right, None where there is no such property.
        """
        if mirror_axis is None:
            return cls(-quarters_ccw * _RIGHT_ANGLE % 360, mirrored=False)
        # to mirror after a turn is to mirror before the opposite turn
        return cls((quarters_ccw + (2 if mirror_axis == 0 else 0)) * _RIGHT_ANGLE % 360, mirrored=True)

    @property
    def is_on_its_side(self) -> bool:
        """Whether width and height change places."""
        return self.rotation_deg % 180 != 0

    def apply(self, picture: NDArray[Any]) -> NDArray[Any]:
        """The picture as shown.

        Args:
            picture: (height, width, ...) as stored.

        Returns:
            A view of it or of its memory; the shape's first two figures change places where the picture lay on its side.
        """
        if self.mirrored:
            picture = picture[:, ::-1]
        return np.rot90(picture, -(self.rotation_deg // _RIGHT_ANGLE))


UPRIGHT = Orientation()
"""Shown as stored."""


def _quarters(degrees: float) -> int:
    return round(degrees / _RIGHT_ANGLE) * _RIGHT_ANGLE % 360
