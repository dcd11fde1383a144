from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.export.document import export_json, file_name
from rumiai_ray.runs.reader import Run, open_run
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.schema.emotion import ACTION_UNITS, EMOTIONS
from rumiai_ray.schema.mediapipe import POSE_LANDMARKS
from synthetic_run import RUN_ID, WEIGHTS, analysis_row, dead_letter_row, manifest, object_row, stamped, video_key, video_row

ID = "7280654844715666731"
PATHS = {
    "people": "human_analysis_outputs/{id}/{id}_human_analysis.json",
    "objects": "object_detection_outputs/{id}/{id}_yolo_detections.json",
    "texts": "creative_analysis_outputs/{id}/{id}_creative_analysis.json",
    "speech": "speech_transcriptions/{id}_whisper.json",
    "emotions": "emotion_detection_outputs/{id}/{id}_emotions.json",
}
MODELS = {"people": "mediapipe", "objects": "yolo", "texts": "ocr", "speech": "whisper", "emotions": "emotion"}


def at(frame: int) -> dict[str, Any]:
    return {"frame_index": frame, "time_s": frame / 5}


def face_row(frame: int, index: int, box: tuple[float, float, float, float]) -> dict[str, Any]:
    return {
        **at(frame), "face_index": index, **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)), "found_by": "full_frame",
        "height_share": 0.3,
    }  # fmt: skip


def pose_row(frame: int) -> dict[str, Any]:
    return {
        **at(frame), "pose_index": 0, "x1": 0.0, "y1": 0.0, "x2": 1.0, "y2": 1.0, "seen_to": 2.0, "stature_share": 1.0,
    }  # fmt: skip


def pose_landmarks_row(frame: int) -> dict[str, Any]:
    return {
        **at(frame), "pose_index": 0, "landmarks": [0.0] * POSE_LANDMARKS * 3,
        "world_landmarks": [0.0] * POSE_LANDMARKS * 3, "visibility": [0.75] * POSE_LANDMARKS, "presence": [1.0] * POSE_LANDMARKS,
    }  # fmt: skip


def hand_row(frame: int, index: int) -> dict[str, Any]:
    return {
        **at(frame), "hand_index": index, "handedness": "left", "handedness_confidence": 0.9, "x1": 0.0, "y1": 0.0, "x2": 1.0, "y2": 1.0,
    }  # fmt: skip


def gaze_row(frame: int, **changes: Any) -> dict[str, Any]:
    return {
        **at(frame), "face_index": 0, "gaze_x": 0.03, "gaze_y": 0.04, "head_yaw_deg": 0.0, "head_pitch_deg": 0.0, "gaze_yaw_deg": 2.0,
        "gaze_pitch_deg": 3.0, "eye_contact": True, "eye_contact_score": 0.5, "direction": "camera",
    } | changes  # fmt: skip


def gesture_row(frame: int, gesture: str) -> dict[str, Any]:
    return {**at(frame), "hand_index": 1, "handedness": "right", "gesture": gesture, "confidence": 0.75}


def text_row(frame: int, text: str, index: int = 0) -> dict[str, Any]:
    return {
        **at(frame), "text_index": index, "block_index": index, "text": text, "confidence": 0.96, "polygon": [0.0] * 8,
        "script": "latin", "carried": False,
        "x1": 232.0, "y1": 379.0, "x2": 345.0, "y2": 406.0,
    }  # fmt: skip


def segment_row(index: int, text: str, start_s: float, end_s: float) -> dict[str, Any]:
    return {
        "segment_index": index, "start_s": start_s, "end_s": end_s, "text": text, "language": "en", "language_probability": 0.9,
        "language_decision": "detected", "avg_logprob": -0.25, "no_speech_prob": 0.125, "compression_ratio": 1.5,
    }  # fmt: skip


def word_row(segment: int, index: int, word: str) -> dict[str, Any]:
    times = {"start_s": float(index), "end_s": index + 0.5}
    return {"segment_index": segment, "word_index": index, **times, "word": word, "normalized": word.lower(), "probability": 0.5}


