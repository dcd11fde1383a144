"""A clip in a frame store, and a run over it with known rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from report_run import Analysed, analysis_row, video_row, write_run
from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.run_setup import open_store
from rumiai_ray.frames.store.files import sha256_of
from synthetic_clips import grid_times_s, make_clip
from synthetic_run import object_row

if TYPE_CHECKING:
    from pathlib import Path


SIZE_PX = (96, 64)
CLIP_FPS = 10
CLIP_S = 2.0


@pytest.fixture
def analysed(tmp_path: Path) -> Analysed:
    clip = make_clip(tmp_path / "clip.mp4", grid_times_s(CLIP_FPS, CLIP_S), sound_from_to_s=[(0, CLIP_S)])
    store = open_store(load_config(None, {"store": str(tmp_path / "store")}))
    key = sha256_of(clip)
    with store.ensure(clip, key) as stored:
        frames, sampled = stored.key, stored.facts.frames_sampled
    video = video_row(
        "clip", input=str(clip), frames_key=frames, width_px=SIZE_PX[0], height_px=SIZE_PX[1], duration_s=CLIP_S, fps=float(CLIP_FPS),
        frames_decoded=20, frames_sampled=sampled, audio_duration_s=CLIP_S,
    )  # fmt: skip
    seen: dict[str, Any] = {"frames_planned": sampled, "frames_analyzed": sampled, "frames_seen": list(range(sampled))}
    dogs = [object_row(frame, label="dog", time_s=frame / 5, x1=20.0, y1=20.0, x2=70.0, y2=50.0) for frame in range(sampled // 2, sampled)]
    rows = {"videos": [video], "analyses": [analysis_row("yolo", **seen)], "objects": dogs}
    return Analysed(clip, store, write_run(tmp_path / "runs", {"clip": rows}, keys={"clip": key}))
