"""Videos as columns of numbers: the features of `summary`, what is asked of each video, and what may lie behind a difference."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rumiai_ray.corpus.files import identifier
from rumiai_ray.corpus.summary import SUMMARY
from rumiai_ray.errors import ConfigError
from rumiai_ray.ingest.manifest.names import by_folded_name
from rumiai_ray.schema.windows import CLOSING, HOOK, WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rumiai_ray.corpus.cohorts.effects import Flags, Floats, Places

    Ask = Callable[[str], pa.Table]
    """Answers an SQL query, as `Corpus.query` does."""

OUTCOMES = ("view_count", "like_count", "comment_count", "share_count", "save_count")
"""Columns of `summary` that say how a video did, and nothing of what is in it."""
CONFOUNDERS = ("followers", "posted_at", "duration")
"""What can make two cohorts differ beside what is in their videos."""
_COLUMN_OF = {"posted_at": "uploaded_at", "duration": "duration_s"}
_EVIDENCE = re.compile(r"\w+_(?:start_s|end_s|frames)")
"""Figures of a window that say where it is and how much of it was looked at."""
FOLLOWERS = (
    *("followers", "follower_count", "followers_count", "author_followers", "channel_follower_count", "subscribers", "subscriber_count"),
    *("fans", "authormeta.fans", "authormeta/fans"),
)
"""Names of manifest columns, compared as `folded`, that hold the author's followers; the first with a whole number counts."""
_COUNT = re.compile(r"(\d{1,18}|\d{1,3}(?:,\d{3}){1,5})(?:\.0+)?", re.ASCII)
_STRATA = 5
"""Cochran, The effectiveness of adjustment by subclassification (Biometrics, 1968): five take away nine tenths of the bias."""
_YEARS_S = tuple(datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (1, 9999))


@dataclass(frozen=True)
class FeatureRows:
    """Videos of which what is asked is known; of near-duplicates one. Arrays have one row per video, NaN where nothing was measured."""

    features: tuple[str, ...]
    """Names of the features: columns of `summary`."""
    values: Floats
    """Shape (videos, features); booleans are 0 and 1."""
    is_boolean: Flags
    """Shape (features,)."""
    asked: Floats
    """The metric or, as 0 and 1, the condition; shape (videos,), finite."""
    outcomes: Mapping[str, Floats]
    """By name, of `OUTCOMES`; those that the question names are left out."""
    confounders: Mapping[str, Floats]
    """By name, of `CONFOUNDERS`: `posted_at` in seconds since 1970, `duration` in seconds."""
    authors: tuple[str | None, ...]
    unknown: int
    """Videos that were left out as what is asked is not known of them."""
    duplicates: int
    """Near-duplicates that were left out, each for another that stands for it."""
    named: tuple[str, ...]
    """Features, and of a condition outcomes, that were left out as the question itself names them."""

    @property
    def videos(self) -> int:
        """How many videos there are."""
        return len(self.asked)

    def take(self, places: Places | Flags) -> FeatureRows:
        """The same of some of the videos."""
        authors = tuple(np.array(self.authors, object)[places])
        changed = {name: {key: column[places] for key, column in getattr(self, name).items()} for name in ("outcomes", "confounders")}
        return FeatureRows(
            self.features, self.values[places], self.is_boolean, self.asked[places], authors=authors, unknown=self.unknown,
            duplicates=self.duplicates, named=self.named, **changed,
        )  # fmt: skip

    def strata(self, confounder: str | None) -> Places:
        """The number of each video's stratum, shape (videos,): a fifth of the videos by a confounder, -1 where it is not known.

        Args:
            confounder: one of `CONFOUNDERS`; None for one stratum with all videos.

        Raises:
            ConfigError: there is no such confounder.
        """
        if confounder is None:
            return np.zeros(self.videos, np.intp)
        if confounder not in CONFOUNDERS:
            raise ConfigError("not a confounder to stratify by", repr(confounder), f"choose from {', '.join(CONFOUNDERS)}")
        values = self.confounders[confounder]
        known = ~np.isnan(values)
        result = np.full(self.videos, -1, np.intp)
        if known.any():
            edges = np.unique(np.quantile(values[known], np.arange(1, _STRATA) / _STRATA))
            result[known] = np.searchsorted(edges, values[known], side="right")
        return result


