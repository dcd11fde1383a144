"""Near-duplicates: reposts of a clip are one cluster, other clips are none, and what has no pictures to tell is left alone."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from report_run import write_run
from reposts import moving_scene, part, plain_clip, repost, rows_of
from rumiai_ray import open_corpus
from rumiai_ray.corpus.duplicates.candidates import CROP, MIRRORED, WHOLE, candidate_pairs
from rumiai_ray.corpus.duplicates.clusters import COLUMNS, near_duplicates
from rumiai_ray.errors import ConfigError
from rumiai_ray.schema.picture_hashes import PICTURE_HASHES

if TYPE_CHECKING:
    from pathlib import Path

    from report_run import Run
    from reposts import Shown
    from rumiai_ray.corpus.reader import Corpus
    from rumiai_ray.schema.table import Row

POSTED = datetime(2026, 11, 2, tzinfo=UTC)


def _corpus(tmp_path: Path, clips: dict[str, Shown]) -> Corpus:
    return open_corpus([write_run(tmp_path, {name: rows_of(name, shown) for name, shown in clips.items()}).store.uri()])


def _clusters(corpus: Corpus) -> list[set[str]]:
    found: dict[str, set[str]] = {}
    for row in corpus.near_duplicates().to_pylist():
        found.setdefault(row["cluster"], set()).add(row["entry_id"])
    return sorted(found.values(), key=sorted)


def _pairs(clusters: list[set[str]]) -> set[tuple[str, str]]:
    return {pair for cluster in clusters for pair in combinations(sorted(cluster), 2)}


def test_reposts_of_a_clip_are_a_cluster_that_says_how_each_differs(tmp_path: Path) -> None:
    clips = {"clip": moving_scene(1), "other": moving_scene(2)}
    clips |= {name: repost(clips["clip"], name) for name in ("mirrored", "faster", "crop 10 %", "start trimmed", "smaller")}
    corpus = _corpus(tmp_path, clips)
    assert _clusters(corpus) == [clips.keys() - {"other"}]
    rows = {row["entry_id"]: row for row in corpus.near_duplicates().to_pylist()}
    (first,) = (row for row in rows.values() if row["kind"] == "first")
    assert first["like"] is first["similarity"] is first["speed"] is None
    assert {row["cluster"] for row in rows.values()} == {first["video_key"]}
    assert all(0.5 <= row["similarity"] <= 1 for row in rows.values() if row is not first)
    assert all(row["like"] in {other["video_key"] for other in rows.values()} for row in rows.values() if row is not first)


@pytest.mark.parametrize(
    ("name", "kind", "speed", "offset_s"),
    [
        ("smaller", "copy", 1.0, 0.0),
        ("mirrored", "mirrored", 1.0, 0.0),
        ("crop 10 %", "cropped", 1.0, 0.0),
        ("faster", "faster", 1.1, 0.0),
        ("slower", "slower", 0.9, 0.0),
        ("start trimmed", "shifted", 1.0, -0.8),
    ],
)
def test_how_a_repost_differs_is_told_from_the_one_that_was_posted_first(
    tmp_path: Path, name: str, kind: str, speed: float, offset_s: float
) -> None:
    clip = moving_scene(3)
    entries = {"clip": rows_of("clip", clip, uploaded_at=POSTED), "repost": rows_of("repost", repost(clip, name))}
    first, second = open_corpus([write_run(tmp_path, entries).store.uri()]).near_duplicates().to_pylist()
    assert (first["entry_id"], first["kind"], second["entry_id"]) == ("clip", "first", "repost")
    assert kind in second["kind"].split("+")
    assert second["speed"] == pytest.approx(speed, abs=0.05)
    assert second["offset_s"] == pytest.approx(offset_s, abs=0.3)
    assert second["like"] == second["cluster"] == first["video_key"]


def test_plain_clips_are_near_duplicates_of_nothing(tmp_path: Path) -> None:
    clips = {f"grey {grey}": plain_clip(grey) for grey in (0, 1, 90, 255)}
    clips |= {f"again {grey}": repost(plain_clip(grey), "smaller") for grey in (0, 90)}
    assert _clusters(_corpus(tmp_path, clips)) == []


def test_clips_that_share_less_than_half_of_their_time_are_no_near_duplicates(tmp_path: Path) -> None:
    clip, other = moving_scene(4, 6.0), moving_scene(5, 6.0)
    intro = part(clip, 0.0, 2.0)
    joined = type(clip)([*intro.pictures, *other.pictures], [*intro.time_s, *(time_s + 2 for time_s in other.time_s)], 8.0)
    assert _clusters(_corpus(tmp_path, {"clip": clip, "joined": joined})) == []
    assert _clusters(_corpus(tmp_path / "2", {"other": other, "joined": joined})) == [{"other", "joined"}]


def test_sql_that_names_the_table_gets_the_clusters_and_a_comparison_counts_each_once(tmp_path: Path) -> None:
    clip = moving_scene(6)
    figures = {"like_count": 5}
    entries = {
        "clip": rows_of("clip", clip, **figures),
        "mirrored": rows_of("mirrored", repost(clip, "mirrored"), uploaded_at=POSTED, **figures),
        **{f"other {seed}": rows_of(f"other {seed}", moving_scene(seed, 2.0), **figures) for seed in (7, 8)},
    }
    corpus = open_corpus([write_run(tmp_path, entries).store.uri()])
    sql = "SELECT count(*) AS n FROM videos WHERE video_key NOT IN (SELECT video_key FROM near_duplicates WHERE kind <> 'first')"
    assert corpus.query(sql).to_pylist() == [{"n": 3}]
    assert corpus.query("SELECT entry_id FROM near_duplicates WHERE kind = 'first'").to_pylist() == [{"entry_id": "mirrored"}], "posted"
    assert "near_duplicates" not in corpus.tables(), "a table that takes minutes is made where it is asked for by name"
    found = corpus.compare(where="true")
    assert found.n == 3
    assert "1 video is left out: of near-duplicates, the one that was posted first counts." in found.notes
    assert corpus.compare(where="true", cluster="video_key").n == 4


def test_a_comparison_says_of_how_many_videos_near_duplicates_are_not_known(tmp_path: Path) -> None:
    entries: dict[str, dict[str, list[Row]]] = {"hashed": rows_of("hashed", moving_scene(1, 2.0)), "bare": {}}
    corpus = open_corpus([write_run(tmp_path, entries).store.uri()])
    assert "1 video has no picture hashes: near-duplicates of such are known by their bytes alone." in corpus.compare(where="true").notes
    assert corpus.near_duplicates().num_rows == 0


def test_a_corpus_without_hashes_has_no_near_duplicates_to_tell(tmp_path: Path) -> None:
    corpus = open_corpus([_run_without_hashes(tmp_path).store.uri()])
    with pytest.raises(ConfigError, match="no run has picture hashes"):
        corpus.near_duplicates()
    assert "Near-duplicates are known by their bytes alone: no run has `picture_hashes`." in corpus.compare(where="true").notes


def _run_without_hashes(out: Path) -> Run:
    return write_run(out, {"clip": {}}, tables=("videos", "analyses", "windows", "dead_letter"))


def test_an_empty_table_of_hashes_is_no_error() -> None:
    def ask(sql: str) -> pa.Table:
        names = {"picture_hashes": PICTURE_HASHES.schema.names}.get(sql.rsplit(" ", 1)[-1])
        if names is not None:
            return PICTURE_HASHES.schema.empty_table().select(["video_key", "time_s", "view", "hash"])
        return pa.table({name: pa.array([], pa.string()) for name in ("video_key", "entry_id", "input", "duration_s", "uploaded_at")})

    assert near_duplicates(ask).equals(COLUMNS.empty_table())


def test_neighbours_among_many_hashes_are_found_and_two_crops_are_never_compared() -> None:
    rng = np.random.default_rng(1)
    hashes = rng.integers(0, 256, (30_000, 32), np.uint8)
    video = np.arange(30_000) // 3
    planted = hashes[:300] ^ np.packbits(rng.random((300, 256)) < 0.07, axis=1)
    both, videos = np.concatenate([hashes, planted]), np.concatenate([video, 10_000 + np.arange(300) // 3])
    wanted = {(number, 10_000 + number) for number in range(100)}
    kinds = np.full(len(both), WHOLE, np.int8)
    found = {(int(one), int(other)) for one, other in candidate_pairs(both, videos, kinds)}
    assert len(found & wanted) >= 97
    assert len(found - wanted) == 0
    for kind in (MIRRORED, CROP):
        assert len(candidate_pairs(both, videos, np.full(len(both), kind, np.int8))) == 0
    kinds[30_000:] = CROP
    assert len({(int(one), int(other)) for one, other in candidate_pairs(both, videos, kinds)} & wanted) >= 97


def test_many_copies_of_one_picture_are_one_cluster(tmp_path: Path) -> None:
    still = part(moving_scene(9), 0.0, 0.05)
    rows = rows_of("0", still)
    names = [str(number) for number in range(60)]
    entries = {name: {**rows, "videos": rows_of(name, plain_clip(0, 0.2))["videos"]} for name in names}
    assert _clusters(open_corpus([write_run(tmp_path, entries).store.uri()])) == [set(names)]
