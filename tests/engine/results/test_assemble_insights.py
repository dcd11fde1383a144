"""The insights of a video land with its rows, and do not depend on how it was cut into rows of work. No Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from absurd import ordinary
from rumiai_ray.engine.cell.messages import Failure, Index, Outcome
from rumiai_ray.engine.results.assemble import assemble
from rumiai_ray.engine.work.arrow_ipc import pack
from rumiai_ray.engine.work.item import Sampled, VideoPlan
from rumiai_ray.models.base import ModelPlan
from rumiai_ray.models.catalogue import model_class
from rumiai_ray.schema.mediapipe import BLENDSHAPES
from rumiai_ray.schema.registry import TABLES_BY_NAME
from synthetic_video import THRESHOLDS, face, said, thing

if TYPE_CHECKING:
    from rumiai_ray.engine.cell.messages import Payload

FRAMES = 20
SAMPLED = Sampled(
    duration_s=4.0,
    width_px=100,
    height_px=100,
    times_s=tuple(at / 5 for at in range(FRAMES)),
    shown_until_s=tuple((at + 1) / 5 for at in range(FRAMES)),
)
SHOTS = [
    {"shot_index": 0, "start_s": 0.0, "end_s": 2.0, "duration_s": 2.0, "frames": 60},
    {"shot_index": 1, "start_s": 2.0, "end_s": 4.0, "duration_s": 2.0, "frames": 60},
]


def _plan(name: str) -> ModelPlan:
    return ModelPlan(
        name, backend="b", version="1", stand_in=False, files={}, digests={}, weights_sha256="", device="cpu", precision="fp32",
        settings=model_class(name).settings_type(),
    )  # fmt: skip


def _objects(frames: range) -> bytes:
    return pack(TABLES_BY_NAME["objects"].rows([thing(frame) | {"class_id": 0} for frame in frames]))


def _assembled(sizes: tuple[int, ...], *, shots: bool = True, failed: bool = False) -> dict[str, Any]:
    """A person in every frame, over batches of so many frames, after a row of thumbnails."""
    answers: list[tuple[Index, Payload]] = []
    count = len(sizes) + shots
    if shots:
        cut = Outcome(1, 0.1, rows=2, frames=(), audio_s=0.0, missed=(), failure=None, thumbnails=120)
        answers.append((Index("e", "v", 0, count, {"shots": cut}), {"shots": {"shots": pack(TABLES_BY_NAME["shots"].rows(SHOTS))}}))
    begin = 0
    for size in sizes:
        frames = range(begin, begin + size)
        crash = Failure("Crash", "died") if failed and begin else None
        seen = Outcome(1, 0.1, rows=size, frames=() if crash else tuple(frames), audio_s=0.0, missed=(), failure=crash)
        answers.append((Index("e", "v", len(answers), count, {"yolo": seen}), {} if crash else {"yolo": {"objects": _objects(frames)}}))
        begin += size
    thumbnails = {"shots": 120} if shots else {}
    plan = VideoPlan("v", {"yolo": FRAMES}, (), {}, (), (), count, SAMPLED, thumbnails)
    models = [_plan(name) for name in ("yolo", "shots") if shots or name != "shots"]
    return assemble("run-1", plan, models, answers, THRESHOLDS)


def test_boxes_get_their_track_and_a_cut_ends_it() -> None:
    tables = _assembled((20,))
    assert tables["objects"]["track_id"].to_pylist() == [0] * 10 + [1] * 10
    assert tables["tracks"]["shot_index"].to_pylist() == [0, 1]
    assert {row["model_name"]: (row["status"], row["frames_planned"], row["frames_analyzed"], row["frames_seen"] is None)
            for row in tables["analyses"].to_pylist()} == {"yolo": ("ok", 20, 20, False), "shots": ("ok", 120, 120, True)}  # fmt: skip


@pytest.mark.parametrize("sizes", [(16, 4), (1,) * 20, (7, 7, 6)])
def test_cutting_a_video_into_other_batches_changes_no_insight(sizes: tuple[int, ...]) -> None:
    whole, parts = _assembled((20,)), _assembled(sizes)
    assert whole.keys() == parts.keys()
    for name in whole:
        if name != "analyses":
            assert whole[name].equals(parts[name]), name


def test_without_shots_tracks_go_on_and_the_figures_of_shots_are_null() -> None:
    tables = _assembled((20,), shots=False)
    assert tables["tracks"]["shot_index"].to_pylist() == [None]
    assert set(tables["windows"]["cuts_per_minute"].to_pylist()) == {None}
    assert "shots: not asked" in tables["windows"]["not_measured"].to_pylist()[0]


def test_a_model_that_failed_half_way_leaves_nulls_and_no_zeros() -> None:
    tables = _assembled((10, 10), failed=True)
    (row,) = tables["person_framing"].to_pylist()
    assert {row[name] for name in ("subject_count", "person_visibility_rate", "longest_absence_s")} == {None}
    assert "yolo: failed" in row["not_measured"]
    assert set(tables["windows"]["person_count"].to_pylist()) == {None}


def test_every_insight_row_says_which_run_and_video_it_is_of() -> None:
    tables = _assembled((20,))
    for name in ("tracks", "person_framing", "person_framing_seconds", "windows", "timeline"):
        assert tables[name].num_rows, name
        assert set(tables[name]["run_id"].to_pylist()) == {"run-1"}
        assert set(tables[name]["video_key"].to_pylist()) == {"v"}


@pytest.mark.parametrize(("moving", "size"), [("jawOpen", "medium"), ("browInnerUp", "medium_close_up"), (None, "medium_close_up")])
def test_the_jaw_of_a_talking_face_reaches_the_insights(moving: str | None, size: str) -> None:
    """A larger and a smaller face for four seconds of speech; one expression of the smaller one changes from frame to frame."""

    def rows(table: str, given: list[dict[str, Any]]) -> bytes:
        kind = TABLES_BY_NAME[table]
        return pack(kind.rows([{field.name: ordinary(field) for field in kind.row_schema} | row for row in given]))

    faces, landmarks = [], []
    for frame in range(FRAMES):
        shapes = [0.1] * len(BLENDSHAPES)
        faces.append(face(frame, 36.0, index=0, x1=5.0))
        landmarks.append({"frame_index": frame, "face_index": 0, "blendshapes": shapes})
        if moving is not None:
            shapes = [(0.05, 0.35)[frame % 2] if name == moving else 0.1 for name in BLENDSHAPES]
        faces.append(face(frame, 32.0, index=1, x1=60.0))
        landmarks.append({"frame_index": frame, "face_index": 1, "blendshapes": shapes})
    seen = {"faces": rows("faces", faces), "face_landmarks": rows("face_landmarks", landmarks)}
    payload: Payload = {
        "mediapipe": {table.name: pack(table.empty()) for table in model_class("mediapipe").tables} | seen,
        "whisper": {name: rows(name, given) for name, given in said(0.0, 4.0, "so this is how it works").items()},
    }
    outcomes = {
        "mediapipe": Outcome(1, 0.1, rows=len(faces), frames=tuple(range(FRAMES)), audio_s=0.0, missed=(), failure=None),
        "whisper": Outcome(1, 0.1, rows=7, frames=(), audio_s=4.0, missed=(), failure=None),
    }
    plan = VideoPlan("v", {"mediapipe": FRAMES}, ("whisper",), {}, (), (), 1, SAMPLED)
    tables = assemble("run-1", plan, [_plan("mediapipe"), _plan("whisper")], [(Index("e", "v", 0, 1, outcomes), payload)], THRESHOLDS)
    assert tables["person_framing"]["dominant_shot_size"].to_pylist() == [size]
    assert "jaw_open" not in tables["faces"].column_names
