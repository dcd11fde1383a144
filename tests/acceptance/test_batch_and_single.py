"""A video gives the same rows in a batch as outside of one, whatever runs beside it. `make soak-real` is the long form of this."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from product import rumiai_ray
from rumiai_ray.runs.reader import open_run
from sameness import differences, padded_copy

if TYPE_CHECKING:
    from pathlib import Path

    from product import Ran

CLIPS = {
    "speech": "c_text_derived/tt_grid4_captions_720x1280.mp4",
    "signs": "d_gesture/asl_thanks.mkv",
    "still": "d_emotion/pyfeat_single_face_happy.jpg",
}


@pytest.mark.model("mediapipe", "yolo", "ocr", "whisper", "emotion", "shots", "sound")
def test_a_batch_of_clips_and_their_like_gives_the_rows_of_the_interactive_run(real: Ran, media: Path, workplace: Path) -> None:
    files = {name: media / clip for name, clip in CLIPS.items()}
    files["signs again"] = padded_copy(files["signs"], workplace / "signs again.mkv", 1)
    manifest = workplace / "batch.csv"
    manifest.write_text("id,input\n" + "".join(f"{name},{file}\n" for name, file in files.items()))
    places = ("--store", workplace / "store", "--out", workplace / "runs")
    ended = rumiai_ray("batch", "--profile", "offline", "--manifest", manifest, "--run-id", "batch", *places, cwd=workplace)
    assert ended.code == 0, ended.stderr
    batch = open_run(workplace / "runs" / "batch")
    assert len(batch.table("analyses")) == 4 * 7
    single = {row["input"]: row["entry_id"] for row in real.run.table("videos", ["input", "entry_id"]).to_pylist()}
    for name in files:
        entry = single[str(media / CLIPS[name.partition(" ")[0]])]
        assert differences(batch, name, real.run, entry) == [], name
    limit = batch.summary["speed_of_light"]
    assert 0 < limit["share_reached"] < 1
