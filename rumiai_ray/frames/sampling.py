"""Which frames of a video are kept: a time grid, never a count of frames.

Counting frames (every n-th) lets rounding drift: at 29.97 fps and 5 samples a second it stops a second early. On a time grid
the last second of a video is as well covered as the first.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from rumiai_ray.errors import ConfigError
from rumiai_ray.frames.decoder_version import decoder_digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GRID_BY_DURATION = ((30.0, 5.0), (60.0, 3.0), (120.0, 2.0))
"""(below this many seconds, frames per second); see `grid_fps`."""
_LONG_VIDEO_FPS = 1.0
_EPSILON_S = 1e-6
"""Slack for times that came through a division: a frame at 0.19999999 s is at 0.2 s."""

T = TypeVar("T")


def grid_fps(duration_s: float) -> float:
    """Frames per second kept of a video of `duration_s` seconds: 5 below 30 s, 3 below 60 s, 2 below 120 s, else 1."""
    return next((fps for limit_s, fps in _GRID_BY_DURATION if duration_s < limit_s), _LONG_VIDEO_FPS)


@dataclass(frozen=True)
class SamplingSpec:
    """What is kept of a video. Two specs that differ in anything have different frame-store entries."""

    fps: float | None = None
    """Sampled frames per second; None for the policy of `grid_fps`."""
    long_side_px: int = 1280
    """Longest side of a stored frame; smaller videos are stored at their own size, never enlarged."""
    jpeg_quality: int = 95
    """1 to 100."""
    thumbnail_long_side_px: int = 64
    """Longest side of the thumbnails kept of every frame, sampled or not."""
    thumbnail_quality: int = 90
    """1 to 100."""

    def __post_init__(self) -> None:
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise ConfigError("the sampling rate must be above 0", f"fps={self.fps}", "leave it out for the policy by duration")
        for name in ("long_side_px", "thumbnail_long_side_px"):
            if getattr(self, name) < 1:
                raise ConfigError("a picture has at least 1 pixel", f"{name}={getattr(self, name)}")
        for name in ("jpeg_quality", "thumbnail_quality"):
            if not 1 <= getattr(self, name) <= 100:  # noqa: PLR2004 -- JPEG's own scale
                raise ConfigError("JPEG quality goes from 1 to 100", f"{name}={getattr(self, name)}")

    def fps_for(self, duration_s: float) -> float:
        """Sampled frames per second for a video of `duration_s` seconds."""
        return grid_fps(duration_s) if self.fps is None else self.fps

    def digest(self) -> str:
        """SHA-256 (hex) of everything that decides what is stored: this spec and the decoder's code and libraries."""
        text = json.dumps({"decoder": decoder_digest(), **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Sample(Generic[T]):
    """One frame the grid picked."""

    source_frame: int
    """Index among the presented frames."""
    time_s: float
    """Seconds from the first presented frame."""
    frame: T


class GridSampler(Generic[T]):
    """Picks, from frames pushed in order of presentation, those nearest to the grid times k / `fps`.

    A frame is known to be the nearest only once its successor is seen, so one frame is held back at any time. Each frame is
    picked at most once; of two equally near ones the earlier.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._next = 0
        """The first grid number not yet decided."""
        self._held: Sample[T] | None = None
        self._held_is_out = False
        self._last_out_s = -math.inf

    def push(self, source_frame: int, time_s: float, frame: T) -> list[Sample[T]]:
        """Take the next presented frame; return the frames (none, one or two, in order) that are now known to be picked.

        Args:
            source_frame: its index among the presented frames.
            time_s: its own timestamp, above that of the frame before.
            frame: the picture, kept until its fate is known.
        """
        new = Sample(source_frame, time_s, frame)
        picked: list[Sample[T]] = []
        first_of_new = self._next
        if self._held is not None:
            middle = self._grid_number_at((self._held.time_s + time_s) / 2)
            if self._next <= middle:
                picked += self._emit_held()
                first_of_new = middle + 1
        last_of_new = self._grid_number_at(time_s)
        self._held, self._held_is_out = new, False
        if first_of_new <= last_of_new:
            picked += self._emit_held()
        self._next = max(self._next, last_of_new + 1)
        return picked

    def finish(self, end_s: float) -> list[Sample[T]]:
        """The video is over; return the last presented frame if it is still needed.

        It is needed where a grid time falls into the time it is shown, or where the last picked frame is more than one
        grid step before it.

        Args:
            end_s: when the last presented frame ends.
        """
        if self._held is None:
            return []
        shown_at_a_grid_time = self._next / self._fps < end_s - _EPSILON_S
        left_behind = self._held.time_s - self._last_out_s > 1 / self._fps + _EPSILON_S
        return self._emit_held() if shown_at_a_grid_time or left_behind else []

    def _emit_held(self) -> list[Sample[T]]:
        if self._held is None or self._held_is_out:
            return []
        self._held_is_out = True
        self._last_out_s = self._held.time_s
        return [self._held]

    def _grid_number_at(self, time_s: float) -> int:
        return math.floor((time_s + _EPSILON_S) * self._fps)


def subset(
    time_s: NDArray[np.float64],
    duration_s: float,
    *,
    fps: float | None,
    max_frames: int | None,
) -> NDArray[np.intp]:
    """Positions of a thinner selection of sampled frames, evenly spread over the whole video and never a prefix of it.

    Args:
        time_s: (n,) times of the sampled frames, ascending.
        duration_s: of the video.
        fps: at most this many frames per second of video, at least one in all; None for every sampled frame.
        max_frames: at most this many in all; None for no limit.

    Returns:
        (m,) strictly increasing positions into `time_s`. The first and last sampled frame are among them where m > 1; a single
        one is the middle one.
    """
    count = len(time_s)
    wanted = count
    if fps is not None:
        wanted = min(wanted, max(1, math.ceil(duration_s * fps - _EPSILON_S)))
    if max_frames is not None:
        wanted = min(wanted, max_frames)
    if wanted >= count:
        return np.arange(count, dtype=np.intp)
    if wanted <= 0:
        return np.empty(0, dtype=np.intp)
    if wanted == 1:
        return np.array([count // 2], dtype=np.intp)
    targets_s = np.linspace(time_s[0], time_s[-1], wanted)
    right = np.clip(np.searchsorted(time_s, targets_s), 1, count - 1)
    nearest = np.where(targets_s - time_s[right - 1] <= time_s[right] - targets_s, right - 1, right)
    return np.unique(nearest).astype(np.intp)