def read_features(ask: Ask, expression: str, kind: Literal["DOUBLE", "BOOLEAN"], cluster: str) -> FeatureRows:
    """Read a corpus's videos.

    Of videos with one `cluster` the one that was posted first is kept: the others are reposts. One without a date is taken as posted last;
    of those of one date the smallest `video_key` is kept. Posts with the same bytes are one row of `summary` already, with the metric,
    the date and the author of the entry that was committed last.

    Args:
        ask: see `Corpus.query`.
        expression: an SQL expression over the columns of `summary`, the metric or the condition.
        kind: what the expression is: DOUBLE for a metric, BOOLEAN for a condition.
        cluster: an SQL expression over these columns, equal for videos that are near-duplicates of one another; null for a video that is
            none.

    Raises:
        ConfigError: DuckDB can make no sense of an expression, or it gives a video several values or columns.
    """
    # A line break after each expression ends a comment in it.
    asked = f'CAST(({expression}\n) AS {kind}) AS "_asked", CAST(({cluster}\n) AS VARCHAR) AS "_cluster"'
    schema = ask(f"SELECT * FROM {SUMMARY} LIMIT 0").schema  # noqa: S608 -- a name
    words = set(re.findall(r"\w+", expression.lower()))  # SQL's names have no case
    candidates = [field.name for field in schema if is_feature(field)]
    named = words | {f"{window}_{word}" for window in (HOOK, CLOSING, WHOLE) for word in words}  # a subquery may ask `windows`
    features = tuple(name for name in candidates if name not in named)
    own = ("video_key", "author", "columns", *_COLUMN_OF.values(), *OUTCOMES)
    wanted = ", ".join(map(identifier, dict.fromkeys((*own, *features))))
    rows = ask(f"SELECT {wanted}, {asked} FROM {SUMMARY}")  # noqa: S608 -- names, quoted, and SQL of the user's own
    if rows.column_names != [*dict.fromkeys((*own, *features)), "_asked", "_cluster"]:
        raise ConfigError("is not a single expression", f"{expression!r}, {cluster!r}", "give one value for each; its brackets must match")
    keys: list[Any] = rows["video_key"].to_pylist()
    if len(set(keys)) < len(keys):
        raise ConfigError("gives several values for one video", expression, "give an expression with one value per row of `summary`")
    found = FeatureRows(
        features=features,
        values=np.column_stack([_numbers(rows[name]) for name in features]) if features else np.empty((len(keys), 0)),
        is_boolean=np.array([pa.types.is_boolean(schema.field(name).type) for name in features], np.bool_),
        asked=_numbers(rows["_asked"]),
        outcomes={name: _numbers(rows[name]) for name in OUTCOMES if name not in words},
        confounders={
            "followers": np.array([_followers(columns) for columns in rows["columns"].to_pylist(maps_as_pydicts="lossy")], np.float64),
            "posted_at": _seconds(rows["uploaded_at"]),
            "duration": _numbers(rows["duration_s"]),
        },
        authors=tuple(rows["author"].to_pylist()),
        unknown=0,
        duplicates=0,
        named=tuple(name for name in (*candidates, *(OUTCOMES if kind == "BOOLEAN" else ())) if name in named),
    )
    return _counted_once(found, keys, rows["_cluster"].to_pylist())


def is_feature(field: pa.Field[Any]) -> bool:
    """Whether a column of `summary` says what is in a video, as a number or a boolean."""
    numeric = pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_boolean(field.type)
    return numeric and field.name not in {*OUTCOMES, *_COLUMN_OF.values()} and not _EVIDENCE.fullmatch(field.name)


def _counted_once(rows: FeatureRows, keys: Sequence[str], clusters: Sequence[str | None]) -> FeatureRows:
    """The videos of which what is asked is known, and of those one per cluster."""
    known = np.flatnonzero(~np.isnan(rows.asked))
    posted = np.nan_to_num(rows.confounders["posted_at"], nan=np.inf)
    first: dict[tuple[bool, str], int] = {}
    for place in sorted(known.tolist(), key=lambda place: (posted[place], keys[place])):
        cluster = clusters[place]
        first.setdefault((cluster is None, keys[place] if cluster is None else cluster), place)
    kept = np.array(sorted(first.values(), key=lambda place: keys[place]), np.intp)
    found = rows.take(kept)
    return FeatureRows(**{**vars(found), "unknown": rows.videos - len(known), "duplicates": len(known) - len(kept)})


def _numbers(column: pa.ChunkedArray[Any]) -> Floats:
    """A column as floats, NaN for null and for what no measurement gives: an infinity, as of a division by 0."""
    plain = pc.cast(column, pa.int8()) if pa.types.is_boolean(column.type) else column
    numbers: Floats = pc.cast(plain, pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _seconds(column: pa.ChunkedArray[Any]) -> Floats:
    """Times as seconds since 1970, NaN for times that no calendar has."""
    seconds = _numbers(pc.cast(pc.cast(column, pa.timestamp("ms", tz="UTC"), safe=False), pa.int64())) / 1000
    return np.where((seconds >= _YEARS_S[0]) & (seconds < _YEARS_S[1]), seconds, np.nan)


def _followers(columns: Mapping[str, str | None] | None) -> float:
    texts = by_folded_name(columns or {})
    found = next((match for name in FOLLOWERS if (match := _COUNT.fullmatch(texts.get(name, "")))), None)
    return np.nan if found is None else float(found[1].replace(",", ""))
