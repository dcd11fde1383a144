"""How fast a run goes, and how long it still takes: from the seconds of video that were analysed, and when."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from itertools import pairwise

_WINDOW_S = 600.0
"""What is measured over: long enough for clips that cost more than others, short enough to notice that cells have come or gone."""

_LEAST_S = 10.0
"""Shorter times give no speed: the first rows to come back are the short ones (sound, thumbnails)."""


@dataclass(frozen=True)
class _Sample:
    at_s: float
    analysed_s: float
    frames: int


class Pace:
    """Measures at each advance. Between two advances the time that is left runs down.

    Work comes back in rows, and a row may take minutes. While the next row is no later than the longest wait so far, nothing has become
    slower, so the speed stays as measured. From then on the lateness counts as time in which nothing was done.
    """

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque()

    @property
    def begun(self) -> bool:
        """Whether the clock runs."""
        return bool(self._samples)

    def begin(self, now_s: float, analysed_s: float = 0.0, frames: int = 0) -> None:
        """Start the clock: the models can work from now on. Called again, it forgets what was measured before."""
        self._samples = deque([_Sample(now_s, analysed_s, frames)])

    def advance(self, now_s: float, analysed_s: float, frames: int) -> None:
        """Note how much is analysed by now. Does nothing where it is as much as before.

        Args:
            now_s: by the clock of `begin`.
            analysed_s: seconds of video, since the run began. Less than before where a video turned out to be broken after some of its
                rows: what was measured stays, as the models have worked for those seconds.
            frames: answered for since the run began.
        """
        last = self._samples[-1]
        if analysed_s < last.analysed_s:
            lower_s = last.analysed_s - analysed_s
            self._samples = deque(replace(sample, analysed_s=sample.analysed_s - lower_s) for sample in self._samples)
        elif analysed_s > last.analysed_s:
            self._samples.append(_Sample(now_s, analysed_s, frames))
            while len(self._samples) > 2 and self._samples[1].at_s <= now_s - _WINDOW_S:  # noqa: PLR2004 -- both ends of the window
                self._samples.popleft()

    def left_s(self, now_s: float, video_s: float) -> float | None:
        """How long `video_s` more seconds of video take; None while too little has come back."""
        took_s = self._took_s(now_s)
        if not video_s:
            return 0.0
        if took_s is None:
            return None
        per_video_s = took_s / (self._samples[-1].analysed_s - self._samples[0].analysed_s)
        return max(video_s * per_video_s - min(now_s - self._samples[-1].at_s, self._patience_s), 0.0)

    def frames_per_s(self, now_s: float) -> float | None:
        """Frames answered for in a second; None while too little has come back."""
        took_s = self._took_s(now_s)
        return None if took_s is None else (self._samples[-1].frames - self._samples[0].frames) / took_s

    @property
    def _patience_s(self) -> float:
        """The longest wait for an advance."""
        return max(after.at_s - before.at_s for before, after in pairwise(self._samples))

    def _took_s(self, now_s: float) -> float | None:
        """Time from the first to the last sample, and the lateness of the next."""
        if len(self._samples) < 2:  # noqa: PLR2004 -- a speed needs two
            return None
        first_s, last_s = self._samples[0].at_s, self._samples[-1].at_s
        took_s = last_s - first_s + max(now_s - last_s - self._patience_s, 0.0)
        return took_s if took_s >= _LEAST_S else None
