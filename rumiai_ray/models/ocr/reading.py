"""One text found in a frame: the common result of both engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rumiai_ray.models.ocr.scripts import UNKNOWN, script_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Reading:
    """One text that an engine found."""

    polygon: NDArray[np.float32]
    """(4, 2) corners x, y in the image's pixels: top left, top right, bottom right, bottom left, as the text is read."""
    text: str | None
    """Never blank: a place without text is no reading. None where a text is there and no loaded recogniser knows its script."""
    confidence: float | None
    """0 to 1, of the reading; None where there is no text."""
    carried: bool = False
    """The pixels equal those of the frame before, whose text was taken over."""

    @property
    def script(self) -> str:
        """The script most letters of the text belong to; `unknown` where the text was not read."""
        return UNKNOWN if self.text is None else script_of(self.text)
