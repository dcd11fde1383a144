"""Frames with known lines of text for the benchmarks of the text engines: rendered captions, and real photos."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from captions import as_stored, backgrounds, captioned

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PHOTOS = {
    "easyocr_english.png": (
        "Reduce your risk of coronavirus infection:", "Clean hands with soap and water", "or alcohol-based hand rub",
        "Cover nose and mouth when coughing and", "sneezing with tissue or flexed elbow", "Avoid close contact with anyone with",
        "cold or flu-like symptoms", "Thoroughly cook meat and eggs", "No unprotected contact with live wild", "or farm animals",
        "World Health", "Organization",
    ),
    "easyocr_french.jpg": ("Mairie du 1er", "Palais du LOUVRE", "LES ARTS DÉCORATIFS", "Musée du LOUVRE", "Théâtre", "du PALAIS-ROYAL"),
    "easyocr_chinese.jpg": ("愚园路", "Yuyuan Rd.", "315", "309"),
}  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """A picture and the lines it shows."""

    image: NDArray[np.uint8]
    lines: tuple[str, ...]


def rendered(media: Path, seed: int, count: int) -> list[Frame]:
    """Captioned frames."""
    rng = random.Random(seed)
    made = (captioned(ground, rng) for ground in backgrounds(media, rng, count))
    return [Frame(as_stored(image), tuple(line.text for line in shown)) for image, shown in made]


def photos(media: Path) -> list[Frame]:
    """The real pictures, as they are."""
    return [Frame(np.array(Image.open(media / "c_text" / name).convert("RGB"), np.uint8), lines) for name, lines in PHOTOS.items()]
