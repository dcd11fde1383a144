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
_GRID_SLACK_S = 1e-3
"""Containers round timestamps to milliseconds: a frame at 0.667 s is on at the grid time of 2/3 s."""

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
    """When it is first shown, seconds from the first presented frame."""
    shown_until_s: float
    """When the next presented frame takes its place; for the last one, when the video ends."""
    frame: T


class GridSampler(Generic[T]):
    """Picks, from frames pushed in order of presentation, those that are on screen at the grid times k / `fps`.

    How long a frame is shown is known only once its successor is seen, so one frame is held back at any time. Each frame is
    picked at most once, however many grid times it stays on. Beside those, the first frame after a picture that was held for longer
    than a grid step is picked, and the last frame where the last picked one is more than a grid step before it: in slide shows and
    screen recordings each change of the picture counts, and there are few.

    Which pictures are picked does not depend on how often a file repeats each of them, but for the frame after a held one.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._held: tuple[int, float, T] | None = None
        self._follows_a_held_one = False
        self._last_out_s = -math.inf

    def push(self, source_frame: int, time_s: float, frame: T) -> list[Sample[T]]:
        """Take the next presented frame; return the frame before it, or nothing, as it is now known to be picked or not.

        Args:
            source_frame: its index among the presented frames.
            time_s: its own timestamp, above that of the frame before.
            frame: the picture, kept until its fate is known.
        """
        picked = self._decide(time_s, at_the_end=False)
        self._follows_a_held_one = self._held is not None and time_s - self._held[1] > 1 / self._fps + _GRID_SLACK_S
        self._held = source_frame, time_s, frame
        return picked

    def finish(self, end_s: float) -> list[Sample[T]]:
        """The video is over; return the last presented frame if it is picked.

        Args:
            end_s: when the last presented frame ends.
        """
        return self._decide(end_s, at_the_end=True)

    def _decide(self, until_s: float, *, at_the_end: bool) -> list[Sample[T]]:
        if self._held is None:
            return []
        source_frame, time_s, frame = self._held
        first_grid_s = math.ceil((time_s - _GRID_SLACK_S) * self._fps) / self._fps
        is_on_the_grid = first_grid_s < until_s - _GRID_SLACK_S or self._last_out_s < 0
        left_behind = at_the_end and time_s - self._last_out_s > 1 / self._fps + _EPSILON_S
        if not (is_on_the_grid or left_behind or self._follows_a_held_one):
            return []
        self._last_out_s = time_s
        return [Sample(source_frame, time_s, until_s, frame)]


def subset(
    time_s: NDArray[np.float64],
    shown_until_s: NDArray[np.float64],
    duration_s: float,
    *,
    fps: float | None,
    max_frames: int | None,
) -> NDArray[np.intp]:
    """Positions of a thinner selection of sampled frames, evenly spread over the whole video and never a prefix of it.

    Args:
        time_s: (n,) when each sampled frame is first shown, ascending.
        shown_until_s: (n,) until when it is shown.
        duration_s: of the video.
        fps: at most this many frames per second of video, at least one in all; None for every sampled frame.
        max_frames: at most this many in all; None for no limit.

    Returns:
        (m,) strictly increasing positions into `time_s`. The first and last sampled frame are among them where m > 1; a single
        one is on the screen in the middle of the video. Of the frames in between, those are taken that are on the screen at evenly
        spread times, or are nearest to that: a held frame counts for all of the time that it is shown.
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
    targets_s = np.array([duration_s / 2]) if wanted == 1 else np.linspace(time_s[0], time_s[-1], wanted)
    right = np.clip(np.searchsorted(time_s, targets_s + _EPSILON_S, "right"), 1, count - 1)
    past_s, ahead_s = np.maximum(0, targets_s - shown_until_s[right - 1]), np.maximum(0, time_s[right] - targets_s)
    nearest = np.where(past_s < ahead_s, right - 1, right)
    return np.unique(nearest).astype(np.intp)
