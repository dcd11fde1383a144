"""Which faces talk: their mouths move while there is speech."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from statistics import pstdev
from typing import TYPE_CHECKING

from rumiai_ray.insights.video import FACES, SPEECH, AnalysedVideo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rumiai_ray.insights.tracks import Tracks
    from rumiai_ray.schema.table import Row

JAW_OPEN = "jaw_open"
"""MediaPipe's blendshape `jawOpen`, 0 to 1, of a row of `faces`."""
_AROUND_S = 1.0
"""Speech opens a mouth several times a second: this long before and after a frame tells, at five frames a second, in ten frames."""
_LEAST = 4
"""Sightings without which a movement is not told from a single smile or yawn."""
_MOVES = 0.05
"""Standard deviation of `jawOpen` from which on a mouth moves.

Measured at five frames a second, in the first four seconds of nine clips of one person each: 0.056 to 0.113 in all 60 sightings of four
speakers (GRID), at most 0.022 in the 67 of five silent people (three sign, two smile).
"""


def talking_faces(video: AnalysedVideo, tracks: Tracks) -> Mapping[int, set[int]]:
    """`face_index` of the faces that talk, by `frame_index`.

    A face talks in a frame during a segment of speech if the opening of its jaw varies among the sightings of its track around the frame,
    within the segment and the shot. Without speech, a track or blendshapes, no face talks.
    """
    if not (video.ran(FACES) and video.ran(SPEECH)):
        return {}
    segments = [(row["start_s"], row["end_s"]) for row in video.rows("speech_segments", "start_s", "segment_index")]
    rows = [row for row in video.rows("faces", "time_s", "face_index") if row.get(JAW_OPEN) is not None]
    sightings: defaultdict[tuple[int, int | None, int], list[Row]] = defaultdict(list)
    for row, track in zip(rows, tracks.column("faces", rows), strict=True):
        if track is None:
            continue
        for number, (start_s, end_s) in enumerate(segments):
            if start_s <= row["time_s"] < end_s:
                sightings[track, video.shot_at(row["time_s"]), number].append(row)
    found: defaultdict[int, set[int]] = defaultdict(set)
    for together in sightings.values():
        times_s = [row["time_s"] for row in together]
        for row in together:
            first, end = bisect_left(times_s, row["time_s"] - _AROUND_S), bisect_right(times_s, row["time_s"] + _AROUND_S)
            if end - first >= _LEAST and pstdev(near[JAW_OPEN] for near in together[first:end]) >= _MOVES:
                found[row["frame_index"]].add(row["face_index"])
    return found
