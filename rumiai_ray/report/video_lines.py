"""The lines of the table of videos on a run's page."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from rumiai_ray.report.rows import NOT_COMPUTED, reason_by_source
from rumiai_ray.report.values import ShownFigure, absent, count, seconds, share
from rumiai_ray.schema.run import Status
from rumiai_ray.shown import shown_input

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rumiai_ray.report.rows import Found, RunRows
    from rumiai_ray.runs.reader import Run
    from rumiai_ray.schema.table import Row


@dataclass(frozen=True)
class VideoLine:
    """One entry in the table of videos."""

    name: str
    title: str
    """The whole input."""
    page: str | None
    command: str | None
    """What writes its page, where it has none and can have one."""
    poster: str | None
    status: str
    cells: tuple[ShownFigure, ...]
    """One for each of `COLUMNS`."""


def video_line(rows: RunRows, video: Row, poster: str | None, page: str | None) -> VideoLine:
    """The line of a committed entry.

    Args:
        rows: of the run.
        video: its row of `videos`.
        poster: a small picture, None where there is none.
        page: address of its page, None where it has none.
    """
    failed = any(row["status"] == Status.FAILED for row in rows.analyses(video["video_key"]).values())
    figures = _Figures(rows, video)
    return VideoLine(
        name=PurePosixPath(video["input"]).name or video["input"],
        title=video["input"],
        page=page,
        command=None if page else report_command(rows.run, "--video", video["entry_id"]),
        poster=poster,
        status="partial" if failed else "complete",
        cells=tuple(cell(figures) for cell in _CELLS.values()),
    )


def report_command(run: Run, *options: str) -> str:
    """The command that reports on a run, for a shell in any directory. An address is without what only its owner may know.

    Args:
        run: the run.
        options: what else the command is given.

    Example:
        >>> report_command(open_run("/data/my runs/one"), "--video", "clip")  # doctest: +SKIP
        "rumiai-ray report '/data/my runs/one' --video clip"
    """
    return shlex.join(["rumiai-ray", "report", shown_input(run.store.uri()), *options])


class _Figures:
    """What the cells of one video's line are made from."""

    def __init__(self, rows: RunRows, video: Row) -> None:
        key = video["video_key"]
        analyses = rows.analyses(key)
        self.video = video
        self.framing: Row = next(iter(rows.found("person_framing", key)), {})
        self.unframed = reason_by_source("faces", analyses) if "person_framing" in rows.known else NOT_COMPUTED
        self.shots, self.objects, self.words = rows.found("shots", key), rows.found("objects", key), rows.found("words", key)
        self.spans, self.emotions = rows.found("text_spans", key), rows.found("emotions", key)

    def framed(self, show: Callable[[Any], ShownFigure], name: str) -> ShownFigure:
        """A figure of `person_framing`."""
        value = self.framing.get(name)
        return absent(self.unframed) if value is None else show(value)

    def labels(self) -> ShownFigure:
        """How many different labels the objects have."""
        return absent(self.objects.missing) if self.objects.missing else count(len({row["label"] for row in self.objects}))

    def feeling(self) -> ShownFigure:
        """The most frequent expression of the largest faces."""
        found = Counter(row["dominant_emotion"] for row in self.emotions if row["is_largest"]).most_common(1)
        return ShownFigure(found[0][0], found[0][0]) if found else absent(self.emotions.missing or "no face")


_CELLS: Mapping[str, Callable[[_Figures], ShownFigure]] = {
    "length": lambda figures: seconds(figures.video["duration_s"]),
    "people": lambda figures: figures.framed(count, "subject_count"),
    "face": lambda figures: figures.framed(share, "face_visibility_rate"),
    "eye contact": lambda figures: figures.framed(share, "eye_contact_rate"),
    "shots": lambda figures: _rows_of(figures.shots),
    "objects": _Figures.labels,
    "words": lambda figures: _rows_of(figures.words),
    "texts": lambda figures: _rows_of(figures.spans),
    "expression": _Figures.feeling,
}
"""What stands in each column of the table, by the column's heading, in the order of display."""

COLUMNS = tuple(_CELLS)


def _rows_of(found: Found) -> ShownFigure:
    return absent(found.missing) if found.missing else count(len(found))


def dead_line(row: Row) -> VideoLine:
    """The line of a dead letter: the reason in the place of every figure."""
    why = f"{row['error_class']}: {row['error_message']}"
    name = PurePosixPath(row["input"]).name or row["input"]
    return VideoLine(name, row["input"], None, None, None, "dead letter", tuple(absent(why) for _ in COLUMNS))
