"""What stands on the page of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from rumiai_ray.report.charts import Bars, bars_of, histogram
from rumiai_ray.report.rows import NOT_COMPUTED
from rumiai_ray.report.values import ShownFigure, absent, count, seconds
from rumiai_ray.report.video_lines import COLUMNS, VideoLine, dead_line, report_command, video_line
from rumiai_ray.schema.registry import TABLES_BY_NAME
from rumiai_ray.schema.run import Status
from rumiai_ray.shown import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rumiai_ray.report.rows import RunRows
    from rumiai_ray.runs.manifest import RunManifest
    from rumiai_ray.schema.table import Row

_EXAMPLES = 3


@dataclass(frozen=True)
class Tile:
    """One figure of the whole run."""

    name: str
    value: ShownFigure
    note: str = ""


@dataclass(frozen=True)
class ModelLine:
    """One model over all videos."""

    name: str
    backend: str
    stand_in: bool
    device: str
    statuses: tuple[tuple[str, int, str], ...]
    """(status, videos, share of all in percent)."""
    total_s: ShownFigure
    per_video_s: ShownFigure
    per_video_second: ShownFigure
    width: str
    """Its time over the slowest model's, in percent."""


@dataclass(frozen=True)
class FailureKind:
    """Failures of one kind."""

    where: str
    error_class: str
    message: str
    times: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class RunPage:
    """Everything the template shows."""

    run_id: str
    status: str
    manifest: RunManifest
    tiles: tuple[Tile, ...]
    models: tuple[ModelLine, ...]
    failures: tuple[FailureKind, ...]
    charts: tuple[Bars, ...]
    columns: tuple[str, ...]
    lines: tuple[VideoLine, ...]
    paged: tuple[int, int]
    """(videos that have a page, different videos)."""
    more: str
    """The command that writes a page for each of them."""
    pictures_missing: int
    not_computed: tuple[str, ...]
    undone: int
    """Inputs that a stopped run never came to."""


def run_page(rows: RunRows, posters: Mapping[str, str | None], pages: Mapping[str, str]) -> RunPage:
    """Gather a run's page.

    Args:
        rows: of the run.
        posters: a small picture by key for each video that has a page, None where its frames are gone or it has none.
        pages: address of a video's page by its key, for videos that have one.
    """
    run = rows.run
    dead: list[Row] = run.table("dead_letter").to_pylist()
    videos = _unique(rows.videos)
    analyses: list[Row] = [row for video in videos for row in rows.analyses(video["video_key"]).values()]
    lines = [video_line(rows, video, posters.get(video["video_key"]), pages.get(video["video_key"])) for video in rows.videos]
    lines += [dead_line(row) for row in dead]
    return RunPage(
        run_id=run.run_id,
        status=run.status,
        manifest=run.manifest,
        tiles=tuple(_tiles(rows, dead, analyses)),
        models=tuple(_models(rows, analyses)),
        failures=tuple(_failures(rows, dead, analyses)),
        charts=tuple(_charts(rows)),
        columns=COLUMNS,
        lines=tuple(lines),
        paged=(sum(video["video_key"] in pages for video in videos), len(videos)),
        more=report_command(run, "--pages", str(len(videos)), "--to", "DIRECTORY"),
        pictures_missing=sum(video["width_px"] is not None for video in videos if posters.get(video["video_key"], "") is None),
        not_computed=tuple(name for name in TABLES_BY_NAME if name not in rows.known),
        undone=0 if run.status in {"complete", "partial"} else max(0, run.manifest.entries - len(run.entries())),
    )


def _unique(videos: Sequence[Row]) -> list[Row]:
    """One entry of each video: entries of equal videos share their rows."""
    return list({video["video_key"]: video for video in videos}.values())


def _tiles(rows: RunRows, dead: Sequence[Row], analyses: Sequence[Row]) -> list[Tile]:
    run = rows.run
    partial = {row["video_key"] for row in analyses if row["status"] == Status.FAILED}
    length_s = sum(video["duration_s"] for video in rows.videos)
    records = run.records
    wall_s = (records[-1].written_at - run.manifest.created_at).total_seconds() if records else None
    rate = ShownFigure(f"{60 * len(rows.videos) / wall_s:.1f}") if wall_s and rows.videos else absent("nothing was committed")
    ratio = ShownFigure(f"{length_s / wall_s:.2f}×") if wall_s and rows.videos else absent("nothing was committed")
    frames = sum(video["frames_sampled"] for video in rows.videos)
    return [
        Tile(
            "videos read",
            count(len(rows.videos)),
            f"{len(_unique(rows.videos))} different" if len(_unique(rows.videos)) < len(rows.videos) else "",
        ),
        Tile("with a failed model", count(len(partial))),
        Tile("dead letters", count(len(dead)), "could not be read" if dead else ""),
        Tile("video", seconds(length_s), f"{counted(frames, 'frame')} sampled"),
        Tile("wall clock", seconds(wall_s, None if records else "nothing was committed"), "from the start to the last record"),
        Tile("videos a minute", rate),
        Tile("of real time", ratio, "seconds of video a second"),
    ]


