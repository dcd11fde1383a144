"""Real models on a slide show: how often a file repeats its pictures changes no insight. With scripted models: `test_shown_time.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from pictures import still
from rumiai_ray.config import load_config
from rumiai_ray.engine.cell.frontend import _outcome, rgb
from rumiai_ray.engine.cell.messages import Answer, Index, Payload
from rumiai_ray.engine.results.assemble import assemble
from rumiai_ray.engine.setup.run_setup import fetch_limits, open_store, thresholds
from rumiai_ray.engine.work.arrow_ipc import pack
from rumiai_ray.engine.work.entry_reader import Stage
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.models.base import FrameBatch
from rumiai_ray.models.catalogue import plan_class
from shown_alike import RATES_FPS, differences
from synthetic_clips import slide_show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from rumiai_ray.engine.work.item import Work
    from rumiai_ray.models.base import Batch, Model, ModelPlan

    Picture = NDArray[np.uint8]
    Tables = dict[str, list[dict[str, Any]]]

pytestmark = pytest.mark.model("mediapipe", "ocr", "shots")

SIZE_PX = 480, 640
FACE_PX = 135, 5, 321, 253
"""Left, top, right and bottom of the astronaut's head in her portrait."""
WAIST_PX = 35, 0, 419, 512
"""Of her to the waist."""
STARTS_S, DURATION_S = (0.0, 3.0, 5.0, 7.0), 9.0
INSIGHTS = ("shots", "text_spans", "tracks", "person_framing", "person_framing_seconds", "windows", "timeline")


def _slides(media: Path) -> list[tuple[Picture, int]]:
    """A face that fills the picture, a card, a mountain with nobody, the same woman to the waist behind a caption; and their seconds."""
    portrait = Image.fromarray(still(media / "d_emotion" / "skimage_astronaut_happy.png"))
    pictures = (
        (portrait.crop(FACE_PX).resize(SIZE_PX), 3),
        (_with_text(Image.new("RGB", SIZE_PX, "white"), "PRICE LIST", 300), 2),
        (Image.fromarray(still(media / "d_emotion" / "pyfeat_noface_mountain.jpg", SIZE_PX)), 2),
        (_with_text(portrait.crop(WAIST_PX).resize(SIZE_PX), "READY FOR SPACE", 590), 2),
    )
    return [(np.asarray(picture, np.uint8), seconds) for picture, seconds in pictures]


def _with_text(picture: Image.Image, text: str, middle_px: int) -> Image.Image:
    """The picture with a line of text, black on a white box."""
    draw = ImageDraw.Draw(picture)
    draw.rectangle((20, middle_px - 40, SIZE_PX[0] - 20, middle_px + 40), fill="white")
    draw.text((SIZE_PX[0] / 2, middle_px), text, fill="black", font=ImageFont.load_default(size=44), anchor="mm")
    return picture


@pytest.fixture(scope="module")
def plans(plan_for: Callable[..., ModelPlan]) -> tuple[ModelPlan, ...]:
    return plan_for("mediapipe"), plan_for("ocr", engine="ppocr"), plan_for("shots")


@pytest.fixture(scope="module")
def models(plans: tuple[ModelPlan, ...]) -> Iterator[dict[str, Model]]:
    loaded = {plan.name: plan_class(plan)(plan) for plan in plans}
    for model in loaded.values():
        model.load()
    yield loaded
    for model in loaded.values():
        model.close()


def _answered(work: Work, models: Mapping[str, Model]) -> tuple[Index, Payload]:
    """What a cell returns for a row of work."""
    outcomes, payload = {}, {}
    for name, positions in work.wanted.items():
        prediction = models[name].answer(_batch(work, list(positions)))
        payload[name] = {table: pack(rows) for table, rows in prediction.tables.items()}
        count = sum(rows.num_rows for rows in prediction.tables.values())
        outcomes[name] = _outcome(work, name, Answer(payload[name], count, prediction.missed, 0.1, 0, 0.1), 1, ())
    return Index(work.entry_id, work.video_key, work.batch_index, work.batch_count, outcomes), payload


def _batch(work: Work, positions: list[int]) -> Batch:
    if work.frames is None:
        assert work.thumbnails is not None
        return work.thumbnails
    images = np.stack([rgb(work.frames.jpegs[at], work) for at in positions])
    frames = work.frames
    return FrameBatch(frames.frame_index[positions], frames.time_s[positions], images, work.source_width_px, work.source_height_px)


def _analysed(folder: Path, clip: Path, plans: tuple[ModelPlan, ...], models: Mapping[str, Model]) -> Tables:
    """A run's tables for a file, from decoder to insights, without Ray."""
    config = load_config(flags={"store": str(folder / "store"), "out": str(folder / "runs")})
    cut = thresholds(config)
    stage = Stage("run", plans, open_store(config), fetch_limits(config), folder, config.engine.batch_frames, cut)
    works = list(stage.work_of(Entry("one", str(clip)), lambda _key, _entry: True))
    header = works[0].header
    assert header is not None
    assert header.plan is not None, header.row.to_pylist()
    tables = assemble("run", header.plan, plans, [_answered(work, models) for work in works], cut)
    rows = {name: tables[name].drop_columns(["run_id", "video_key"]).to_pylist() for name in (*INSIGHTS, "analyses")}
    assert {row["status"] for row in rows.pop("analyses")} == {"ok"}
    return rows


@pytest.fixture(scope="module")
def analysed(
    tmp_path_factory: pytest.TempPathFactory, media: Path, plans: tuple[ModelPlan, ...], models: dict[str, Model]
) -> dict[int | None, Tables]:
    """The insights of the slide show at each rate; None is one frame for each picture."""
    slides, found = _slides(media), {}
    for fps in (None, *RATES_FPS):
        folder = tmp_path_factory.mktemp("slides")
        found[fps] = _analysed(folder, slide_show(folder / "slides.mp4", slides, fps), plans, models)
    return found


def test_each_slide_in_one_frame_is_seen_for_as_long_as_it_is_shown(analysed: dict[int | None, Tables]) -> None:
    tables = analysed[None]
    assert [row["start_s"] for row in tables["shots"]] == pytest.approx(STARTS_S)
    assert [(row["text"], row["start_s"], row["end_s"]) for row in tables["text_spans"]] == [
        ("PRICE LIST", 3.0, 5.0),
        ("READY FOR SPACE", 7.0, pytest.approx(DURATION_S, abs=0.1)),
    ]
    (framing,) = tables["person_framing"]
    assert framing["face_visibility_rate"] == pytest.approx(5 / 9, abs=0.01)
    assert framing["longest_absence_s"] == pytest.approx(4.0)
    assert [framing[f"{name}_share"] for name in ("close", "medium", "none")] == pytest.approx([3 / 9, 2 / 9, 4 / 9], abs=0.01)
    sizes = [row["shot_type"] for row in tables["person_framing_seconds"]]
    assert sizes == ["close"] * 3 + ["none"] * 4 + ["medium"] * 2
    assert [row["text_coverage"] for row in tables["timeline"]] == pytest.approx([0, 0, 0, 1, 1, 0, 0, 1, 1], abs=0.1)
    hook = tables["windows"][0]
    assert [hook[name] for name in ("name", "face_visibility_rate", "text_coverage", "shot_count")] == ["hook", 1.0, 0.0, 1]


@pytest.mark.parametrize("fps", RATES_FPS)
def test_real_models_say_the_same_of_the_same_pictures_at_any_rate(analysed: dict[int | None, Tables], fps: int) -> None:
    assert differences(analysed[None], analysed[fps], DURATION_S) == []
