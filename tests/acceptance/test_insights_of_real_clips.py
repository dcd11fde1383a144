"""What is derived from clips whose content is known: cuts, spans, framing, tracks. The run is that of `test_real_clips`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from known_clips import CAPTIONS, GRID, SEVEN
from text_metrics import best_reading

if TYPE_CHECKING:
    from product import Ran

ALL = pytest.mark.model(*SEVEN)
CARDS = "tt_textcards_no_person_720x1280.mp4"
VOICE = "tt_dog_voiceover_720x1280.mp4"
NO_FACE = "pyfeat_face_then_noface.mov"


def _framing(real: Ran, ending: str) -> dict[str, Any]:
    (row,) = real.rows("person_framing", ending)
    return row


def _windows(real: Ran, ending: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in real.rows("windows", ending)}


@pytest.mark.model("shots")
@pytest.mark.parametrize(
    ("clip", "cuts_s"), [(GRID, [3.0, 6.0, 9.0]), (CARDS, [2.0, 4.0]), (NO_FACE, [2.4]), (VOICE, []), ("asl_yes.mkv", [])]
)
def test_shots_begin_where_the_clip_was_cut_and_fill_it(real: Ran, clip: str, cuts_s: list[float]) -> None:
    rows = real.rows("shots", clip)
    assert [row["start_s"] for row in rows] == pytest.approx([0.0, *cuts_s], abs=0.1)
    (video,) = real.rows("videos", clip)
    assert rows[-1]["end_s"] == video["duration_s"]
    assert sum(row["frames"] for row in rows) == video["frames_decoded"]


@pytest.mark.model("ocr")
@pytest.mark.parametrize("caption", CAPTIONS)
def test_each_caption_is_one_span_of_its_time(real: Ran, caption: str) -> None:
    spans = [row for row in real.rows("text_spans", GRID) if best_reading(caption, [row["text"]]) <= 0.2]
    assert len(spans) == 1, [row["text"] for row in real.rows("text_spans", GRID)]
    assert (spans[0]["start_s"], spans[0]["end_s"]) == pytest.approx(CAPTIONS[caption], abs=0.6)
    assert spans[0]["is_call_to_action"] is (caption == "FOLLOW FOR MORE")
    assert spans[0]["position"] == ("top" if caption == "SAY IT WITH ME" else "bottom")


@pytest.mark.model("ocr", "whisper")
def test_what_repeats_the_speech_is_a_caption_and_what_does_not_is_an_overlay(real: Ran) -> None:
    kinds = {row["text"]: row["kind"] for row in real.rows("text_spans", GRID)}
    overlays = [text for text, kind in kinds.items() if kind == "overlay"]
    for text in ("SAY IT WITH ME", "FOLLOW FOR MORE"):
        assert best_reading(text, overlays) <= 0.2, kinds
    assert sum(kind == "caption" for kind in kinds.values()) >= 3, kinds
    assert {row["kind"] for row in real.rows("text_spans", CARDS)} == {"overlay"}


@ALL
def test_text_cards_have_a_measured_nobody(real: Ran) -> None:
    row = _framing(real, CARDS)
    assert (row["subject_count"], row["face_visibility_rate"], row["dominant_shot_type"]) == (0, 0.0, "none")
    assert [row[name] for name in ("eye_contact_rate", "average_face_size", "gaze_steadiness")] == [None, None, None]
    assert row["not_measured"] == []
    assert [run["shot_type"] for run in row["framing_progression"]] == ["none"]
    assert row["longest_absence_s"] == pytest.approx(6.0, abs=0.1)
    whole = _windows(real, CARDS)["video"]
    assert (whole["person_count"], whole["word_count"], whole["talk_to_camera_share"], whole["dominant_emotion"]) == (0, 0, 0.0, None)
    assert whole["cuts_per_minute"] == pytest.approx(20.0, abs=0.1)
    assert whole["text_coverage"] == pytest.approx(1.0, abs=0.05)


@pytest.mark.model("mediapipe", "yolo")
@pytest.mark.parametrize("clip", ["asl_thanks.mkv", "asl_walk.mkv", "asl_yes.mkv"])
def test_a_signer_is_one_subject_whose_face_is_seen_and_followed(real: Ran, clip: str) -> None:
    row = _framing(real, clip)
    assert row["subject_count"] == 1
    assert row["face_visibility_rate"] >= 0.9
    assert row["longest_absence_s"] == 0.0
    assert 0 < row["average_face_size"] < 0.1
    tracks = [track for track in real.rows("tracks", clip) if track["label"] in {"face", "person"}]
    assert sorted(track["label"] for track in tracks) == ["face", "person"]
    assert {row["track_id"] for row in real.rows("faces", clip)} == {track["track_id"] for track in tracks if track["label"] == "face"}


@pytest.mark.model("mediapipe")
def test_a_face_that_goes_is_visible_for_its_share_and_framing_changes_with_it(real: Ran) -> None:
    row = _framing(real, NO_FACE)
    assert row["face_visibility_rate"] == pytest.approx(0.375, abs=0.1)
    # A body whose face is turned away has a shot size, so that fewer frames show nobody than show no face.
    assert 1 - row["face_visibility_rate"] - 0.1 < row["none_share"] <= 1 - row["face_visibility_rate"]
    seconds = {row["second"]: row for row in real.rows("person_framing_seconds", NO_FACE)}
    assert (seconds[0]["face_visibility_rate"], seconds[5]["face_visibility_rate"]) == (1.0, 0.0)


@ALL
def test_a_voice_over_is_speech_and_nobody_talks_to_the_camera(real: Ran) -> None:
    whole = _windows(real, VOICE)["video"]
    assert whole["speech_coverage"] > 0.6
    assert whole["word_count"] >= 18
    assert whole["talk_to_camera_share"] == 0.0
    assert (whole["has_captions"], whole["shot_count"], whole["cuts_per_minute"]) == (False, 1, 0.0)
    assert whole["call_to_action_count"] == 1
    assert whole["energy_level"] > 0.01


@ALL
def test_somebody_who_says_what_is_written_talks_to_the_camera(real: Ran) -> None:
    windows = _windows(real, GRID)
    assert list(windows) == ["hook", "middle_1", "middle_2", "middle_3", "closing", "video"]
    assert windows["video"]["talk_to_camera_share"] > 0.4
    assert windows["video"]["has_captions"] is True
    assert (windows["video"]["shot_count"], windows["hook"]["shot_count"]) == (4, 1)
    persons = [row for row in real.rows("tracks", GRID) if row["label"] == "person"]
    assert [row["shot_index"] for row in persons] == [0, 1, 2, 3]


@pytest.mark.model("sound")
def test_without_sound_its_figures_are_null_and_say_why(real: Ran) -> None:
    assert real.rows("audio_energy", "sam2_juggle.mp4") == []
    hook = _windows(real, "sam2_juggle.mp4")["hook"]
    assert {hook[name] for name in ("energy_level", "silence_share", "pitch_scatter_ratio", "word_count", "talk_to_camera_share")} == {None}
    assert hook["not_measured"] == ["whisper: skipped", "sound: skipped"]


@ALL
def test_the_timeline_has_every_second_of_every_clip(real: Ran) -> None:
    for video in real.run.table("videos").to_pylist():
        rows = [row for row in real.run.table("timeline").to_pylist() if row["video_key"] == video["video_key"]]
        assert [row["second"] for row in rows] == list(range(len(rows)))
        assert rows[-1]["end_s"] == pytest.approx(video["duration_s"])
    third = real.rows("timeline", GRID)[1]
    assert (third["people"], third["shot_type"], third["shot_index"], third["dominant_emotion"] is not None) == (1, "close", 0, True)