def emotion_row(frame: int, emotion: str, *, units: dict[str, float] | None = None, largest: bool = True) -> dict[str, Any]:
    scores = {name: 0.7 if name == emotion else 0.05 for name in EMOTIONS}
    measured = dict.fromkeys(ACTION_UNITS, None if units is None else 0.0) | (units or {})
    return {
        **at(frame), "face_index": 0 if largest else 1, "is_largest": largest, "x1": 100.0, "y1": 200.0, "x2": 150.0, "y2": 260.0,
        "face_confidence": None, **scores, "dominant_emotion": emotion, "valence": None, "arousal": None, "head_pitch_deg": None,
        "head_roll_deg": None, "head_yaw_deg": None, **measured,
    }  # fmt: skip


def write(out: Path, tables: dict[str, list[dict[str, Any]]], entry: str = ID, run_id: str = RUN_ID, **video: Any) -> Run:
    writer = RunWriter.create(out, manifest(run_id))
    tables = {"videos": [video_row(entry, **video)], "analyses": [analysis_row(model) for model in MODELS.values()]} | tables
    writer.add({name: stamped(name, rows, entry, run_id) for name, rows in tables.items()})
    writer.commit([entry])
    writer.finish("complete", {})
    return open_run(out / run_id)


def documents(run: Run, directory: Path, entry: str = ID) -> dict[str, Any]:
    export_json(run, directory)
    return {name: json.loads((directory / path.format(id=file_name(entry))).read_text()) for name, path in PATHS.items()}


def head(model: str, **changes: Any) -> dict[str, Any]:
    return {
        "processed": True, "status": "ok", "error": None, "reason": None, "model": f"{model}/backend", "model_version": "1.0",
        "stand_in": False, "weights_sha256": WEIGHTS, "run_id": RUN_ID, "video_key": video_key(ID),
    } | changes  # fmt: skip


FRAMES = {
    "frames_analyzed": 50,
    "frame_number": "index among the video's sampled frames, 0 first",
    "frame_width": 576,
    "frame_height": 1024,
}


def test_objects_come_out_where_and_as_earlier_tools_read_them(tmp_path: Path) -> None:
    run = write(tmp_path, {"objects": [object_row(0), object_row(5, label="bottle", confidence=0.25)]})
    box = [76.5, 430.4, 386.4, 1021.4]
    assert documents(run, tmp_path / "json")["objects"] == {
        "objectAnnotations": [
            {"trackId": "obj_0_0", "className": "person", "confidence": 0.9, "timestamp": 0.0, "frame_number": 0, "bbox": box},
            {"trackId": "obj_5_0", "className": "bottle", "confidence": 0.25, "timestamp": 1.0, "frame_number": 5, "bbox": box},
        ],
        "metadata": head("yolo") | FRAMES | {"objects_detected": 2, "track_id": "names one detection, not one object over time"},
    }


def test_every_face_of_a_frame_has_its_own_box_relative_to_the_picture(tmp_path: Path) -> None:
    faces = [face_row(0, 0, (288, 256, 432, 512)), face_row(0, 1, (-10, 0, 57.6, 102.4)), face_row(1, 0, (288, 256, 432, 512))]
    people = documents(write(tmp_path, {"faces": faces}), tmp_path / "json")["people"]
    assert [(face["frame_number"], face["count"]) for face in people["faces"]] == [(0, 2), (0, 2), (1, 1)]
    assert people["faces"][0]["bbox"] == {"x": 0.5, "y": 0.25, "width": 0.25, "height": 0.25}
    assert people["faces"][1]["bbox"] == {"x": 0.0, "y": 0.0, "width": 0.1, "height": 0.1}
    assert all(face["confidence"] is None for face in people["faces"])


