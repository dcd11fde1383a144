"""A file without a video stream in everything that is made of a run: pages, drawings, documents, tables."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from report_run import analysis_row, video_row, word_rows, write_run
from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.run_setup import decode_limits, open_store
from rumiai_ray.errors import ConfigError
from rumiai_ray.frames.store.files import sha256_of
from rumiai_ray.report.annotate import annotate
from rumiai_ray.report.write import write_report, write_video
from rumiai_ray.runs.export.document import export_json
from rumiai_ray.runs.export.tables import export_features, export_tables
from sound_files import make_sound

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.frames.store.store import FrameStore
    from rumiai_ray.runs.reader import Run

LOOKERS = ("mediapipe", "yolo", "ocr", "emotion", "shots")


@pytest.fixture
def heard(tmp_path: Path) -> tuple[Run, FrameStore]:
    """A run over one song, in which two words are sung, and one video whose frames are gone."""
    song = make_sound(tmp_path / "song.mp3", 4.0)
    store = open_store(load_config(None, {"store": str(tmp_path / "store")}))
    with store.ensure(song, sha256_of(song)) as stored:
        frames, length_s = stored.key, stored.facts.duration_s
    nothing: dict[str, Any] = dict.fromkeys(
        ("video_codec", "width_px", "height_px", "rotation_deg", "mirrored", "fps", "sampling_fps", "video_stream")
    )
    video = video_row(
        "song", input=str(song), frames_key=frames, container="mp3", audio_codec="mp3", duration_s=length_s, audio_duration_s=length_s,
        video_streams=0, frames_decoded=0, frames_sampled=0, **nothing,
    )  # fmt: skip
    unseen: dict[str, Any] = dict.fromkeys(("frames_planned", "frames_analyzed", "frames_seen", "processing_time_s"))
    skipped = [analysis_row(name, "skipped", detail="no video stream", rows=0, attempts=0, **unseen) for name in LOOKERS]
    whisper = analysis_row("whisper", **unseen | {"audio_analyzed_s": length_s, "processing_time_s": 0.5})
    rows = {"videos": [video], "analyses": [*skipped, whisper], **word_rows(["la", "li"])}
    run = write_run(tmp_path / "runs", {"song": rows, "clip": {}}, keys={"song": sha256_of(song)})
    return run, store


def test_its_page_has_the_words_and_says_that_there_are_no_pictures(heard: tuple[Run, FrameStore], tmp_path: Path) -> None:
    run, store = heard
    page = write_video(run, "song", tmp_path / "song.html", store).read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<(script|style)>.*?</\1>", " ", page)))
    assert "The file has no video stream, so there are no pictures." in text
    assert "no video stream · no video, mp3" in text
    assert "mediapipe was skipped: no video stream" in text
    assert "sampled frames" not in text.lower()
    assert "contact sheet" not in text.lower()
    assert re.findall(r'<button type="button" class="word"[^>]*>(\w+)<', page) == ["la", "li"]
    assert 'data-step="1.0"' in page
    assert "None" not in text
    assert not re.search(r"\bnan\b", text)


def test_the_page_of_the_run_does_not_miss_its_pictures(heard: tuple[Run, FrameStore], tmp_path: Path) -> None:
    run, store = heard
    index, *pages = write_report(run, tmp_path / "report", store)
    assert len(pages) == 2
    assert "1 without a picture" in index.read_text(encoding="utf-8"), "the video whose frames are gone, and it alone"


def test_there_is_nothing_to_draw_on(heard: tuple[Run, FrameStore], tmp_path: Path) -> None:
    run, _ = heard
    with pytest.raises(ConfigError, match=r"'song'.*has no video stream"):
        annotate(run, "song", tmp_path / "out.mp4", decode_limits(load_config()))
    assert not (tmp_path / "out.mp4").exists()


def test_its_documents_say_which_models_did_not_run_and_why(heard: tuple[Run, FrameStore], tmp_path: Path) -> None:
    run, _ = heard
    written = {path.name: json.loads(path.read_text()) for path in export_json(run, tmp_path / "documents") if path.name.startswith("song")}
    assert len(written) == 5
    speech = written.pop("song_whisper.json")
    assert (speech["text"], speech["metadata"]["processed"]) == ("la li", True)
    for name, document in written.items():
        metadata = document["metadata"]
        assert (metadata["processed"], metadata["reason"]) == (False, "no video stream"), name
        assert (metadata["frame_width"], metadata["frame_height"], metadata["frames_analyzed"]) == (None, None, None), name


def test_its_figures_of_pictures_are_empty_cells_and_no_zeros(heard: tuple[Run, FrameStore], tmp_path: Path) -> None:
    run, _ = heard
    export_features(run, tmp_path / "features.csv")
    head, *lines = (tmp_path / "features.csv").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith("song,")]
    cells = dict(zip(head.split(","), line.split(","), strict=True))
    assert [cells[f"videos.{name}"] for name in ("width_px", "fps", "sampling_fps", "video_codec")] == [""] * 4
    assert (cells["status.yolo"], cells["videos.frames_sampled"]) == ("skipped", "0")
    export_tables(run, tmp_path / "tables", "parquet")
    export_tables(run, tmp_path / "csv", "csv")
