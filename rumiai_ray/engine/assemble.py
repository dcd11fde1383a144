"""From answers to rows: a video's tables and its `analyses`, once every row of work is back. Pure functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rumiai_ray.engine.packed import unpack
from rumiai_ray.errors import ModelError
from rumiai_ray.models.catalogue import plan_class
from rumiai_ray.schema.run import ANALYSES, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from rumiai_ray.engine.calls import Index, Outcome, Payload
    from rumiai_ray.engine.work import VideoPlan
    from rumiai_ray.models.base import ModelPlan


def assemble(run_id: str, plan: VideoPlan, models: Sequence[ModelPlan], answers: Sequence[tuple[Index, Payload]]) -> dict[str, pa.Table]:
    """All tables of one video, stamped with run and video: the models' own and `analyses`.

    A model that failed on any row of work gives no rows at all: part of an answer would pass for the whole.

    Args:
        run_id: the run.
        plan: what was asked.
        models: the models that were to run.
        answers: the replies of the front, in any order.

    Raises:
        ModelError: the answers are not exactly those of batches 0..n-1 of this video.
    """
    ordered = sorted(answers, key=lambda answer: answer[0].batch_index)
    got = [(index.video_key, index.batch_index) for index, _ in ordered]
    if got != [(plan.video_key, number) for number in range(plan.batch_count)]:
        raise ModelError(f"answers {got} do not cover the {plan.batch_count} rows of work exactly once", f"video {plan.video_key[:12]}")
    tables: dict[str, pa.Table] = {}
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
        tables |= {table.name: table.stamp(joined[table.name], run_id=run_id, video_key=plan.video_key) for table in kind.tables}
    tables[ANALYSES.name] = ANALYSES.stamp(ANALYSES.rows(records), run_id=run_id, video_key=plan.video_key)
    return tables


def _analysis(plan: VideoPlan, model: ModelPlan, outcomes: Sequence[Outcome]) -> dict[str, object]:
    failure = next((outcome.failure for outcome in outcomes if outcome.failure), None)
    times_s = [outcome.processing_time_s for outcome in outcomes if outcome.processing_time_s is not None]
    seen = [index for outcome in outcomes for index in outcome.frames]
    listens = plan_class(model).consumes == "audio"
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
        "detail": detail,
        "rows": 0 if failure else sum(outcome.rows for outcome in outcomes),
        "frames_planned": None if listens else plan.frames[model.name],
        "frames_analyzed": None if listens else len(seen),
        "frames_seen": None if listens else seen,
        "audio_analyzed_s": sum(outcome.audio_s for outcome in outcomes) if listens and not skipped else None,
        "processing_time_s": sum(times_s) if times_s else None,
        "attempts": max((outcome.attempts for outcome in outcomes), default=0),
        "error_class": failure.error_class if failure else None,
        "error_message": failure.message if failure else None,
    }


def _status(plan: VideoPlan, model: ModelPlan, outcomes: Sequence[Outcome], *, failed: bool) -> tuple[Status, str | None]:
    name = model.name
    if name in plan.skipped:
        return Status.SKIPPED, plan.skipped[name]
    if failed:
        return Status.FAILED, None
    lost = plan.lost_audio if plan_class(model).consumes == "audio" else plan.lost_video
    short = [*lost, *(missed for outcome in outcomes for missed in outcome.missed)]
    seen = sum(len(outcome.frames) for outcome in outcomes)
    if name in plan.frames and seen < plan.frames[name]:
        short.append(f"{seen} of {plan.frames[name]} frames answered")
    if short:
        return Status.DEGRADED, "; ".join(dict.fromkeys(short))
    return (Status.OK if any(outcome.rows for outcome in outcomes) else Status.EMPTY), None
