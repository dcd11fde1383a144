"""What a change in mid-stream does to the rows of `videos` and `analyses`: from a file through decoder, store and plan, without Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import fakes
from joined_streams import FRAMES, joined
from rumiai_ray.config import load_config
from rumiai_ray.engine.cell.messages import Index, Outcome
from rumiai_ray.engine.results.assemble import assemble
from rumiai_ray.engine.setup.run_setup import fetch_limits, open_store, thresholds
from rumiai_ray.engine.work.entry_reader import Stage
from rumiai_ray.ingest.entries import Entry

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.engine.work.item import Work

LOOKS, LISTENS, WATCHES = fakes.plan("eye"), fakes.plan("ear", "Listener"), fakes.plan("watcher", "Watcher")
MODELS = (LOOKS, LISTENS, WATCHES)
RUN_ID = "20261122T150712Z-3f9a1c"


def answered(work: Work) -> Index:
    """A cell's answer to a row of work: every model has done all of it and found nothing."""
    outcomes = {}
    for name, positions in work.wanted.items():
        frames = tuple(int(work.frames.frame_index[at]) for at in positions) if work.frames is not None else ()
        own = work.thumbnails.own_count if work.thumbnails is not None else 0
        outcomes[name] = Outcome(1, 0.1, 0, frames, 0.0, (), None, thumbnails=own)
    return Index(work.entry_id, work.video_key, work.batch_index, work.batch_count, outcomes)


def rows_of(folder: Path, path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The file's row of `videos`, and its rows of `analyses` by model."""
    config = load_config(flags={"store": str(folder / "store"), "out": str(folder / "runs")})
    cut = thresholds(config)
    stage = Stage(RUN_ID, MODELS, open_store(config), fetch_limits(config), folder, 4, cut)
    works = list(stage.work_of(Entry("one", str(path)), lambda _key, _entry: True))
    header = works[0].header
    assert header is not None
    [row] = header.row.to_pylist()
    assert header.plan is not None, row
    tables = assemble(RUN_ID, header.plan, MODELS, [(answered(work), {}) for work in works], cut)
    return row, {row["model_name"]: row for row in tables["analyses"].to_pylist()}


@pytest.mark.parametrize(
    ("second", "told", "lost"),
    [
        ({"clip": {"size_px": (640, 360)}}, "640×360", True),
        ({"clip": {"size_px": (192, 128)}}, "192×128", True),
        ({"clip": {"size_px": (120, 80)}}, "120×80", False),
        ({"clip": {"size_px": (48, 32)}}, "48×32", False),
        ({"clip": {"sample_aspect": (2, 1)}}, "192×64", True),
        ({"clip": {"sample_aspect": (4, 3)}}, "128×64", False),
        ({"clip": {}, "filter": ",h264_metadata=display_orientation=insert:rotate=90"}, "64×96", True),
        ({"clip": {}, "filter": ",h264_metadata=display_orientation=insert:rotate=180"}, None, False),
        ({"clip": {"pixel_format": "yuv444p"}}, None, False),
        ({"clip": {}}, None, False),
    ],
    ids=[
        *("much larger", "twice as large", "a little larger", "smaller", "twice as wide", "a little wider"),
        *("turned by 90", "turned by 180", "pixel format", "no change"),
    ],
)
def test_the_row_of_the_video_names_the_change_and_a_model_whose_view_suffered_is_degraded(
    tmp_path: Path, second: dict[str, Any], told: str | None, *, lost: bool
) -> None:
    video, analyses = rows_of(tmp_path, joined(tmp_path, {"clip": {}}, second))
    problems = " ".join(video["media_problems"])
    assert (video["width_px"], video["height_px"], video["frames_decoded"]) == (96, 64, 2 * FRAMES)
    assert video["duration_s"] == pytest.approx(2 * FRAMES / 20, abs=0.06)
    assert (told in problems and "fitted into the first one's 96×64" in problems) if told else not problems
    for name in ("eye", "watcher"):
        assert analyses[name]["status"] == ("degraded" if lost else "empty")
        assert ("lost detail" in (analyses[name]["detail"] or "")) == lost
    assert (analyses["ear"]["status"], analyses["ear"]["detail"]) == ("skipped", "no audio stream")
    assert analyses["eye"]["frames_planned"] == analyses["eye"]["frames_analyzed"] == video["frames_sampled"]
