"""What stands on the page of one video."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from rumiai_ray.report.draw import COLOURS, LAYERS
from rumiai_ray.report.lanes import Timeline, TimelineLane, step_of
from rumiai_ray.report.pictures import Strip, strip_of
from rumiai_ray.report.rows import NOT_COMPUTED, reason_by_source
from rumiai_ray.report.values import UNREADABLE, ShownFigure, clock, facts_of, in_words, is_plain, listed, of_column
from rumiai_ray.schema.registry import TABLES_BY_NAME
from rumiai_ray.shown import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from rumiai_ray.frames.store.store import FrameStore
    from rumiai_ray.report.rows import Found, RunRows
    from rumiai_ray.schema.table import Row

MAIN_FIGURES = (
    "face_visibility_rate", "eye_contact_rate", "talk_to_camera_share", "person_count", "dominant_emotion", "words_per_minute",
    "speech_coverage", "text_coverage", "call_to_action_count", "cuts_per_minute", "energy_level", "silence_share",
)  # fmt: skip
"""The figures of `windows` that are shown first; the others are one click away."""

_NAMING = {"run_id", "video_key", "name", "window_index", "start_s", "end_s", "not_measured"}


_FACTS = ("objects", "expression", "gaze", "gesture", "text")
"""What a moment's facts are about, in the order of display."""
_LOOKERS = {
    "yolo": ("objects", "YOLO"),
    "emotion": ("expression", "the expression model"),
    "mediapipe": ("gaze, gesture", "MediaPipe"),
    "ocr": ("text", "the text reader"),
}
"""Of each model whose findings are a moment's facts: what they are about, and what a page calls the model."""


@dataclass(frozen=True)
class Moment:
    """One sampled frame: its picture, where there is one, and what was found in it in words."""

    frame_index: int
    time_s: float
    uri: str | None
    facts: tuple[tuple[str, str], ...]
    """(what, found)."""
    until_s: float | None = None
    """Until when the picture is on the screen; None where there is no picture."""
    unseen: tuple[tuple[str, str], ...] = ()
    """(what, which model did not look at this frame): of these nobody knows whether there is anything to find."""

    @property
    def spoken(self) -> str:
        """The moment for those who cannot see it."""
        said = [f"{what}: {found}" for what, found in (*self.facts, *self.unseen)]
        return f"{self.time_s:.2f} seconds: " + "; ".join(said if self.facts else ["nothing found", *said])


@dataclass(frozen=True)
class Segment:
    """One stretch of speech with its words."""

    start_s: float
    text: str
    words: tuple[Row, ...]


@dataclass(frozen=True)
class Figure:
    """One figure with its name and what it means."""

    name: str
    definition: str
    values: tuple[ShownFigure, ...]


@dataclass(frozen=True)
class VideoPage:
    """Everything the template shows."""

    run_id: str
    video: Row
    name: str
    facts: tuple[tuple[str, str], ...]
    source: tuple[tuple[str, str], ...]
    """What its source says of it."""
    link: str | None
    """Its page at the source, where that is a web address."""
    analyses: tuple[Row, ...]
    moments: tuple[Moment, ...]
    sampled: int
    looks: str
    """Which models looked at fewer frames than were sampled, in a sentence; empty where each looked at all of them."""
    step_s: float
    """How far the page's buttons move where there is no frame to move to."""
    strip: Strip
    lanes: tuple[TimelineLane, ...]
    legend: tuple[tuple[str, str], ...]
    segments: tuple[Segment, ...]
    speech_missing: str | None
    words: int
    """How many words the transcript has, as the run's page says."""
    texts: Found
    framing: tuple[Figure, ...]
    framing_missing: str | None
    windows: tuple[str, ...]
    figures: tuple[Figure, ...]
    more_figures: tuple[Figure, ...]
    windows_missing: str | None
    not_measured: tuple[str, ...]


