"""Both engines, by the same tests on the same clips."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pictures import batch, clip, still
from rumiai_ray.models.ocr.model import Ocr
from rumiai_ray.schema.ocr import TEXTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from rumiai_ray.models.base import FrameBatch, ModelPlan

    Plans = Callable[..., ModelPlan]

CAPTIONS = {
    1: ["SAY IT WITH ME", "BIN BLUE AT F TWO NOW"],
    4: ["SAY IT WITH ME", "BIN RED BY K SEVEN NOW"],
    7: ["SAY IT WITH ME", "LAY WHITE BY S ZERO AGAIN"],
    10: ["SAY IT WITH ME", "SET WHITE IN Z THREE NOW", "FOLLOW FOR MORE"],
}
POSTER = (
    "Reduce your risk of coronavirus infection:", "Clean hands with soap and water", "or alcohol-based hand rub",
    "Cover nose and mouth when coughing and", "sneezing with tissue or flexed elbow", "Avoid close contact with anyone with",
    "cold or flu-like symptoms", "Thoroughly cook meat and eggs", "No unprotected contact with live wild", "or farm animals",
    "World Health", "Organization",
)  # fmt: skip


@pytest.fixture(scope="module", params=["ppocr", "easyocr"])
def ocr(request: pytest.FixtureRequest, plan_for: Plans) -> Iterator[Ocr]:
    model = Ocr(plan_for("ocr", engine=request.param))
    model.load()
    yield model
    model.close()


@pytest.fixture(scope="module")
def captions(ocr: Ocr, media: Path) -> pa.Table:
    """What is read on four frames of the clip with captions, one of each shot."""
    return _texts(ocr, batch(clip(media / "c_text_derived/tt_grid4_captions_720x1280.mp4", list(CAPTIONS))))


def _texts(model: Ocr, frames: FrameBatch) -> pa.Table:
    return model.predict(frames).tables["texts"]


def _joined(texts: pa.Table, frame_index: int) -> str:
    return " ".join(row["text"] for row in texts.to_pylist() if row["frame_index"] == frame_index)


def _distance(read: str, truth: str) -> int:
    """Levenshtein distance, letter case aside."""
    row = list(range(len(truth) + 1))
    for i, mine in enumerate(read.lower(), 1):
        diagonal, row[0] = row[0], i
        for j, theirs in enumerate(truth.lower(), 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (mine != theirs))
    return row[-1]


@pytest.mark.model("ocr")
def test_captions_are_read_in_reading_order_with_few_wrong_letters(captions: pa.Table) -> None:
    for frame_index, truth in enumerate(CAPTIONS.values()):
        shown = " ".join(truth)
        assert _distance(_joined(captions, frame_index), shown) <= 0.15 * len(shown)


@pytest.mark.model("ocr")
def test_sightings_are_numbered_in_order_and_their_box_is_the_hull_of_their_polygon(captions: pa.Table) -> None:
    assert captions.schema.equals(TEXTS.row_schema)
    rows = captions.to_pylist()
    for frame_index in range(len(CAPTIONS)):
        mine = [row for row in rows if row["frame_index"] == frame_index]
        assert [row["text_index"] for row in mine] == list(range(len(mine)))
    for row in rows:
        assert 0 <= row["x1"] == min(row["polygon"][::2]) < row["x2"] == max(row["polygon"][::2]) <= 720
        assert 0 <= row["y1"] == min(row["polygon"][1::2]) < row["y2"] == max(row["polygon"][1::2]) <= 1280
        assert 0 <= row["confidence"] <= 1


@pytest.mark.model("ocr")
def test_short_texts_over_moving_pictures_are_read(ocr: Ocr, media: Path) -> None:
    texts = _texts(ocr, batch(clip(media / "c_text_derived/tt_dog_voiceover_720x1280.mp4", [1, 4, 7])))
    for frame_index, truth in enumerate(("POV my dog loves fetch", "wait for it", "LINK IN BIO")):
        assert _distance(_joined(texts, frame_index), truth) <= 0.15 * len(truth)


@pytest.mark.model("ocr")
def test_the_small_print_of_a_poster_is_read(ocr: Ocr, media: Path) -> None:
    read = _texts(ocr, batch(still(media / "c_text/easyocr_english.png")[None]))["text"].to_pylist()
    best = [min(_distance(str(text), line) for text in read) / len(line) for line in POSTER]
    assert len([rate for rate in best if rate <= 0.15]) >= 11


@pytest.mark.model("ocr")
def test_boxes_are_in_source_pixels_when_the_stored_picture_is_smaller(ocr: Ocr, captions: pa.Table, media: Path) -> None:
    full = clip(media / "c_text_derived/tt_grid4_captions_720x1280.mp4", [10])
    texts = _texts(ocr, batch(_halved(full), source_px=(720, 1280)))
    expected = [row for row in captions.to_pylist() if row["frame_index"] == 3]
    assert texts.num_rows == len(expected)
    for row, other in zip(texts.to_pylist(), expected, strict=True):
        assert [row[side] for side in ("x1", "y1", "x2", "y2")] == pytest.approx([other[side] for side in ("x1", "y1", "x2", "y2")], abs=16)


def _halved(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    n, height, width, _ = images.shape
    halved: NDArray[np.uint8] = images.reshape(n, height // 2, 2, width // 2, 2, 3).mean(axis=(2, 4)).astype(np.uint8)
    return halved


@pytest.mark.model("ocr")
def test_a_blank_frame_gives_an_empty_table(ocr: Ocr) -> None:
    texts = _texts(ocr, batch(np.zeros((1, 128, 64, 3), np.uint8)))
    assert texts.num_rows == 0
    assert texts.schema.equals(TEXTS.row_schema)


@pytest.fixture(scope="module")
def poster(media: Path) -> FrameBatch:
    return batch(still(media / "c_text/easyocr_english.png", (452, 240))[None])


@pytest.fixture(scope="module")
def poster_texts(ocr: Ocr, poster: FrameBatch) -> pa.Table:
    return _texts(ocr, poster)


@pytest.mark.model("ocr")
def test_readings_below_the_confidence_asked_for_are_not_kept(
    ocr: Ocr, poster_texts: pa.Table, poster: FrameBatch, plan_for: Plans
) -> None:
    limit = float(np.median(poster_texts["confidence"].to_numpy()))
    strict = Ocr(plan_for("ocr", engine=ocr.plan.settings.model_dump()["engine"], min_confidence=limit))
    strict._reader = ocr._reader
    sure = [row["text"] for row in poster_texts.to_pylist() if row["confidence"] >= limit]
    assert 0 < len(sure) < poster_texts.num_rows
    assert _texts(strict, poster)["text"].to_pylist() == sure


@pytest.mark.model("ocr")
@pytest.mark.parametrize("engine", ["ppocr", "easyocr"])
def test_loading_leaves_nothing_in_the_home_directory(plan_for: Plans, tmp_path: Path, engine: str) -> None:
    plan = tmp_path / "plan"
    plan.write_bytes(pickle.dumps(plan_for("ocr", engine=engine)))
    home = tmp_path / "home"
    home.mkdir()
    program = f"""
import pickle, sys
from rumiai_ray.models.ocr.model import Ocr
before = list(sys.path)
Ocr(pickle.load(open({str(plan)!r}, "rb"))).load()
assert sys.path == before
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment | {"HOME": str(home)})
    assert not list(home.iterdir())
