"""Tracks: one thing is one track, in one shot, whatever order its boxes come in."""

from __future__ import annotations

import random
from typing import Any

from rumiai_ray.insights.tracks import link
from synthetic_video import THRESHOLDS, derived, face, shots, thing, video


def _tracks(made: Any, **changes: Any) -> list[dict[str, Any]]:
    return derived(made, **changes)["tracks"]


def test_a_thing_that_stays_is_one_track_with_its_figures() -> None:
    (row,) = _tracks(video(objects=[thing(frame, "dog", side=20.0) for frame in range(3, 13)]))
    assert row == {
        "track_id": 0, "of": "objects", "label": "dog", "shot_index": 0, "first_seen_s": 0.6, "last_seen_s": 2.4,
        "seen_until_s": 2.6, "sightings": 10,
        "mean_confidence": row["mean_confidence"], "mean_area_share": row["mean_area_share"],
    }  # fmt: skip
    assert abs(row["mean_confidence"] - 0.9) < 1e-6
    assert abs(row["mean_area_share"] - 0.04) < 1e-6


def test_a_thing_that_walks_across_the_picture_is_one_track() -> None:
    (row,) = _tracks(video(objects=[thing(frame, x1=4.0 * frame, side=15.0) for frame in range(20)]))
    assert row["sightings"] == 20


def test_two_things_side_by_side_are_two_tracks_that_do_not_swap() -> None:
    boxes = [thing(frame, index=index, x1=x1, side=20.0) for frame in range(20) for index, x1 in ((0, 5.0), (1, 70.0))]
    found = link(video(objects=boxes), THRESHOLDS)
    assert len(found.rows) == 2
    assert {found.track_of["objects", frame, 0] for frame in range(20)} == {0}
    assert {found.track_of["objects", frame, 1] for frame in range(20)} == {1}


def test_a_person_and_a_dog_in_one_place_are_not_one_thing() -> None:
    boxes = [thing(frame, "person" if frame < 10 else "dog") for frame in range(20)]
    assert [row["label"] for row in _tracks(video(objects=boxes))] == ["person", "dog"]


def test_a_cut_breaks_a_track() -> None:
    boxes = [thing(frame) for frame in range(20)]
    rows = _tracks(video(objects=boxes, shots=shots(2.0, 4.0)))
    assert [(row["shot_index"], row["first_seen_s"], row["last_seen_s"]) for row in rows] == [(0, 0.0, 1.8), (1, 2.0, 3.8)]


def test_where_shots_are_not_known_a_track_goes_on_and_names_none() -> None:
    (row,) = _tracks(video(objects=[thing(frame) for frame in range(20)], without={"shots": "failed"}, shots=[]))
    assert (row["shot_index"], row["sightings"]) == (None, 20)


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    assert len(_tracks(video(objects=[thing(frame) for frame in range(20) if not 5 <= frame < 9]))) == 1
    assert len(_tracks(video(objects=[thing(frame) for frame in range(20) if not 5 <= frame < 13]))) == 2


def test_what_is_seen_once_has_no_track() -> None:
    found = link(video(objects=[thing(4)]), THRESHOLDS)
    assert (found.rows, found.column("objects", [thing(4)])) == ([], [None])


def test_boxes_without_area_have_no_track_and_do_no_harm() -> None:
    boxes = [thing(frame, index=index, side=0.0) for frame in range(10) for index in range(2)]
    assert [row["sightings"] for row in _tracks(video(objects=[*boxes, *(thing(frame, index=2) for frame in range(10))]))] == [10]


def test_faces_are_linked_too_and_have_no_confidence() -> None:
    made = video(faces=[face(frame) for frame in range(10)], objects=[thing(frame) for frame in range(10)])
    rows = _tracks(made)
    assert [(row["of"], row["label"]) for row in rows] == [("faces", "face"), ("objects", "person")]
    assert rows[0]["mean_confidence"] is None


def test_tracks_bridge_frames_that_are_a_second_apart() -> None:
    frames = tuple(range(0, 50, 5))
    (row,) = _tracks(video(10.0, seen={"yolo": frames}, objects=[thing(frame) for frame in frames]))
    assert row["sightings"] == 10


def test_the_order_of_the_boxes_does_not_matter() -> None:
    boxes = [thing(frame, index=index, x1=x1 + frame, side=20.0) for frame in range(20) for index, x1 in ((0, 5.0), (1, 30.0), (2, 60.0))]
    shuffled = random.Random(1).sample(boxes, len(boxes))
    assert _tracks(video(objects=boxes)) == _tracks(video(objects=shuffled))


def test_no_video_leaves_anything_in_the_tracker_for_the_next() -> None:
    made = video(objects=[thing(frame) for frame in range(20)])
    assert _tracks(made) == _tracks(made)
