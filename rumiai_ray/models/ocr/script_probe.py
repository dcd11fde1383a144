"""Tells lines in scripts that PP-OCR does not know from those it reads, by what its recogniser knows of each column of the picture.

The recogniser's own answer tells little: a line of Cyrillic comes out as Latin look-alikes with a confidence of 0.93. But the 120
features from which it names characters differ, and a linear classifier on their mean and maximum over the line tells scripts apart. Its
weights, 240 × classes, belong to the recogniser whose digest the catalogue pins; `tests/benchmarks/train_script_probe.py` makes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KNOWN = "known"
"""Latin, Chinese, Japanese: what PP-OCRv6 small reads."""
CLASSES = (KNOWN, "cyrillic", "hangul", "thai", "arabic", "devanagari", "bengali", "tamil", "telugu", "kannada", "other")
"""What a line may be. The named scripts are those that EasyOCR has recognisers for."""
_WEIGHTS = Path(__file__).with_name("script_probe.npz")


class ScriptProbe:
    """The classifier, its weights read from this package."""

    def __init__(self) -> None:
        with np.load(_WEIGHTS) as stored:
            self._weights, self._bias = stored["weights"], stored["bias"]

    def probabilities(self, features: NDArray[np.float32]) -> dict[str, float]:
        """The probability of each of `CLASSES`.

        Args:
            features: (steps, 120) float32, of one line.
        """
        scores = pooled(features) @ self._weights + self._bias
        odds = np.exp(scores - scores.max())
        return dict(zip(CLASSES, (odds / odds.sum()).tolist(), strict=True))


def pooled(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(240,) float32: mean and maximum of (steps, 120) features over the steps."""
    return np.concatenate([features.mean(axis=0), features.max(axis=0)])
