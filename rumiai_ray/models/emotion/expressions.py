"""What a reader of facial expressions gives, whichever network it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rumiai_ray.models.base import Box


@dataclass(frozen=True)
class Expression:
    """One face in one image. None stands for what the network does not measure."""

    image: int
    """Position of the image in the batch."""
    box: Box
    """x1, y1, x2, y2 in pixels of the image; may reach outside it."""
    emotions: tuple[float, ...]
    """Probabilities in the order of `schema.emotion.EMOTIONS`; they sum to 1."""
    confidence: float | None = None
    """Of the face detector, 0 to 1."""
    valence: float | None = None
    """-1 to 1."""
    arousal: float | None = None
    """-1 to 1."""
    head_deg: tuple[float | None, float | None, float | None] | None = None
    """Pitch, roll and yaw in degrees."""
    action_units: tuple[float | None, ...] | None = None
    """0 to 1, in the order of `schema.emotion.ACTION_UNITS`."""

    @property
    def area(self) -> float:
        """Of the box, in square pixels."""
        return max(self.box[2] - self.box[0], 0.0) * max(self.box[3] - self.box[1], 0.0)


class ExpressionReader(Protocol):
    """A loaded network."""

    def read(self, images: NDArray[np.uint8]) -> list[Expression]:
        """Every face of every image, in any order.

        Args:
            images: (n, height, width, 3) uint8 RGB.
        """

    def close(self) -> None:
        """Free it."""
