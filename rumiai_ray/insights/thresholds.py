"""What the insights are cut at. Values and their sources stand with the settings of the configuration, `[insights]`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """One field for each setting of `[insights]`."""

    track_margin: float
    """Margin around a box, as a share of its sides, before boxes are compared."""
    track_iou: float
    """Overlap (intersection over union) of boxes with their margins, from which on they may be one thing."""
    track_gap_s: float
    """Longest time inside a track without a box, beyond the usual distance of frames."""
    text_confidence: float
    """Readings below this confidence begin no span."""
    text_similarity: float
    """Share of letters two readings must agree in to be one text."""
    text_move: float
    """Farthest a text moves between sightings, as a share of the picture's diagonal."""
    text_gap_s: float
    """Longest time without a sighting inside a span."""
    caption_overlap: float
    """Share of a text's words that are spoken meanwhile, from which on it is a caption."""
    caption_slack_s: float
    """Time by which speech may come before or after its caption."""
    call_to_action: tuple[str, ...]
    """Words and phrases."""
    single_confidence: float
    """Confidence from which on something that is seen in one frame only counts."""
    single_area_share: float
    """Share of the picture from which on a box that is seen in one frame only counts."""
    single_text_confidence: float
    """Confidence from which on a text that is read in one frame only counts."""
    subject_share: float
    """Share of the frames with anybody in them in which so many people must be seen."""
    steady_gaze_deg: float
    """Turn of head and eyes between two frames below which gaze is steady."""
    hook_s: float
    closing_s: float
    shortest_window_s: float
    """Shortest part of the middle."""