def video_page(rows: RunRows, video: Row, store: FrameStore | None, most_frames: int) -> VideoPage:
    """Gather a video's page.

    Args:
        rows: of the run.
        video: its row of `videos`.
        store: where its frames are; None to go without pictures.
        most_frames: most pictures on the page, evenly spread.
    """
    key: str = video["video_key"]
    drawn = rows.drawn(key)
    looked_at = rows.looked_at(key)
    strip = strip_of(store, video, drawn, most_frames, looked_at.values())
    times_s = rows.times_s(key) | {picture.frame_index: picture.time_s for picture in strip.pictures}
    speech = rows.found("speech_segments", key)
    framing = rows.found("person_framing", key)
    windows = rows.found("windows", key)
    analyses = rows.analyses(key)
    figures = _figures("windows", windows, analyses)
    return VideoPage(
        run_id=rows.run.run_id,
        video=video,
        name=PurePosixPath(video["input"]).name or video["input"],
        facts=tuple(_facts(video)),
        source=tuple(_source(video)),
        link=video["source_url"] if re.match(r"https?://", video["source_url"] or "") else None,
        analyses=tuple(analyses.values()),
        moments=tuple(_moments(rows, key, times_s, strip)),
        sampled=video["frames_sampled"],
        looks=_looks(looked_at, video["frames_sampled"]),
        step_s=step_of(video),
        strip=strip,
        lanes=tuple(Timeline(rows, video, times_s).lanes()),
        legend=tuple((LAYERS[layer], layer) for layer in COLOURS),
        segments=tuple(_segments(speech, rows.found("words", key))),
        speech_missing=speech.missing,
        words=len(rows.found("words", key)),
        texts=_texts(rows, key),
        framing=tuple(_figures("person_framing", framing, analyses)),
        framing_missing=framing.missing or (None if framing else NOT_COMPUTED),
        windows=tuple(row["name"].replace("_", " ") for row in windows),
        figures=tuple(figure for figure in figures if figure.name in map(in_words, MAIN_FIGURES)),
        more_figures=tuple(figure for figure in figures if figure.name not in map(in_words, MAIN_FIGURES)),
        windows_missing=windows.missing or (None if windows else NOT_COMPUTED),
        not_measured=tuple(next((row.get("not_measured") or () for row in framing), ())),
    )


def _facts(video: Row) -> list[tuple[str, str]]:
    pictures = [
        ("picture", f"{video['width_px']} × {video['height_px']}"),
        ("frame rate", f"{video['fps']:.4g} per second" if video["fps"] else "a single frame"),
        ("sampled", f"{counted(video['frames_sampled'], 'frame')}, {1 / step_of(video):g} per second"),
    ]
    found = [
        ("length", f"{video['duration_s']:.2f} s" if video["duration_s"] < 60 else clock(video["duration_s"])),  # noqa: PLR2004 -- a minute
        *(pictures if video["width_px"] is not None else [("picture", "no video stream")]),
        ("codecs", f"{video['video_codec'] or 'no video'}, {video['audio_codec'] or 'no audio'}"),
        ("size", f"{video['size_bytes'] / 1e6:.2f} MB"),
        ("entry", video["entry_id"]),
        ("input", video["input"]),
        ("video key", video["video_key"]),
    ]
    return found + [("problem", problem) for problem in video["media_problems"]] + [("note", note) for note in video.get("notes") or ()]


def _source(video: Row) -> list[tuple[str, str]]:
    hashtags = " ".join(f"#{tag}" for tag in video["hashtags"] or ())
    counts = [(name, video.get(f"{name[:-1]}_count")) for name in ("views", "likes", "comments", "shares", "saves")]
    mentions = " ".join(f"@{handle}" for handle in video.get("mentions") or ())
    texts = [
        *(("title", video["title"]), ("caption", video["description"]), ("author", video["author"]), ("hashtags", hashtags)),
        *(("mentions", mentions), ("sound", _sound(video)), ("subtitles", _subtitles(video))),
        ("advertisement", "" if video.get("is_ad") is None else "yes" if video["is_ad"] else "no"),
    ]
    given = [(name, f"{number:,}") for name, number in counts if number is not None]
    return [(name, text) for name, text in texts if text] + given + list(video["columns"].items())


def _sound(video: Row) -> str:
    artists = ", ".join(video.get("artists") or ())
    return " by ".join(part for part in (video.get("track"), artists) if part)


