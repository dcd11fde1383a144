"""The engine `ppocr` beside RapidOCR, which ships its networks: equal boxes and equal texts on captioned frames and photos.

Usage: text_reference.py MEDIA [FRAMES]
Needs `rapidocr` 3.10.0, which this project neither installs nor runs; RapidOCR's own networks are named by path, so nothing is downloaded.
Each box of RapidOCR is held against the nearest one of ours: intersection over union, and whether the text is the same, spaces aside.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from shapely.geometry import Polygon

from pictures import batch
from rumiai_ray.models.ocr.model import Ocr
from rumiai_ray.models.ocr.settings import OcrSettings
from rumiai_ray.models.weights.choice import default_directories, resolve
from text_frames import photos, rendered

if TYPE_CHECKING:
    from numpy.typing import NDArray


def reference(files: dict[str, Path], long_side_px: int) -> Any:
    """RapidOCR on OpenVINO, without its direction classifier."""
    from rapidocr import EngineType, RapidOCR  # noqa: PLC0415 -- not a dependency

    return RapidOCR(
        params={
            "Det.engine_type": EngineType.OPENVINO, "Rec.engine_type": EngineType.OPENVINO, "Det.model_path": str(files["detector"]),
            "Rec.model_path": str(files["recogniser"]), "Det.limit_type": "max", "Det.limit_side_len": long_side_px,
            "Global.use_cls": False, "Global.max_side_len": 4096,
        }
    )  # fmt: skip


def overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection over union of two quadrilaterals."""
    mine, theirs = Polygon(one), Polygon(other)
    return float(mine.intersection(theirs).area / mine.union(theirs).area)


def main() -> None:
    media, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20
    settings = OcrSettings(threads=1)
    plan = resolve(Ocr, settings, profile="offline", directories=default_directories())
    model, theirs = Ocr(plan), reference(dict(plan.files), settings.long_side_px)
    model.load()
    overlaps, equal, extra = [], 0, 0
    for frame in [*rendered(media, 1, count), *photos(media)]:
        rows = model.predict(batch(frame.image[None])).tables["texts"].to_pylist()
        ours = [(np.array(row["polygon"], np.float32).reshape(4, 2), row["text"]) for row in rows]
        read = theirs(frame.image[:, :, ::-1])
        boxes = [] if read.boxes is None else list(zip(read.boxes, read.txts, strict=True))
        extra += max(0, len(ours) - len(boxes))
        for polygon, text in boxes:
            near, mine = max(((overlap(polygon, box), said) for box, said in ours), key=lambda each: each[0], default=(0.0, ""))
            overlaps.append(near)
            same = "".join(str(mine).split()) == "".join(text.split())
            equal += same
            if not same:
                print(f"RapidOCR {text!r}, ours {mine!r}, overlap {near:.2f}")
    print(f"{len(overlaps)} boxes of RapidOCR: {equal} texts equal, median overlap {np.median(overlaps):.3f}, least {min(overlaps):.3f}")
    print(f"{extra} boxes more than RapidOCR's")


if __name__ == "__main__":
    main()
