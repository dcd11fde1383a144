"""All insight tables of one video, from its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rumiai_ray.insights import framing
from rumiai_ray.insights.evidence import Evidence
from rumiai_ray.insights.people import frames_of
from rumiai_ray.insights.stretch import Derived
from rumiai_ray.insights.text_spans import grow
from rumiai_ray.insights.timeline import timeline
from rumiai_ray.insights.tracks import Tracks, link
from rumiai_ray.insights.windows import windows
from rumiai_ray.schema.framing import PERSON_FRAMING, PERSON_FRAMING_SECONDS
from rumiai_ray.schema.text_spans import TEXT_SPANS
from rumiai_ray.schema.timeline import TIMELINE
from rumiai_ray.schema.tracks import TRACKS
from rumiai_ray.schema.windows import WINDOWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from rumiai_ray.insights.thresholds import Thresholds
    from rumiai_ray.insights.video import AnalysedVideo


@dataclass(frozen=True)
class VideoInsights:
    """What was derived."""

    tables: Mapping[str, pa.Table]
    """Rows of each insight table, by name, each of its `row_schema`."""
    tracks: Tracks


def derive(video: AnalysedVideo, thresholds: Thresholds) -> VideoInsights:
    """Link, grow, measure. The same for any order of the rows, and however the video was cut into batches."""
    tracks = link(video, thresholds)
    evidence = Evidence(video, tracks, thresholds)
    frames = frames_of(video, evidence)
    seconds = framing.per_second(video, frames)
    texts = grow(video, thresholds)
    derived = Derived(video, frames, evidence, texts.parts)
    rows = {
        TRACKS: tracks.rows,
        TEXT_SPANS: texts.spans,
        PERSON_FRAMING: [framing.whole_video(video, frames, seconds, thresholds)],
        PERSON_FRAMING_SECONDS: seconds,
        WINDOWS: windows(derived, thresholds),
        TIMELINE: timeline(derived, seconds),
    }
    return VideoInsights({table.name: table.rows(records) for table, records in rows.items()}, tracks)
