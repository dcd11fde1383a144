"""When each decoded frame is presented, also where the file does not say or says nonsense."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

    from av.video.frame import VideoFrame

_GONE_BACK_FOR_GOOD = 3
"""Frames in a row without a usable timestamp after which it was no slip of a single one."""


class PresentationClock:
    """Gives each frame its own timestamp, strictly increasing, in seconds from the first presented frame.

    A frame without a timestamp, or with one that does not lie after its predecessor's, is placed one frame period after it and
    counted in `repaired`. Where timestamps have gone back for good (two recordings in one file), the later ones are moved.

    Args:
        time_base: seconds per tick of the video stream; frames that a decoder held back to the end come without one.
        period_s: time from one frame to the next, by the file's frame rate.
    """

    def __init__(self, time_base: Fraction, period_s: float) -> None:
        self._time_base = time_base
        self._period_s = period_s
        self._uses_dts = False
        self._last_s: float | None = None
        self._last_duration_s: float | None = None
        self.origin_s = 0.0
        """The file's own timestamp of the first presented frame."""
        self.repaired = 0
        self._shift_s = 0.0
        self._in_a_row = 0

    def time_of(self, frame: VideoFrame) -> float:
        """Presentation time of the next frame in order of presentation."""
        if self._last_s is None:
            # AVI stores decoding times only; with them, all or nothing, lest the two kinds be mixed.
            self._uses_dts = frame.pts is None and frame.dts is not None
        stamp = frame.dts if self._uses_dts else frame.pts
        raw_s = None if stamp is None else float(stamp * self._time_base)
        if self._last_s is None:
            self.origin_s = raw_s or 0.0
            self._shift_s = -self.origin_s
            self.repaired += raw_s is None
            time_s = 0.0
        elif raw_s is None or raw_s + self._shift_s <= self._last_s:
            time_s = self._last_s + self._period_s
            self.repaired += 1
            self._in_a_row += 1
            if raw_s is not None and self._in_a_row == _GONE_BACK_FOR_GOOD:
                self._shift_s = time_s - raw_s
        else:
            time_s = raw_s + self._shift_s
            self._in_a_row = 0
        if frame.duration:
            self._last_duration_s = float(frame.duration * self._time_base)
        else:
            self._last_duration_s = None if self._last_s is None else time_s - self._last_s
        self._last_s = time_s
        return time_s

    @property
    def end_s(self) -> float:
        """When the last frame ends: by its own duration, else that of the gap before it, else the frame period."""
        return (self._last_s or 0.0) + (self._last_duration_s or self._period_s)

    def notes(self) -> list[str]:
        """What was wrong with the timestamps and was made good, in words."""
        return [f"{self.repaired} frames without a usable timestamp, placed by the frame rate"] if self.repaired else []