def test_people_come_out_where_and_as_earlier_tools_read_them(tmp_path: Path) -> None:
    rows = {
        "poses": [pose_row(0), pose_row(1)], "pose_landmarks": [pose_landmarks_row(1), pose_landmarks_row(0)],
        "hands": [hand_row(0, 0), hand_row(0, 1), hand_row(5, 0)],
        "gaze": [gaze_row(0), gaze_row(1, eye_contact=None, eye_contact_score=None, direction=None)],
        "gestures": [gesture_row(2, "Thumb_Up"), gesture_row(3, "ILoveYou")],
    }  # fmt: skip
    assert documents(write(tmp_path, rows), tmp_path / "json")["people"] == {
        "poses": [
            {"timestamp": time, "frame_number": frame, "pose_index": 0, "landmarks": 33, "visibility": 0.75}
            for frame, time in ((0, 0.0), (1, 0.2))
        ],
        "faces": [],
        "hands": [{"timestamp": 0.0, "frame_number": 0, "count": 2}, {"timestamp": 1.0, "frame_number": 5, "count": 1}],
        "gaze": [
            {
                "timestamp": time, "frame_number": frame, "face_index": 0, "eye_contact": score, "gaze_direction": direction,
                "gaze_offset_x": 0.03, "gaze_offset_y": 0.04, "gaze_magnitude": 0.05, "confidence": None,
            }
            for frame, time, score, direction in ((0, 0.0, 0.5, "camera"), (1, 0.2, None, None))
        ],
        "gestures": [
            {"type": name, "confidence": 0.75, "hand": "right", "timestamp_ms": ms, "timestamp": ms / 1000, "frame_number": frame}
            for name, frame, ms in (("thumbs_up", 2, 400), ("love", 3, 600))
        ],
        "presence_percentage": 4.0,
        "frames_with_people": 2,
        "metadata": head("mediapipe") | FRAMES | {
            "poses_detected": 2, "faces_detected": 0, "hands_detected": 3, "gaze_detected": 2, "gestures_detected": 2,
            "gaze_offset_unit": "eye widths",
        },
    }  # fmt: skip


def test_texts_come_out_with_every_sighting_and_no_sticker_is_made_up(tmp_path: Path) -> None:
    run = write(tmp_path, {"texts": [text_row(0, "if you want"), text_row(5, "if you want"), text_row(5, "comprar já", 1)]})
    texts = documents(run, tmp_path / "json")["texts"]
    assert texts["textAnnotations"][0] == {
        "text": "if you want", "confidence": 0.96, "timestamp": 0.0, "frame_number": 0, "bbox": [232.0, 379.0, 113.0, 27.0],
    }  # fmt: skip
    assert [item["text"] for item in texts["textAnnotations"]] == ["if you want", "if you want", "comprar já"]
    assert texts["stickers"] == []
    assert texts["metadata"]["stickers_detected"] is None
    assert texts["metadata"]["unique_texts"] == 2


def test_speech_comes_out_where_and_as_earlier_tools_read_it(tmp_path: Path) -> None:
    rows = {
        "speech_segments": [segment_row(0, "If you want", 0.0, 2.28), segment_row(1, "it.", 3.0, 4.0)],
        "words": [word_row(0, 0, "If"), word_row(1, 1, "it.")],
    }
    measures = {"avg_logprob": -0.25, "no_speech_prob": 0.125, "compression_ratio": 1.5}
    assert documents(write(tmp_path, rows), tmp_path / "json")["speech"] == {
        "text": "If you want it.",
        "segments": [
            {"id": 0, "start": 0.0, "end": 2.28, "text": "If you want", **measures, "words": [
                {"word": "If", "start": 0.0, "end": 0.5, "probability": 0.5}]},
            {"id": 1, "start": 3.0, "end": 4.0, "text": "it.", **measures, "words": [
                {"word": "it.", "start": 1.0, "end": 1.5, "probability": 0.5}]},
        ],
        "language": "en",
        "duration": 9.9,
        "metadata": head("whisper", success=True, backend="whisper/backend"),
    }  # fmt: skip


