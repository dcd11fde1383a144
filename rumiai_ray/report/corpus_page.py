"""What a corpus page shows: the corpus's content, each model's coverage, and what the videos that did well have more of."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rumiai_ray.corpus.cohorts.tested import FEWEST
from rumiai_ray.corpus.cohorts.top import cohort_size, parsed_top
from rumiai_ray.corpus.files import identifier
from rumiai_ray.corpus.reader import ONE_IS_DAMAGED
from rumiai_ray.corpus.reviews import ACCURACY
from rumiai_ray.errors import StorageError
from rumiai_ray.report.charts import Bars, bars_of
from rumiai_ray.report.cohort_page import CohortPage, cohort_page, field_of, shown_value
from rumiai_ray.report.run_page import Tile
from rumiai_ray.report.values import ShownFigure, absent, count, in_words, seconds, share
from rumiai_ray.runs.datafile import unlike_any_time
from rumiai_ray.schema.run import Status
from rumiai_ray.schema.windows import HOOK, WHOLE
from rumiai_ray.shown import counted

if TYPE_CHECKING:
    from rumiai_ray.corpus.reader import Corpus
    from rumiai_ray.schema.table import Row

METRICS = ("like_count", "view_count", "comment_count", "share_count")
"""By the one of these that is known of the most videos, of equals the first, cohorts are compared where nobody names a metric."""

_KNOWN = ("uploaded_at", "author", *METRICS)
_NEVER = "not run"
_CHARTS = {
    "length of the videos": """
        SELECT CASE WHEN duration_s < 15 THEN '1. under 15 s' WHEN duration_s < 30 THEN '2. 15 to 30 s'
            WHEN duration_s < 60 THEN '3. 30 to 60 s' WHEN duration_s < 180 THEN '4. 1 to 3 min' ELSE '5. 3 min and more' END AS name,
            count(*) AS n
        FROM videos GROUP BY ALL ORDER BY name""",
    "posted, by month": """
        SELECT strftime(uploaded_at, '%Y-%m') AS name, count(*) AS n FROM videos WHERE uploaded_at IS NOT NULL
        GROUP BY ALL ORDER BY name DESC""",
    "objects, by videos they are in": """
        SELECT label AS name, count(DISTINCT video_key) AS n FROM objects GROUP BY ALL ORDER BY n DESC, name""",
    "languages spoken, by videos": """
        SELECT language AS name, count(DISTINCT video_key) AS n FROM speech_segments WHERE language IS NOT NULL
        GROUP BY ALL ORDER BY n DESC, name""",
}
"""By title, the SQL that gives the bars; a digit, a point and a blank before a name order them and are not shown."""
_RUN_ID = "run_id"


@dataclass(frozen=True)
class CoverageLine:
    """How much of the corpus something covers."""

    name: str
    note: str
    parts: tuple[tuple[str, int], ...]
    """(status, videos)."""
    covered: ShownFigure
    """Share of the videos."""
    width: str
    """The same in percent."""


@dataclass(frozen=True)
class CorpusRunLine:
    """One run."""

    run_id: str
    started: str
    status: str
    figures: tuple[ShownFigure, ...]
    """Videos, dead letters, and how many count."""
    models: str
    differences: tuple[str, ...]


@dataclass(frozen=True)
class MeasureLine:
    """A figure over all videos."""

    name: str
    part: str
    definition: str
    figures: tuple[ShownFigure, ...]
    """Quartiles."""
    n: ShownFigure


@dataclass(frozen=True)
class AccuracyLine:
    """What reviews say of one model and release."""

    name: str
    figures: tuple[ShownFigure, ...]
    """Frames, detections, reviewed boxes, precision, recall, agreement of labels."""


@dataclass(frozen=True)
class CorpusPage:
    """Everything the template shows."""

    title: str
    span: str
    tiles: tuple[Tile, ...]
    warnings: tuple[str, ...]
    models: tuple[CoverageLine, ...]
    known: tuple[CoverageLine, ...]
    charts: tuple[Bars, ...]
    measures: tuple[MeasureLine, ...]
    accuracy: tuple[AccuracyLine, ...]
    cohorts: CohortPage | None
    no_cohorts: str
    """Why there are none."""
    dead: tuple[tuple[str, int], ...]
    """(kind of error, inputs)."""
    lines: tuple[CorpusRunLine, ...]


def corpus_page(corpus: Corpus, *, title: str, by: str | None = None, top: str = "25%") -> CorpusPage:
    """Gather the page. It names no input, no address and no creator, since it is made to be shown to others.

    Args:
        corpus: the runs.
        title: heading.
        by: the metric whose highest videos are compared with the rest; by default the one of `METRICS` that is known of the most videos.
        top: how much of them is the first cohort.

    Raises:
        ConfigError: DuckDB is not installed, or cannot make sense of the metric.
        StorageError: a run is damaged.
    """
    runs: list[Row] = corpus.table("runs").to_pylist()
    known = ", ".join(f"count({name}) AS {name}" for name in _KNOWN)
    (totals,) = _rows(
        corpus,
        f"SELECT count(*) AS videos, sum(duration_s) AS length_s, count(DISTINCT author) AS authors, "  # noqa: S608 -- names of columns
        f"min(uploaded_at) AS first_uploaded_at, max(uploaded_at) AS last_uploaded_at, {known} FROM videos",
    )
    videos: int = totals["videos"]
    dead = _rows(corpus, "SELECT error_class AS name, count(*) AS n FROM dead_letter GROUP BY ALL ORDER BY n DESC, name")
    models = _models(corpus, videos)
    metric = by or _metric(totals, top)
    found = None if metric is None else corpus.compare(by=metric, top=top)
    first = totals["first_uploaded_at"]
    mixed = [run[_RUN_ID] for run in runs if run["differences"]]
    return CorpusPage(
        title=title,
        span="" if first is None else f"posted {first:%Y-%m-%d} to {totals['last_uploaded_at']:%Y-%m-%d}",
        tiles=(
            Tile("videos", count(videos)),
            Tile("of video", seconds(totals["length_s"], None if videos else "no videos")),
            Tile("creators", count(totals["authors"]) if totals["authors"] else absent("no source names them")),
            Tile("runs", count(len(runs))),
            Tile("could not be read", count(sum(row["n"] for row in dead))),
        ),
        warnings=tuple(_warnings(mixed, models, videos)),
        models=tuple(models),
        known=tuple(_coverage(in_words(name), "", [("known", totals[name])], totals[name], videos) for name in _KNOWN),
        charts=tuple(_charts(corpus, videos)),
        measures=tuple(_measures(corpus)),
        accuracy=tuple(map(_accuracy, corpus.table(ACCURACY).to_pylist())),
        cohorts=None if found is None else cohort_page(found, [run[_RUN_ID] for run in runs]),
        no_cohorts=f"Likes, views, comments or shares are known for so few videos that the top {top} or the rest would be fewer than "
        f"{FEWEST}: too few to compare.",
        dead=tuple((row["name"], row["n"]) for row in dead),
        lines=tuple(map(_run_line, reversed(runs))),
    )


def _rows(corpus: Corpus, sql: str) -> list[Row]:
    """The answer to a question; no value in it is one that no table may hold.

    Raises:
        ConfigError: DuckDB is not installed.
        StorageError: a run is damaged.
    """
    answer = corpus.query(sql)
    if problem := unlike_any_time(answer):
        raise StorageError(problem, corpus.run_id, ONE_IS_DAMAGED)
    rows: list[Row] = answer.to_pylist()
    for row in rows:
        if (name := next((name for name, value in row.items() if not _is_finite(value)), None)) is not None:
            raise StorageError(f"the column {name!r} holds numbers that are not finite", corpus.run_id, ONE_IS_DAMAGED)
    return rows


def _is_finite(value: Any) -> bool:
    """Whether a value is no infinite number and no NaN, nor has one in it."""
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return all(map(_is_finite, value)) if isinstance(value, list) else not isinstance(value, float) or math.isfinite(value)


def _metric(totals: Row, top: str) -> str | None:
    """The metric known of the most videos; None where one of the two cohorts would have fewer of them than a test needs."""
    name = max(METRICS, key=lambda name: totals[name])
    first = cohort_size(*parsed_top(top), totals[name])
    return name if min(first, totals[name] - first) >= FEWEST else None


def _models(corpus: Corpus, videos: int) -> list[CoverageLine]:
    """How each model that any run has ended, over the videos of the corpus."""
    rows = _rows(
        corpus,
        "SELECT model_name, status, count(*) AS n, list(DISTINCT backend ORDER BY backend) AS backends "
        "FROM analyses JOIN videos USING (video_key) GROUP BY ALL ORDER BY model_name",
    )
    lines = []
    for name in dict.fromkeys(row["model_name"] for row in rows):
        own = {row["status"]: row["n"] for row in rows if row["model_name"] == name}
        backends = dict.fromkeys(backend for row in rows if row["model_name"] == name for backend in row["backends"])
        never = videos - sum(own.values())
        parts = [(str(status), own[status]) for status in Status if own.get(status)] + ([(_NEVER, never)] if never else [])
        answered = sum(own.get(status, 0) for status in (Status.OK, Status.EMPTY, Status.DEGRADED))
        lines.append(_coverage(name, ", ".join(backends), parts, answered, videos))
    return lines


def _coverage(name: str, note: str, parts: list[tuple[str, int]], covered: int, videos: int) -> CoverageLine:
    part = covered / videos if videos else None
    return CoverageLine(name, note, tuple(parts), share(part, None if videos else "no videos"), f"{100 * (part or 0):.2f}")


def _warnings(mixed: list[str], models: list[CoverageLine], videos: int) -> list[str]:
    said = []
    if mixed:
        runs, whose = ("1 run was", "Its") if len(mixed) == 1 else (f"{len(mixed)} runs were", "Their")
        said.append(
            f"{runs} made with other models, weights or settings than the newest one. "
            f"{whose} figures are not directly comparable with the newest run's."
        )
    never = {line.name: dict(line.parts).get(_NEVER, 0) for line in models}
    said += [f"{name} did not run on {missing} of {counted(videos, 'video')}." for name, missing in never.items() if missing]
    return said


def _charts(corpus: Corpus, videos: int) -> list[Bars]:
    if not videos:
        return [Bars(title, missing="no videos") for title in _CHARTS]
    return [
        bars_of(title, [(re.sub(r"^\d\. ", "", row["name"]), row["n"]) for row in _rows(corpus, sql)]) for title, sql in _CHARTS.items()
    ]


def _measures(corpus: Corpus) -> list[MeasureLine]:
    """Quartiles of every number that was measured of the hook and of the whole video."""
    empty = corpus.query("SELECT * FROM summary LIMIT 0").schema
    plain = (pa.types.is_floating, pa.types.is_integer)
    names = [
        field.name
        for field in empty
        if field.name.startswith((f"{HOOK}_", f"{WHOLE}_"))
        and any(is_one(field.type) for is_one in plain)
        and field_of(field.name)[0] is not None
    ]
    if not names:
        return []
    asked = ", ".join(
        f"struct_pack(n := count({identifier(name)}), q := quantile_cont({identifier(name)}, [0.25, 0.5, 0.75])) AS {identifier(name)}"
        for name in names
    )
    (row,) = _rows(corpus, f"SELECT {asked} FROM summary")  # noqa: S608 -- names of columns, quoted
    return [_measure(name, row[name]) for name in names if row[name]["n"]]


def _measure(name: str, found: dict[str, Any]) -> MeasureLine:
    field, part = field_of(name)
    definition = ((field.metadata or {}).get(b"definition", b"") if field is not None else b"").decode()
    figures = tuple(shown_value(value, name, is_share=False) for value in found["q"])
    return MeasureLine(in_words(name if field is None else field.name), part, definition, figures, count(found["n"]))


def _accuracy(row: Row) -> AccuracyLine:
    why = "no such box was reviewed"
    shares = tuple(share(row[name], why if row[name] is None else None) for name in ("precision", "recall", "label_agreement"))
    counts = tuple(count(row[name]) for name in ("frames", "detections", "reviewed_boxes"))
    release = f"{row['model_name']}: {row['backend']} {row['model_version']}, weights {row['weights_sha256'][:12]}"
    return AccuracyLine(release, (*counts, *shares))


def _run_line(run: Row) -> CorpusRunLine:
    return CorpusRunLine(
        run[_RUN_ID],
        f"{run['started_at']:%Y-%m-%d %H:%M}",
        run["status"],
        tuple(count(run[name]) for name in ("committed", "dead_lettered", "counted")),
        ", ".join(model.partition(":")[0] for model in run["models"]),
        tuple(dict.fromkeys(line.partition(": ")[0] for line in run["differences"])),  # a value may be a path, or somebody's words
    )