def _subtitles(video: Row) -> str:
    automatic = [f"{language} (automatic)" for language in video.get("auto_subtitle_languages") or ()]
    return ", ".join([*(video.get("subtitle_languages") or ()), *automatic])


def _moments(rows: RunRows, key: str, times_s: dict[int, float], strip: Strip) -> list[Moment]:
    facts = _facts_by_frame(rows, key)
    looked_at = rows.looked_at(key)

    def moment(frame: int, uri: str | None = None, until_s: float | None = None) -> Moment:
        return Moment(frame, times_s[frame], uri, tuple(facts.get(frame, ())), until_s, tuple(_unseen(looked_at, frame)))

    if strip.pictures:
        return [moment(picture.frame_index, picture.uri, picture.until_s) for picture in strip.pictures]
    return [moment(frame) for frame in sorted(times_s)]


def _unseen(looked_at: Mapping[str, frozenset[int]], frame: int) -> list[tuple[str, str]]:
    """What was not looked for in a frame by models that looked at others."""
    return [(what, f"not looked at by {name}") for model, (what, name) in _LOOKERS.items() if frame not in looked_at.get(model, {frame})]


def _looks(looked_at: Mapping[str, frozenset[int]], sampled: int) -> str:
    """Which models looked at fewer frames than were sampled."""
    counts = {name: len(looked_at.get(model, range(sampled))) for model, (_, name) in _LOOKERS.items()}
    fewer = [(name, seen) for name, seen in counts.items() if seen < sampled]
    if not fewer:
        return ""
    (first, seen), *others = fewer
    said = [f"{first} looked at {seen} of {sampled:,} sampled frames", *(f"{name} at {seen}" for name, seen in others)]
    sentence = ", ".join(said)
    return f"{sentence[0].upper()}{sentence[1:]}. A frame without a model's findings may be one that it did not look at: select it to see."


def _facts_by_frame(rows: RunRows, key: str) -> dict[int, list[tuple[str, str]]]:
    """What was found in each frame, in words."""
    by_frame: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in rows.found("objects", key):
        by_frame[row["frame_index"]]["objects"].append(row["label"])
    for row in rows.found("emotions", key):
        if row["is_largest"]:
            name = row["dominant_emotion"]
            by_frame[row["frame_index"]]["expression"].append(f"{name} {row[name]:.2f}")
    for row in rows.found("gaze", key):
        if row["face_index"] == 0 and row["direction"] is not None:
            by_frame[row["frame_index"]]["gaze"].append("at the camera" if row["direction"] == "camera" else f"looks {row['direction']}")
    for row in rows.found("gestures", key):
        by_frame[row["frame_index"]]["gesture"].append(row["gesture"].replace("_", " "))
    for row in rows.found("texts", key):
        by_frame[row["frame_index"]]["text"].append(row["text"] or UNREADABLE)
    return {
        frame: [(what, " / ".join(found[what]) if what == "text" else listed(Counter(found[what]))) for what in _FACTS if what in found]
        for frame, found in by_frame.items()
    }


def _segments(segments: Found, words: Found) -> list[Segment]:
    spoken: dict[int, list[Row]] = defaultdict(list)
    for word in words:
        spoken[word["segment_index"]].append(word)
    return [Segment(row["start_s"], row["text"], tuple(spoken[row["segment_index"]])) for row in segments]


def _texts(rows: RunRows, key: str) -> Found:
    """Spans, or sightings where spans are not computed; for the table below the timeline."""
    spans = rows.found("text_spans", key)
    return spans if spans.missing != NOT_COMPUTED else rows.found("texts", key)


def _figures(table: str, records: Found, analyses: Mapping[str, Row]) -> list[Figure]:
    """Every plain column of a table, over the records given."""
    return [
        Figure(
            in_words(field.name),
            _definition(field),
            tuple(
                of_column(record[field.name], field, reason_by_source(facts_of(field).get("source", ""), analyses)) for record in records
            ),
        )
        for field in TABLES_BY_NAME[table].schema
        if records and field.name not in _NAMING and is_plain(field) and field.name in records.rows[0]
    ]


def _definition(field: pa.Field[Any]) -> str:
    facts = facts_of(field)
    return facts.get("definition", "") + (f" In {facts['unit']}." if facts.get("unit") else "")