def _models(rows: RunRows, analyses: Sequence[Row]) -> list[ModelLine]:
    by_model: dict[str, list[Row]] = {}
    for row in analyses:
        by_model.setdefault(row["model_name"], []).append(row)
    length_s = {video["video_key"]: video["duration_s"] for video in rows.videos}
    totals = {name: _time_s(found) for name, found in by_model.items()}
    slowest = max((total for total in totals.values() if total), default=0.0)
    lines = []
    for name, found in by_model.items():
        total, statuses = totals[name], Counter(row["status"] for row in found)
        ran = [row for row in found if row["processing_time_s"] is not None]
        seen_s = sum(length_s[row["video_key"]] for row in ran)
        why = "it never answered"
        lines.append(
            ModelLine(
                name=name,
                backend=found[0]["backend"],
                stand_in=found[0]["stand_in"],
                device=f"{found[0]['device']}, {found[0]['precision']}",
                statuses=tuple(
                    (status, statuses[status], f"{100 * statuses[status] / len(found):.2f}") for status in Status if statuses[status]
                ),
                total_s=seconds(total, None if ran else why),
                per_video_s=seconds(total / len(ran) if ran and total is not None else None, None if ran else why),
                per_video_second=ShownFigure(f"{total / seen_s:.2f}", total / seen_s) if total is not None and seen_s else absent(why),
                width=f"{100 * (total or 0) / slowest:.2f}" if slowest else "0",
            )
        )
    return lines


def _time_s(found: Sequence[Row]) -> float | None:
    times = [row["processing_time_s"] for row in found if row["processing_time_s"] is not None]
    return sum(times) if times else None


def _failures(rows: RunRows, dead: Sequence[Row], analyses: Sequence[Row]) -> list[FailureKind]:
    inputs = {video["video_key"]: video["input"] for video in rows.videos}
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for row in dead:
        what = _without(row["error_message"], row["input"])
        kinds.setdefault((f"dead letter, {row['stage']}", row["error_class"], what), []).append(row["input"])
    for row in analyses:
        if row["status"] == Status.FAILED:
            kinds.setdefault((row["model_name"], row["error_class"], row["error_message"]), []).append(inputs[row["video_key"]])
    found = [FailureKind(*kind, len(who), tuple(PurePosixPath(each).name for each in who[:_EXAMPLES])) for kind, who in kinds.items()]
    return sorted(found, key=lambda failure: -failure.times)


def _without(message: str, subject: str) -> str:
    """A message without what it happened to, so that equal troubles of different files are one."""
    return message.removeprefix(f"{subject}: ")


def _charts(rows: RunRows) -> list[Bars]:
    videos = _unique(rows.videos)
    keys = {video["video_key"] for video in videos}
    charts = [histogram("length of the videos", [video["duration_s"] for video in videos], "s")]
    charts.append(_counted(rows, "objects", "objects, by videos they are in", "label", keys))
    charts.append(_counted(rows, "emotions", "expressions of the largest face, by sightings", "dominant_emotion", None))
    if "person_framing" in rows.known:
        found = [row for key in keys for row in rows.found("person_framing", key)]
        for name, title in (("face_visibility_rate", "share of frames with a face"), ("eye_contact_rate", "share of looks at the camera")):
            charts.append(histogram(title, [row[name] for row in found if row[name] is not None], "", 0.0, 1.0, of=len(found)))
    else:
        charts.append(Bars("person framing", missing=NOT_COMPUTED))
    if "windows" in rows.known:
        whole = [row for key in keys for row in rows.found("windows", key) if row["name"] == "video"]
        spoken = [row["words_per_minute"] for row in whole if row["words_per_minute"] is not None]
        charts.append(histogram("words per minute", spoken, "", of=len(whole)))
        cuts = [row["cuts_per_minute"] for row in whole if row["cuts_per_minute"] is not None]
        charts.append(histogram("cuts per minute", cuts, "", of=len(whole)))
    else:
        charts.append(Bars("words and cuts per minute", missing=NOT_COMPUTED))
    return charts


def _counted(rows: RunRows, table: str, title: str, column: str, videos: set[str] | None) -> Bars:
    if table not in rows.known:
        return Bars(title, missing=NOT_COMPUTED)
    names = ["video_key", column] + (["is_largest"] if table == "emotions" else [])
    found: list[Row] = rows.run.table(table, names).to_pylist()
    if videos is not None:
        counts = Counter(label for _, label in {(row["video_key"], row[column]) for row in found})
    else:
        counts = Counter(row[column] for row in found if row.get("is_largest", True))
    return bars_of(title, counts.most_common())
