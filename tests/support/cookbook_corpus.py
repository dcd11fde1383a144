"""Two runs of posts that share a video, with an answer to each question of the cookbook."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from report_run import analysis_row, table_row, video_row, word_rows, write_run

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.runs.reader import Run

    Rows = dict[str, list[dict[str, Any]]]

MODELS = ("mediapipe", "yolo", "ocr", "whisper", "emotion", "shots", "sound")
SPRING = datetime(2026, 4, 1, 12, tzinfo=UTC)
SUMMER = datetime(2026, 7, 1, 12, tzinfo=UTC)


def post_rows(  # noqa: PLR0913 -- a fact each
    name: str, author: str, likes: int, *, shots: int, label: str, words: list[str], caption: str | None, eye_contact: float | None
) -> Rows:
    """Rows of a post of 10 s.

    Args:
        name: its entry id.
        author: its creator.
        likes: of the platform.
        shots: how many, of equal length.
        label: what is seen in it.
        words: what is said from second 1 on.
        caption: a call to action on the screen in the first 2 s, if any.
        eye_contact: share of the time; None where no face is in it.
    """
    length_s = 10 / shots
    cuts = [
        table_row("shots", shot_index=n, start_s=n * length_s, end_s=(n + 1) * length_s, duration_s=length_s, frames=300 // shots)
        for n in range(shots)
    ]
    seen = {"first_seen_s": 0.0, "last_seen_s": 9.8, "seen_until_s": 10.0, "sightings": 50, "mean_area_share": 0.25}
    track = table_row("tracks", track_id=0, of="objects", label=label, mean_confidence=0.75, **seen)
    is_face = eye_contact is not None
    framing = table_row(
        "person_framing", face_frames=50 * is_face, person_frames=0, subject_count=int(is_face), face_visibility_rate=float(is_face),
        eye_contact_rate=eye_contact, gaze_frames=50 * is_face, dominant_shot_type="close" if is_face else None, not_measured=[],
    )  # fmt: skip
    seconds = [
        table_row(
            "timeline", second=n, end_s=n + 1.0, face_visibility_rate=float(is_face), text_coverage=0.1 if caption and n < 2 else 0.0,
            speech_coverage=1.0 if 1 <= n < 1 + len(words) / 2 else 0.0,
        )
        for n in range(10)
    ]  # fmt: skip
    counts = {"call_to_action_count": int(caption is not None), "spoken_call_to_action_count": 0, "not_measured": []}
    places = [("hook", 0.0, 3.0, 0.75), ("closing", 7.0, 10.0, 0.25), ("video", 0.0, 10.0, 0.5)]
    windows = [
        table_row(
            "windows", window_index=n, name=place, start_s=start_s, end_s=end_s, words_per_minute=6.0 * len(words),
            cuts_per_minute=6.0 * (shots - 1), expression_frames=5 * is_face, happiness_share=happiness if is_face else None, **counts,
        )
        for n, (place, start_s, end_s, happiness) in enumerate(places)
    ]  # fmt: skip
    sighted = {"start_s": 0.0, "end_s": 2.0, "first_seen_s": 0.0, "last_seen_s": 1.8, "seen_until_s": 2.0, "sightings": 10}
    spans = [
        table_row(
            "text_spans", span_index=0, text=caption, confidence=0.9, x1=0.0, y1=0.0, x2=500.0, y2=100.0, position="top", area_share=0.1,
            kind="overlay", is_call_to_action=True, **sighted,
        )
        for _ in range(int(caption is not None))
    ]  # fmt: skip
    return {
        "videos": [video_row(name, author=author, like_count=likes)], "analyses": [analysis_row(model) for model in MODELS],
        "shots": cuts, "tracks": [track], "person_framing": [framing], "timeline": seconds, "windows": windows, "text_spans": spans,
        **word_rows(words),
    }  # fmt: skip


def write_cookbook_corpus(out: Path) -> tuple[Run, Run]:
    """Write the runs `spring` and `summer`. Both have `dogs`, which the second finds cut faster; `gone` could not be read.

    Args:
        out: the directory for runs.
    """
    cats = post_rows("cats", "zoe", 100, shots=2, label="cat", words=["get", "it", "free"], caption="LINK IN BIO", eye_contact=0.8)
    dogs = post_rows("dogs", "ann", 300, shots=1, label="dog", words=["good", "dog"], caption=None, eye_contact=0.5)
    cut = post_rows("dogs", "ann", 400, shots=4, label="dog", words=["free", "dog"], caption="SHOP NOW", eye_contact=0.5)
    birds = post_rows("birds", "zoe", 200, shots=5, label="bird", words=["sing"], caption=None, eye_contact=None)
    birds["analyses"][MODELS.index("emotion")] = analysis_row("emotion", "failed", error_class="ModelError", error_message="out of memory")
    spring = write_run(out, {"cats": cats, "dogs": dogs}, run_id="spring", at=SPRING)
    summer = write_run(out, {"dogs": cut, "birds": birds}, dead=("gone",), run_id="summer", at=SUMMER)
    return spring, summer
