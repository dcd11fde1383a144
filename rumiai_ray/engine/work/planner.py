"""From a stored video to rows of work: which model looks at which frames, cut into batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rumiai_ray.engine.work.item import Sampled, VideoPlan, Work
from rumiai_ray.frames.sampling import subset
from rumiai_ray.models.audio import chunks
from rumiai_ray.models.base import Thumbnails
from rumiai_ray.models.catalogue import plan_class

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from rumiai_ray.frames.store.stored import StoredVideo
    from rumiai_ray.frames.types import EncodedBatch, SourceFacts
    from rumiai_ray.models.base import AudioChunk, ModelPlan

_STRIP = 4096
"""Thumbnails in one row of work, about 7 MB (1.7 KB each, measured on the shared clips): two minutes at 30 fps."""
_CONTEXT = 64
"""Thumbnails of the neighbours sent along at either end: two seconds, so that a cut near a seam is judged as one elsewhere."""


def plan_video(
    entry_id: str, stored: StoredVideo, plans: Sequence[ModelPlan], batch_frames: int, *, language: str | None = None
) -> tuple[VideoPlan, Iterator[Work]]:
    """The plan for one video and its rows of work, in order; rows are read from the store as they are taken.

    Args:
        entry_id: whose rows these are.
        stored: the video's frames and sound.
        plans: of all models.
        batch_frames: frames in a row of work.
        language: see `AudioChunk.language`.
    """
    facts = stored.facts
    has_pictures = facts.picture_px is not None
    picked = _picked(stored.times_s, stored.shown_until_s, facts, plans) if has_pictures else {}
    audio = stored.audio()
    listeners = [plan.name for plan in plans if plan_class(plan).consumes == "audio"]
    reason = None
    if facts.audio_codec is None:
        reason = "no audio stream has a codec that is known here" if facts.audio_streams else "no audio stream"
    elif audio is None or not len(audio.samples):
        reason = "the audio stream holds no samples"
    stretches = [] if reason or audio is None or not listeners else chunks(audio, language=language)
    lookers = {plan.name: facts.frames_decoded for plan in plans if has_pictures and plan_class(plan).consumes == "thumbnails"}
    strips = _strips(facts.frames_decoded) if lookers else []
    skipped = dict.fromkeys(listeners, reason) if reason else {}
    if not has_pictures:
        skipped |= {plan.name: "no video stream" for plan in plans if plan.name not in listeners}
    starts = [at for at in range(0, len(stored.times_s), batch_frames) if _wanted(picked, at, batch_frames)]
    plan = VideoPlan(
        video_key=stored.video_key,
        frames={name: len(indices) for name, indices in picked.items()},
        audio=() if reason else tuple(listeners),
        skipped=skipped,
        lost_video=facts.lost_video,
        lost_audio=facts.lost_audio,
        batch_count=len(starts) + len(stretches) + len(strips),
        sampled=Sampled(
            facts.duration_s, facts.width_px, facts.height_px, tuple(stored.times_s.tolist()), tuple(stored.shown_until_s.tolist())
        ),
        thumbnails=lookers,
    )
    return plan, _rows(entry_id, plan, stored, picked, stretches, batch_frames)


def _picked(
    times_s: NDArray[np.float64], shown_until_s: NDArray[np.float64], facts: SourceFacts, plans: Sequence[ModelPlan]
) -> dict[str, NDArray[np.intp]]:
    picked = {}
    for plan in plans:
        if plan_class(plan).consumes == "frames":
            policy = plan.settings.subset(facts.duration_s)
            picked[plan.name] = subset(times_s, shown_until_s, facts.duration_s, fps=policy.fps, max_frames=policy.max_frames)
    return picked


def _wanted(picked: Mapping[str, NDArray[np.intp]], start: int, size: int) -> dict[str, tuple[int, ...]]:
    """Positions within the batch that begins at `start`, by model; models that want none are absent."""
    inside = {name: indices[(indices >= start) & (indices < start + size)] - start for name, indices in picked.items()}
    return {name: tuple(int(at) for at in positions) for name, positions in inside.items() if len(positions)}


def _rows(
    entry_id: str,
    plan: VideoPlan,
    stored: StoredVideo,
    picked: Mapping[str, NDArray[np.intp]],
    stretches: Sequence[AudioChunk],
    batch_frames: int,
) -> Iterator[Work]:
    """Audio first, the speech model then works while frames are still being read; thumbnails, which cost next to nothing, last."""
    number = 0
    for chunk in stretches:
        yield Work(entry_id, plan.video_key, number, plan.batch_count, dict.fromkeys(plan.audio, ()), audio=chunk)
        number += 1
    start, size_px = 0, stored.facts.picture_px
    for batch in stored.batches(batch_frames) if size_px is not None else ():
        wanted = _wanted(picked, start, batch_frames)
        start += len(batch.jpegs)
        if wanted and size_px is not None:
            yield _frame_work(entry_id, plan, size_px, number, wanted, batch)
            number += 1
    if plan.thumbnails:
        jpegs, times_s = stored.thumbnails()
        for first, end in _strips(stored.facts.frames_decoded):
            strip = _strip(jpegs, times_s, first, end, stored.facts)
            yield Work(entry_id, plan.video_key, number, plan.batch_count, dict.fromkeys(plan.thumbnails, ()), thumbnails=strip)
            number += 1


def _strips(count: int) -> list[tuple[int, int]]:
    """(first, end) of the stretches in which a video's thumbnails are sent."""
    return [(first, min(first + _STRIP, count)) for first in range(0, count, _STRIP)]


def _strip(jpegs: tuple[bytes, ...], times_s: NDArray[np.float64], first: int, end: int, facts: SourceFacts) -> Thumbnails:
    begin = max(0, first - _CONTEXT)
    span = slice(begin, end + _CONTEXT)
    end_s = float(times_s[end]) if end < len(times_s) else facts.duration_s
    return Thumbnails(jpegs[span], times_s[span], first - begin, end - first, end_s, facts.is_slide_show)


def _frame_work(
    entry_id: str, plan: VideoPlan, size_px: tuple[int, int], number: int, wanted: Mapping[str, tuple[int, ...]], batch: EncodedBatch
) -> Work:
    return Work(
        entry_id,
        plan.video_key,
        number,
        plan.batch_count,
        wanted,
        frames=batch,
        source_width_px=size_px[0],
        source_height_px=size_px[1],
    )
