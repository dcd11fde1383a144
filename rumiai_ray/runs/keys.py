"""What names a row within a table: the columns by which rows of two runs are the same row."""

from __future__ import annotations

NATURAL_KEYS = {
    "videos": ("video_key",),
    "analyses": ("video_key", "model_name"),
    "dead_letter": ("entry_id",),
    "faces": ("video_key", "frame_index", "face_index"),
    "poses": ("video_key", "frame_index", "pose_index"),
    "hands": ("video_key", "frame_index", "hand_index"),
    "gestures": ("video_key", "frame_index", "hand_index"),
    "gaze": ("video_key", "frame_index", "face_index"),
    "objects": ("video_key", "frame_index", "object_index"),
    "texts": ("video_key", "frame_index", "text_index"),
    "speech_segments": ("video_key", "segment_index"),
    "words": ("video_key", "word_index"),
    "emotions": ("video_key", "frame_index", "face_index"),
    "tracks": ("video_key", "track_id"),
    "shots": ("video_key", "shot_index"),
    "text_spans": ("video_key", "span_index"),
    "audio_energy": ("video_key",),
    "person_framing": ("video_key",),
    "person_framing_seconds": ("video_key", "second"),
    "windows": ("video_key", "window"),
    "timeline": ("video_key", "second"),
}
"""Table to the columns that name its rows. Without a line here a row is named by its place among its video's rows."""


def natural_key(table: str) -> tuple[str, ...]:
    """The columns that name a row of `table`; `video_key` alone, to which the row's place is added, for a table of another version."""
    return NATURAL_KEYS.get(table, ("video_key",))