def test_emotions_come_out_where_and_as_earlier_tools_read_them(tmp_path: Path) -> None:
    rows = [
        emotion_row(0, "happiness", units={"au06": 0.8, "au12": 0.9}),
        emotion_row(0, "anger", largest=False),
        emotion_row(1, "happiness", units={"au12": 0.6, "au25": 0.5}),
        emotion_row(7, "sadness", units={}),
    ]
    analyses = [analysis_row("emotion", frames_analyzed=10)]
    emotions = documents(write(tmp_path, {"emotions": rows, "analyses": analyses}), tmp_path / "json")["emotions"]
    first, second, third = emotions["emotions"]
    assert first == {
        "timestamp": 0.0, "frame_number": 0, "emotion": "joy", "confidence": 0.7, "face_bbox": [100.0, 200.0, 50.0, 60.0],
        "all_scores": {"joy": 0.7} | dict.fromkeys(("anger", "disgust", "fear", "sadness", "surprise", "neutral"), 0.05),
        "action_units": [6, 12], "au_intensities": {"6": 0.8, "12": 0.9},
    }  # fmt: skip
    assert emotions["timeline"] == {"0-1s": second, "1-2s": third}
    assert emotions["dominant_emotion"] == "joy"
    assert emotions["emotion_transitions"] == [{"timestamp": 1.4, "from": "joy", "to": "sadness"}]
    assert emotions["confidence_scores"] == [0.7, 0.7, 0.7]
    assert emotions["au_activations"] == {"6": 1, "12": 2}
    assert emotions["action_units"][2] == {"timestamp": 1.4, "aus": [], "intensities": {}}
    stats = {"total_frames": 10, "successful_frames": 3, "no_face_frames": 7, "video_type": "people_detected"}
    assert emotions["processing_stats"] == stats
    entropy = -(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3))
    assert emotions["metrics"] == {
        "video_type": "people_detected", "unique_emotions": 2, "transition_count": 1, "avg_confidence": 0.7,
        "emotion_diversity": round(entropy, 6), "detection_rate": 0.3, "suitable_for_emotion_analysis": True, "most_active_aus": [12, 6],
        "processing_stats": stats,
    }  # fmt: skip
    assert (emotions["video_id"], emotions["video_duration"], emotions["frames_analyzed"], emotions["sample_rate"]) == (ID, 10.0, 10, 1.0)
    assert emotions["metadata"] == head("emotion") | FRAMES | {"frames_analyzed": 10}


def test_action_units_nobody_measured_are_null_and_not_inactive(tmp_path: Path) -> None:
    emotions = documents(write(tmp_path, {"emotions": [emotion_row(0, "fear")]}), tmp_path / "json")["emotions"]
    assert emotions["emotions"][0]["action_units"] is None
    assert (emotions["action_units"], emotions["au_activations"], emotions["metrics"]["most_active_aus"]) == (None, None, None)


def test_a_video_nearly_without_faces_is_one_without_people(tmp_path: Path) -> None:
    emotions = documents(write(tmp_path, {"emotions": [emotion_row(0, "fear")]}), tmp_path / "json")["emotions"]
    assert emotions["processing_stats"]["video_type"] == "no_people"
    assert emotions["metrics"]["suitable_for_emotion_analysis"] is False


NULL_WHERE_NOTHING_RAN: dict[str, list[tuple[str, ...]]] = {
    "people": [("presence_percentage",), ("frames_with_people",), ("metadata", "faces_detected"), ("metadata", "gaze_detected")],
    "objects": [("metadata", "objects_detected")],
    "texts": [("metadata", "unique_texts")],
    "speech": [("text",), ("language",)],
    "emotions": [("dominant_emotion",), ("metrics",), ("processing_stats",), ("frames_analyzed",), ("au_activations",)],
}


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("ending", ["failed", "skipped", "not_run"])
def test_a_model_that_did_not_run_is_never_an_empty_success(tmp_path: Path, name: str, ending: str) -> None:
    why: dict[str, dict[str, Any]] = {
        "failed": {"error_class": "ModelError", "error_message": "crashed twice", "frames_analyzed": None},
        "skipped": {"detail": "no audio stream", "frames_analyzed": None},
    }
    analyses = [] if ending == "not_run" else [analysis_row(MODELS[name], ending, **why[ending])]
    document = documents(write(tmp_path, {"analyses": analyses}), tmp_path / "json")[name]
    facts = document["metadata"]
    assert facts["processed"] is False
    assert facts["status"] == ending
    assert facts["error"] == ("ModelError: crashed twice" if ending == "failed" else None)
    assert facts["reason"] == {"failed": None, "skipped": "no audio stream", "not_run": "this run did not include the model"}[ending]
    for path in NULL_WHERE_NOTHING_RAN[name]:
        value = document
        for key in path:
            value = value[key]
        assert value is None


