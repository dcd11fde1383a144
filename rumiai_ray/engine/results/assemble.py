"""From answers to rows: a video's tables, its `analyses` and its insights, once every row of work is back. Pure functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from rumiai_ray.engine.work.arrow_ipc import unpack
from rumiai_ray.errors import ModelError
from rumiai_ray.frames.sampling import grid_fps
from rumiai_ray.ingest.cleaning import cleaned
from rumiai_ray.insights.derive import derive
from rumiai_ray.insights.key_frames import places
from rumiai_ray.insights.talking import JAW_OPEN
from rumiai_ray.insights.video import AnalysedVideo, Ending
from rumiai_ray.models.catalogue import plan_class
from rumiai_ray.schema.mediapipe import BLENDSHAPES, FACES, LANDMARKS_OF_FACES
from rumiai_ray.schema.registry import TABLES_BY_NAME, TRACKED
from rumiai_ray.schema.run import ANALYSES, Status
from rumiai_ray.shown import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rumiai_ray.engine.cell.messages import Index, Outcome, Payload
    from rumiai_ray.engine.work.item import VideoPlan
    from rumiai_ray.insights.thresholds import Thresholds
    from rumiai_ray.insights.tracks import Tracks
    from rumiai_ray.models.base import ModelPlan
    from rumiai_ray.schema import Table


def assemble(
    run_id: str, plan: VideoPlan, models: Sequence[ModelPlan], answers: Sequence[tuple[Index, Payload]], thresholds: Thresholds
) -> dict[str, pa.Table]:
    """All tables of one video, stamped with run and video: the models' own, `analyses`, and the insights computed from them.

    A model that failed on any row of work gives no rows at all: part of an answer would pass for the whole.

    Args:
        run_id: the run.
        plan: what was asked.
        models: the models that were to run.
        answers: the replies of the front, in any order.
        thresholds: of the insights.

    Raises:
        ModelError: the answers are not exactly those of batches 0..n-1 of this video.
    """
    ordered = sorted(answers, key=lambda answer: answer[0].batch_index)
    got = [(index.video_key, index.batch_index) for index, _ in ordered]
    if got != [(plan.video_key, number) for number in range(plan.batch_count)]:
        work = counted(plan.batch_count, "row")
        raise ModelError(f"answers {got} do not cover {work} of work exactly once", f"video {plan.video_key[:12]}")
    kinds: dict[str, Table] = {}
    rows: dict[str, pa.Table] = {}
    records = []
    for model in models:
        outcomes = [index.outcomes[model.name] for index, _ in ordered if model.name in index.outcomes]
        record = _analysis(plan, model, outcomes)
        records.append(record)
        if record["status"] in {Status.FAILED, Status.SKIPPED}:
            continue
        kind = plan_class(model)
        parts = [payload[model.name] for _, payload in ordered if model.name in payload]
        joined = kind.join([{name: unpack(packed) for name, packed in part.items()} for part in parts])
        record["detail"] = "; ".join([*filter(None, [record["detail"]]), *kind.remarks(joined)]) or None
        kinds |= {table.name: table for table in kind.tables}
        rows |= {table.name: joined[table.name] for table in kind.tables}
    light = {name: kinds[name].light(table).to_pylist() for name, table in rows.items() if kinds[name].part_of is None}
    if LANDMARKS_OF_FACES.name in rows:  # one number out of a bulky column
        jaws = pc.list_element(rows[LANDMARKS_OF_FACES.name]["blendshapes"], BLENDSHAPES.index("jawOpen")).to_pylist()
        for row, jaw_open in zip(light[FACES.name], jaws, strict=True):
            row[JAW_OPEN] = jaw_open
    video = _video(plan, records, light)
    found = derive(video, thresholds)
    kinds |= {ANALYSES.name: ANALYSES} | {name: TABLES_BY_NAME[name] for name in found.tables}
    rows |= {ANALYSES.name: ANALYSES.rows(records), **found.tables}
    return {
        name: kinds[name].stamp(table, run_id=run_id, video_key=plan.video_key, derived=_derived(kinds[name], table, video, found.tracks))
        for name, table in rows.items()
    }


def _video(plan: VideoPlan, records: Sequence[Mapping[str, Any]], tables: Mapping[str, list[dict[str, Any]]]) -> AnalysedVideo:
    """What the insights need of a video."""
    sampled = plan.sampled
    return AnalysedVideo(
        duration_s=sampled.duration_s,
        width_px=sampled.width_px,
        height_px=sampled.height_px,
        times_s=sampled.times_s,
        shown_until_s=sampled.shown_until_s,
        step_s=1 / grid_fps(sampled.duration_s),
        endings={record["model_name"]: Ending(record["status"], tuple(record["frames_seen"] or ())) for record in records},
        tables=tables,
    )


def _derived(kind: Table, rows: pa.Table, video: AnalysedVideo, tracks: Tracks) -> dict[str, pa.Array[Any]]:
    """The derived columns of a table."""
    columns: dict[str, pa.Array[Any]] = {}
    if kind.name in TRACKED:
        columns["track_id"] = pa.array(tracks.column(kind.name, rows.select(kind.key[1:]).to_pylist()), pa.int32())
    if kind.in_shots:
        placed = places(video, rows.select(["frame_index", "time_s"]).to_pylist())
        columns["shot_index"] = pa.array([place.shot_index for place in placed], pa.int32())
        columns["is_key_frame"] = pa.array([place.is_key_frame for place in placed], pa.bool_())
    return columns


def _analysis(plan: VideoPlan, model: ModelPlan, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    failure = next((outcome.failure for outcome in outcomes if outcome.failure), None)
    times_s = [outcome.processing_time_s for outcome in outcomes if outcome.processing_time_s is not None]
    seen = [index for outcome in outcomes for index in outcome.frames]
    consumes = plan_class(model).consumes
    listens = consumes == "audio"
    looked = sum(outcome.thumbnails for outcome in outcomes) if consumes == "thumbnails" else len(seen)
    skipped = model.name in plan.skipped
    status, detail = _status(plan, model, outcomes, failed=failure is not None)
    return {
        "model_name": model.name,
        "model_version": model.version,
        "backend": model.backend,
        "stand_in": model.stand_in,
        "weights_sha256": model.weights_sha256,
        "device": model.device,
        "precision": model.precision,
        "settings": json.dumps(model.settings.model_dump(mode="json"), sort_keys=True),
        "status": str(status),
        "detail": None if detail is None else cleaned(detail),
        "rows": 0 if failure else sum(outcome.rows for outcome in outcomes),
        "frames_planned": None if listens or skipped else _planned(plan, model.name),
        "frames_analyzed": None if listens or skipped else looked,
        "frames_seen": seen if consumes == "frames" and not skipped else None,
        "audio_analyzed_s": sum(outcome.audio_s for outcome in outcomes) if listens and not skipped else None,
        "processing_time_s": sum(times_s) if times_s else None,
        "attempts": max((outcome.attempts for outcome in outcomes), default=0),
        # A model's message may quote what it read: a lone surrogate in it must not cost the video its other models.
        "error_class": cleaned(failure.error_class) if failure else None,
        "error_message": cleaned(failure.message) if failure else None,
    }


def _status(plan: VideoPlan, model: ModelPlan, outcomes: Sequence[Outcome], *, failed: bool) -> tuple[Status, str | None]:
    name = model.name
    if name in plan.skipped:
        return Status.SKIPPED, plan.skipped[name]
    if failed:
        return Status.FAILED, None
    lost = plan.lost_audio if plan_class(model).consumes == "audio" else plan.lost_video
    short = [*lost, *(missed for outcome in outcomes for missed in outcome.missed)]
    seen = sum(len(outcome.frames) + outcome.thumbnails for outcome in outcomes)
    if seen < _planned(plan, name):
        short.append(f"{seen} of {_planned(plan, name)} frames answered")
    notes = [note for outcome in outcomes for note in outcome.notes]
    detail = "; ".join(dict.fromkeys([*short, *notes])) or None
    if short:
        return Status.DEGRADED, detail
    return (Status.OK if any(outcome.rows for outcome in outcomes) else Status.EMPTY), detail


def _planned(plan: VideoPlan, name: str) -> int:
    """Frames planned for a model, sampled ones or thumbnails; 0 for one that listens."""
    return plan.frames.get(name, plan.thumbnails.get(name, 0))
