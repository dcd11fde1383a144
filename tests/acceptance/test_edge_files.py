"""Strange files: each is analysed or refused with a typed error that names it and says why. Never a traceback, never a hang."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from product import Ran, analyse

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE_NAMES = ("with space.mp4", "quo'te\".mp4", "-dash.mp4", "видео.mp4", "日本語.mp4", "🎬🔥.mp4", "percent%20.mp4", "semi;colon&.mp4")
REFUSED = {"zero_byte.mp4", "truncated_no_moov.mp4", "text_named.mp4"}


@pytest.fixture(scope="session")
def edges(media: Path, weights: str, workplace: Path) -> Ran:
    """Every edge file that is here and one good clip under hostile names, in one run."""
    del weights
    hostile = workplace / "hostile"
    hostile.mkdir()
    for name in HOSTILE_NAMES:
        shutil.copy(media / "d_emotion/pyfeat_single_face_neutral_to_smile.mp4", hostile / name)
    files = [
        *sorted(media.glob("e_edge_made/*")),
        *sorted(media.glob("e_edge_real/*")),
        *(hostile / name for name in HOSTILE_NAMES),
    ]
    return analyse(workplace, files, "--ocr-fps", "0.3")


def test_every_edge_file_is_analysed_or_refused_by_name_and_reason(media: Path, edges: Ran) -> None:
    assert (media / "e_edge_made" / "zero_byte.mp4").exists()
    assert edges.stdout, edges.stderr
    assert "Traceback" not in edges.stderr
    files = [*(media / "e_edge_made").iterdir(), *(media / "e_edge_real").iterdir()]
    outcomes = {file.name: edges.video("/" + file.name) for file in files}
    assert {name for name, video in outcomes.items() if video["status"] == "dead_letter"} == REFUSED
    for name in REFUSED:
        error = outcomes[name]["error"]
        assert name in error["message"]
        assert error["class"] in {"MediaError", "InputError"}
    for name in outcomes.keys() - REFUSED:
        failures = {model: one["error"] for model, one in outcomes[name]["models"].items() if one["status"] == "failed"}
        assert not failures, name


def test_one_good_clip_under_hostile_names_is_one_video_analysed_once(edges: Ran) -> None:
    videos = [edges.video("/" + name) for name in HOSTILE_NAMES]
    assert {video["status"] for video in videos} == {"complete"}
    (key,) = {video["video_key"] for video in videos}
    analyses = [row for row in edges.run.table("analyses").to_pylist() if row["video_key"] == key]
    assert sorted(row["model_name"] for row in analyses) == ["emotion", "mediapipe", "ocr", "shots", "sound", "whisper", "yolo"]


def test_a_file_without_a_video_stream_is_heard_and_its_pictures_are_skipped_by_reason(edges: Ran, media: Path) -> None:
    video = edges.video(str(media / "e_edge_made" / "audio_only.mp4"))
    told = {name: (model["status"], model["detail"]) for name, model in video["models"].items()}
    assert told.pop("sound") == ("ok", None)
    assert told.pop("whisper")[0] in {"ok", "empty"}
    assert told == dict.fromkeys(("mediapipe", "yolo", "ocr", "emotion", "shots"), ("skipped", "no video stream"))


def test_a_truncated_video_is_degraded_and_says_how_much_is_missing(edges: Ran, media: Path) -> None:
    video = edges.video(str(media / "e_edge_made" / "truncated_faststart.mp4"))
    assert {model["status"] for model in video["models"].values()} == {"degraded"}
    assert any("of 75 promised frames decoded" in problem for problem in video["problems"])


def test_refused_files_make_the_run_partial_and_the_exit_code_one(edges: Ran, media: Path) -> None:
    assert (media / "e_edge_made" / "zero_byte.mp4").exists()
    assert edges.document["status"] == "partial"
    assert edges.code == 1
    assert edges.run.verify() == []


@pytest.mark.model("whisper")
def test_a_silent_track_gives_no_invented_speech(edges: Ran, media: Path) -> None:
    for name in ("silent_audio_track.mp4", "black_silent_9x16.mp4"):
        assert edges.video(str(media / "e_edge_made" / name))["models"]["whisper"]["status"] == "empty"