@pytest.mark.parametrize("name", PATHS)
def test_a_model_that_found_nothing_says_so_with_measured_zeros(tmp_path: Path, name: str) -> None:
    document = documents(write(tmp_path, {"analyses": [analysis_row(MODELS[name], "empty")]}), tmp_path / "json")[name]
    assert document["metadata"]["processed"] is True
    measured = {
        "people": document.get("frames_with_people"), "objects": document["metadata"].get("objects_detected"),
        "texts": document["metadata"].get("unique_texts"), "speech": document.get("text"),
        "emotions": (document.get("processing_stats") or {}).get("successful_frames"),
    }[name]  # fmt: skip
    assert measured == ("" if name == "speech" else 0)


def test_a_degraded_analysis_says_what_is_missing(tmp_path: Path) -> None:
    analyses = [analysis_row("yolo", "degraded", detail="frames 3 and 4 did not decode", frames_analyzed=48)]
    facts = documents(write(tmp_path, {"analyses": analyses}), tmp_path / "json")["objects"]["metadata"]
    assert (facts["processed"], facts["reason"], facts["frames_analyzed"]) == (True, "frames 3 and 4 did not decode", 48)


def test_entries_that_share_a_video_each_have_their_documents_and_dead_letters_have_none(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, manifest())
    writer.add({name: stamped(name, [row], "a") for name, row in {"videos": video_row("a"), "objects": object_row(0)}.items()})
    writer.commit(["a"])
    writer.add({"videos": stamped("videos", [video_row("b")], "a"), "dead_letter": stamped("dead_letter", [dead_letter_row("c")], "c")})
    writer.commit(["b"], ["c"])
    written = export_json(open_run(tmp_path / RUN_ID), tmp_path / "json")
    assert len(written) == 10
    assert {path.relative_to(tmp_path / "json").parts[1] for path in written if "object" in str(path)} == {"a", "b"}
    for entry in "ab":
        path = tmp_path / "json" / PATHS["objects"].format(id=entry)
        assert len(json.loads(path.read_text())["objectAnnotations"]) == 1


def test_only_the_run_that_was_asked_for_is_read(tmp_path: Path) -> None:
    run = write(tmp_path, {"objects": [object_row(0)]})
    poison = write(tmp_path, {"objects": [object_row(1, label="poison")]}, run_id="poison")
    for path in (tmp_path / "poison").rglob("*.parquet"):
        if "objects" not in str(path):
            path.write_bytes(b"\0")
    stray = Path(poison.files("objects")[0])
    (tmp_path / RUN_ID / "objects" / stray.name).write_bytes(stray.read_bytes())
    annotations = documents(run, tmp_path / "json")["objects"]["objectAnnotations"]
    assert [item["className"] for item in annotations] == ["person"]


def test_a_directory_with_documents_of_another_run_is_refused(tmp_path: Path) -> None:
    run = write(tmp_path, {})
    export_json(run, tmp_path / "json")
    with pytest.raises(ConfigError, match="documents of two runs must not mix"):
        export_json(run, tmp_path / "json")


def test_a_directory_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    run = write(tmp_path, {})
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot write the file"):
        export_json(run, tmp_path / "file" / "json")


@pytest.mark.parametrize(
    "entry", ["../../evil", "/etc/passwd", "..", ".hidden", "a/b", "https://example.org/@a/video/1?x=1", "é" * 90, "a\0b"]
)
def test_an_entry_id_never_leads_out_of_the_directory(tmp_path: Path, entry: str) -> None:
    written = export_json(write(tmp_path / "out", {}, entry=entry), tmp_path / "json")
    assert all(path.resolve().is_relative_to(tmp_path / "json") for path in written)
    assert sorted(path for path in tmp_path.rglob("*.json") if "out" not in path.parts) == sorted(written)


def test_different_ids_never_share_a_file() -> None:
    ids = ["a/b", "a%2Fb", ".", "%2E", "..", "x" * 200, "x" * 201, "a b", "a+b"]
    assert len({file_name(entry) for entry in ids}) == len(ids)
    assert file_name(ID) == ID
