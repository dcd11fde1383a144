"""The rows an entry leaves in a run: one in `videos` where it was committed, one in `dead_letter` where it was not."""

from __future__ import annotations

import hashlib
import traceback
from typing import TYPE_CHECKING

from rumiai_ray.errors import RumiaiError
from rumiai_ray.ingest.cleaning import INPUT_CHARS, SHORT_CHARS, cleaned, message_of
from rumiai_ray.ingest.given import told
from rumiai_ray.schema.run import DEAD_LETTER, VIDEOS
from rumiai_ray.shown import hidden, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from rumiai_ray.frames.store.stored import StoredVideo
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.ingest.fetch import FetchedVideo

INT32_MAX = 2**31 - 1


def video_row(run_id: str, entry: Entry, video: FetchedVideo, stored: StoredVideo) -> pa.Table:
    """The `videos` row of a committed entry."""
    facts, said = stored.facts, told(video.metadata, entry.columns)
    known = said.metadata
    record = {
        "entry_id": entry.entry_id,
        "input": entry.input,
        "manifest_line": entry.line,
        "notes": [*entry.notes, *said.notes],
        "frame_store": stored.origin,
        "frames_key": stored.key,
        "size_bytes": facts.size_bytes,
        "container": facts.container,
        "video_codec": facts.video_codec,
        "audio_codec": facts.audio_codec,
        "width_px": facts.width_px,
        "height_px": facts.height_px,
        "rotation_deg": facts.rotation_deg,
        "mirrored": facts.mirrored,
        "video_streams": facts.video_streams,
        "audio_streams": facts.audio_streams,
        "video_stream": facts.video_stream,
        "audio_stream": facts.audio_stream,
        "audio_layout": facts.audio_layout,
        "loudness_lufs": facts.loudness_lufs,
        "origin_s": facts.origin_s,
        "repaired_stamps": facts.repaired_stamps,
        "color_transfer": facts.color_transfer,
        "duration_s": facts.duration_s,
        "fps": facts.fps,
        "cadence_fps": facts.cadence_fps,
        "frames_decoded": facts.frames_decoded,
        "frames_sampled": facts.frames_sampled,
        "sampling_fps": facts.sampling_fps,
        "audio_duration_s": facts.audio_duration_s,
        "media_problems": [cleaned(problem) for problem in facts.problems],
        "title": _without(entry, known.title),
        "description": _without(entry, known.description),
        "author": _without(entry, known.author),
        "hashtags": _each_without(entry, known.hashtags),
        "uploaded_at": known.uploaded_at,
        "view_count": known.view_count,
        "like_count": known.like_count,
        "comment_count": known.comment_count,
        "share_count": known.share_count,
        "save_count": known.save_count,
        "track": _without(entry, known.track),
        "artists": _each_without(entry, known.artists),
        "sound_id": _without(entry, known.sound_id),
        "mentions": _each_without(entry, known.mentions),
        "is_ad": known.is_ad,
        "subtitle_languages": _each_without(entry, known.subtitle_languages),
        "auto_subtitle_languages": _each_without(entry, known.auto_subtitle_languages),
        "stated_language": _without(entry, known.language),
        "stated_duration_s": known.stated_duration_s,
        "stated_width_px": known.stated_width_px,
        "stated_height_px": known.stated_height_px,
        "metadata_source": list(said.origins.items()),
        "source_url": None if video.source_url is None else shown(video.source_url, known_of(entry)),
        "columns": list(entry.columns.items()),
    }
    return VIDEOS.stamp(VIDEOS.rows([record]), run_id=run_id, video_key=video.video_key)


def dead_letter_row(run_id: str, entry: Entry, video_key: str | None, stage: str, error: BaseException) -> pa.Table:
    """The `dead_letter` row of an entry that ended in `error` at `stage`.

    Never raises: the last row an entry can leave must be writable whatever the error is made of.
    """
    record = {
        "video_key": video_key,
        # Clean already where the entry came from `ingest.entries`; then nothing changes here.
        "entry_id": cleaned(entry.entry_id),
        "input": cleaned(entry.input, INPUT_CHARS),
        "manifest_line": entry.line,
        "notes": [cleaned(note, SHORT_CHARS) for note in entry.notes],
        "stage": stage,
        "error_class": cleaned(type(error).__name__, SHORT_CHARS),
        "error_message": message_of(error, known_of(entry)),
        "attempts": min(error.attempts, INT32_MAX) if isinstance(error, RumiaiError) else 1,
        "traceback_sha256": _digest(error),
        "retryable": isinstance(error, RumiaiError) and error.retryable,
    }
    return DEAD_LETTER.stamp(DEAD_LETTER.rows([record]), run_id=run_id, video_key="")


def known_of(entry: Entry) -> tuple[str, ...]:
    """The full address of an entry, where it holds secrets: what a message about the entry must not quote."""
    return (entry.location,) if entry.hides else ()


def _without(entry: Entry, text: str | None) -> str | None:
    """A text of the entry's server, which may quote the address that it was asked for."""
    return None if text is None else hidden(text, known_of(entry))


def _each_without(entry: Entry, texts: Sequence[str] | None) -> list[str] | None:
    return None if texts is None else [hidden(text, known_of(entry)) for text in texts]


def _digest(error: BaseException) -> str:
    frames = [
        f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_code.co_name}" for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    # Names are the identifiers of any language and file names any bytes: what UTF-8 cannot hold is escaped.
    return hashlib.sha256("\n".join([*frames, type(error).__name__]).encode(errors="backslashreplace")).hexdigest()
