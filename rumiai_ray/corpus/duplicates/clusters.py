"""Clusters of near-duplicates: videos that are, by way of others perhaps, reposts of one another."""

from __future__ import annotations

from collections import defaultdict, deque
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from rumiai_ray.corpus.duplicates.hashed import HashedCorpus
from rumiai_ray.corpus.duplicates.matching import match
from rumiai_ray.schema.table import column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rumiai_ray.corpus.duplicates.matching import Match

    Ask = Callable[[str], pa.Table]
    """Answers an SQL query, as `Corpus.query` does."""

NEAR_DUPLICATES = "near_duplicates"
"""The table of a corpus, in SQL that names it."""
CLUSTER_OF_VIDEO = f"(SELECT found.cluster FROM {NEAR_DUPLICATES} AS found WHERE found.video_key = summary.video_key)"  # noqa: S608 -- a name
"""An SQL expression over `summary`: the cluster of a video, null for one without near-duplicates."""
_KEPT = 4096
"""Videos whose grids are kept: pairs come in the order of their first video."""
_FASTER = 0.03
"""From this difference of speed on, one video is said to be faster than the other; the search knows steps of 0.02."""
_LATER_S = 0.5
"""The same for the time at which one begins in the other."""

COLUMNS = pa.schema(
    (
        column("cluster", pa.string(), "The `video_key` of the cluster's video that was posted first; without dates, the smallest."),
        column("video_key", pa.string(), "SHA-256 of the video's bytes."),
        column("entry_id", pa.string(), "The newest entry of the video; null where no run has one.", nullable=True),
        column("input", pa.string(), "Its path or URL; null likewise.", nullable=True),
        column(
            "like", pa.string(), "The video of the cluster that it was found to be a near-duplicate of; null for the first.", nullable=True
        ),
        column("similarity", pa.float64(), "Share of the longer video's time in which the two match.", range_="0.5..1", nullable=True),
        column(
            "kind",
            pa.string(),
            "In what it differs from that video, joined by `+`; `copy` where only the encoding or little of the picture does.",
            range_="first|copy|mirrored|cropped|faster|slower|shifted and sums of them",
        ),
        column("speed", pa.float64(), "How many times faster it is.", nullable=True),
        column(
            "offset_s", pa.float64(), "When the other's beginning is shown in it; below 0 where that is cut off.", unit="s", nullable=True
        ),
    ),
    metadata={"definition": "One video that has near-duplicates in the corpus, in the order of clusters, the first of each at its head."},
)


def near_duplicates(ask: Ask) -> pa.Table:
    """The videos of a corpus that have near-duplicates, in the columns of `COLUMNS`.

    Args:
        ask: see `Corpus.query`.

    Raises:
        StorageError: a run is damaged.
    """
    named = ask("SELECT video_key, entry_id, input, duration_s, uploaded_at FROM videos")
    videos = {row["video_key"]: row for row in named.to_pylist()}
    hashed = HashedCorpus.of(ask("SELECT video_key, time_s, view, hash FROM picture_hashes"), named)
    rows: list[dict[str, Any]] = []
    for members in _clusters(matches(hashed)):
        keys = {number: hashed.keys[number] for number in members}
        first = min(members, key=lambda number: _posted(videos.get(keys[number], {}), keys[number]))
        for number, like, found in _from(first, members):
            video = videos.get(keys[number], {})
            told = {
                "like": None if like is None else keys[like],
                "similarity": None if found is None else found.similarity,
                "kind": "first" if found is None else _kind(found),
                "speed": None if found is None else found.speed,
                "offset_s": None if found is None else found.offset_s,
            }
            names = {"video_key": keys[number], "entry_id": video.get("entry_id"), "input": video.get("input")}
            rows.append({"cluster": keys[first], **names, **told})
    rows.sort(key=lambda row: row["cluster"])  # stable: the first of a cluster stays its first
    return pa.Table.from_pylist(rows, schema=COLUMNS)


def matches(hashed: HashedCorpus) -> Iterator[tuple[int, int, Match]]:
    """Pairs of videos that are near-duplicates, as many as clusters need: of two that are in one already, nothing is asked."""
    root = np.arange(len(hashed.keys))
    grid = lru_cache(_KEPT)(hashed.at)
    for first, second in hashed.candidates().tolist():
        one, other = _root(root, first), _root(root, second)
        if one != other and (found := match(grid(first), grid(second))) is not None:
            root[other] = one
            yield first, second, found


def _root(root: np.ndarray[Any, np.dtype[np.intp]], number: int) -> int:
    while root[number] != number:
        root[number] = root[root[number]]
        number = int(root[number])
    return number


def _clusters(found: Iterator[tuple[int, int, Match]]) -> list[dict[int, dict[int, Match]]]:
    """Each cluster as a tree: by video, its neighbours and how they differ from it."""
    beside: dict[int, dict[int, Match]] = defaultdict(dict)
    for first, second, how in found:
        beside[first][second] = how
        beside[second][first] = how.reversed()
    clusters, seen = [], set[int]()
    for start in beside:
        if start not in seen:
            members = [number for number, _, _ in _from(start, beside)]
            seen.update(members)
            clusters.append({number: beside[number] for number in members})
    return clusters


def _from(start: int, beside: Mapping[int, Mapping[int, Match]]) -> Iterator[tuple[int, int | None, Match | None]]:
    """The videos of a tree, nearest first, each with the neighbour by which it was reached and how it differs from that."""
    waiting: deque[tuple[int, int | None, Match | None]] = deque([(start, None, None)])
    while waiting:
        number, parent, how = waiting.popleft()
        yield number, parent, how
        waiting.extend((other, number, found) for other, found in sorted(beside[number].items()) if other != parent)


def _posted(video: Mapping[str, Any], key: str) -> tuple[bool, float, str]:
    posted = video.get("uploaded_at")
    return posted is None, 0.0 if posted is None else posted.timestamp(), key


def _kind(found: Match) -> str:
    said: Sequence[tuple[bool, str]] = (
        (found.is_mirrored, "mirrored"),
        (found.crop is not None, "cropped"),
        (found.speed > 1 + _FASTER, "faster"),
        (found.speed < 1 - _FASTER, "slower"),
        (abs(found.offset_s) >= _LATER_S, "shifted"),
    )
    return "+".join(word for is_so, word in said if is_so) or "copy"
