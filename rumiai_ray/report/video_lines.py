"""The lines of the table of videos on a run's page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from rumiai_ray.report.rows import NOT_COMPUTED, reason_by_source
from rumiai_ray.report.values import Shown, absent, count, seconds, share
from rumiai_ray.schema.run import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rumiai_ray.report.rows import Found, Row, RunRows

COLUMNS = ("length", "people", "face", "eye contact", "shots", "objects", "words", "texts", "expression")


@dataclass(frozen=True)
class VideoLine:
    """One entry in the table of videos."""

    name: str
    title: str
    """The whole input."""
    page: str | None
    poster: str | None
    status: str
    cells: tuple[Shown, ...]


def video_line(rows: RunRows, video: Row, poster: str | None, page: str | None) -> VideoLine:
    """The line of a committed entry.

    Args:
        rows: of the run.
        video: its row of `videos`.
        poster: a small picture, None where there is none.
        page: address of its page, None where it has none.
    """
    key = video["video_key"]
    analyses = rows.analyses(key)
    failed = any(row["status"] == Status.FAILED for row in analyses.values())
    return VideoLine(
        name=PurePosixPath(video["input"]).name or video["input"],
        title=video["input"],
        page=page,
        poster=poster,
        status="partial" if failed else "complete",
        cells=tuple(_cells(rows, video, analyses)),
    )


def _cells(rows: RunRows, video: Row, analyses: Mapping[str, Row]) -> list[Shown]:
    key = video["video_key"]
    framing: Row = next(iter(rows.found("person_framing", key)), {})
    unframed = reason_by_source("faces", analyses) if "person_framing" in rows.known else NOT_COMPUTED
    emotions, objects = rows.found("emotions", key), rows.found("objects", key)
    feelings = Counter(row["dominant_emotion"] for row in emotions if row["is_largest"]).most_common(1)
    return [
        seconds(video["duration_s"]),
        _or_absent(count, framing.get("subject_count"), unframed),
        _or_absent(share, framing.get("face_visibility_rate"), unframed),
        _or_absent(share, framing.get("eye_contact_rate"), unframed),
        _rows_of(rows.found("shots", key)),
        absent(objects.missing) if objects.missing else count(len({row["label"] for row in objects})),
        _rows_of(rows.found("words", key)),
        _rows_of(rows.found("text_spans", key)),
        Shown(feelings[0][0], feelings[0][0]) if feelings else absent(emotions.missing or "no face"),
    ]


def _or_absent(show: Callable[[Any], Shown], value: Any, why: str) -> Shown:
    return absent(why) if value is None else show(value)


def _rows_of(found: Found) -> Shown:
    return absent(found.missing) if found.missing else count(len(found))


def dead_line(row: Row) -> VideoLine:
    """The line of a dead letter: the reason in the place of every figure."""
    why = f"{row['error_class']}: {row['error_message']}"
    name = PurePosixPath(row["input"]).name or row["input"]
    return VideoLine(name, row["input"], None, None, "dead letter", tuple(absent(why) for _ in COLUMNS))
