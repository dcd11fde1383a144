"""When each decoded frame is presented, also where the file does not say or says nonsense, and in which order.

Decoders give frames in order of presentation but for the first ones of a damaged stream; timestamps are right but for some. Each
corrects the other, over a bounded number of frames.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from rumiai_ray.shown import counted, often

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

REORDER_DEPTH = 16
"""Frames that H.264 and HEVC allow a decoder to hold back: no frame comes further from its place."""
_SAME_S = 1e-6
_STALE_SHARE = 1 / 3
"""Where fewer of the coming stamps than this lie ahead, time itself has gone back: another recording begins."""
_ENOUGH = 8
_CROWDED = 0.75
"""Two frames that are nearer to each other than this share of the cadence leave no place for one of them. A choice."""


class _Waiting(NamedTuple):
    stamp_s: float | None
    duration_s: float | None
    frame: object


class PresentationClock(Generic[T]):
    """Gives each frame its time, strictly increasing, in seconds from the first presented frame.

    Frames wait until `depth` more have come. A stamp that is missing, or that contradicts most of its neighbours, is replaced
    by a time between those of the frame's neighbours; the frame is counted in `repaired`. Where stamps have gone back for good (two
    recordings in one file), the later ones are moved.

    Args:
        period_s: time from one frame to the next, by the file's cadence.
        depth: frames held back.
    """

    def __init__(self, period_s: float, depth: int = REORDER_DEPTH) -> None:
        self._period_s = period_s
        self._depth = depth
        self._waiting: list[_Waiting] = []
        self._is_all = False
        self._released = 0
        self._shift_s = 0.0
        self._last_s: float | None = None
        self._last_duration_s: float | None = None
        self._since_repair = self._depth
        self._is_anchored = True
        self.origin_s = 0.0
        """The file's own timestamp of the first presented frame."""
        self.is_origin_stated = False
        """Whether `origin_s` is a timestamp of that frame's own; otherwise its neighbours' timestamps give it."""
        self.repaired = 0
        """Frames without a usable timestamp."""
        self.restarts = 0
        """How often time has gone back for good."""

    def push(self, stamp_s: float | None, duration_s: float | None, frame: T) -> list[tuple[float, T]]:
        """Take the next frame as the decoder gives it; returns the frame (or none) whose time is known now, with its time.

        Args:
            stamp_s: its timestamp in file time; None where it has none that counts.
            duration_s: how long it says to be shown; None where it does not say.
            frame: kept until its time is known.
        """
        self._waiting.append(_Waiting(stamp_s, duration_s, frame))
        return [self._release()] if len(self._waiting) > self._depth else []

    def restamp(self, stamps_s: Sequence[float | None]) -> None:
        """Replace the timestamps of the waiting frames.

        Args:
            stamps_s: of the frames pushed last, in the order in which they came, as many as wait or more.
        """
        if not self._waiting:
            return
        newest = stamps_s[-len(self._waiting) :]
        self._waiting = [waiting._replace(stamp_s=stamp_s) for waiting, stamp_s in zip(self._waiting, newest, strict=True)]

    def finish(self) -> list[tuple[float, T]]:
        """There are no more frames: all that still wait, in order."""
        self._is_all = True
        return [self._release() for _ in range(len(self._waiting))]

    @property
    def end_s(self) -> float:
        """When the last frame ends: by its own duration, else that of the gap before it, else the frame period."""
        return (self._last_s or 0.0) + (self._last_duration_s or self._period_s)

    def notes(self) -> list[str]:
        """What was wrong with the timestamps and was made good, in words."""
        found = []
        if self.repaired:
            found.append(f"{counted(self.repaired, 'frame')} without a usable timestamp, placed between their neighbours by the frame rate")
        if self.restarts:
            found.append(f"timestamps go back {often(self.restarts)} (several recordings in one file?); the later frames were moved")
        return found

    def _release(self) -> tuple[float, T]:
        if len(self._waiting) >= min(_ENOUGH, self._depth + 1) and self._has_gone_back():
            lowest = min(w.stamp_s for w in self._waiting if w.stamp_s is not None)
            self._shift_s = (self._last_s or 0.0) + self._period_s - lowest
            self.restarts += 1
        self._anchor()
        stamps = [None if w.stamp_s is None else w.stamp_s + self._shift_s for w in self._waiting]
        index, time_s, repaired = _next_of(stamps, self._last_s, self._period_s, released=self._released if self._is_all else None)
        chosen = self._waiting.pop(index)
        if self._last_s is None:
            self.origin_s = time_s - self._shift_s
            self.is_origin_stated = not repaired
            self._shift_s -= time_s
            time_s = 0.0
        self.repaired += repaired
        if chosen.duration_s:
            self._last_duration_s = chosen.duration_s
        else:
            # where frames nearby had no stamp of their own, a gap may be the place of one of them
            told = self._last_s is not None and not repaired and self._since_repair >= self._depth
            self._last_duration_s = time_s - (self._last_s or 0.0) if told else None
        self._last_s, self._since_repair = time_s, 0 if repaired else self._since_repair + 1
        self._released += 1
        return time_s, chosen.frame  # type: ignore[return-value] # what went in as T

    def _anchor(self) -> None:
        """Let the first stamp of a video that begins with many frames without one be that frame's place, counted by the frame rate."""
        first = next((place for place, waiting in enumerate(self._waiting) if waiting.stamp_s is not None), None)
        if first is None:
            self._is_anchored = self._is_anchored and self._last_s is not None
        elif not self._is_anchored:
            stamp_s = self._waiting[first].stamp_s or 0.0
            self._shift_s = (self._last_s or 0.0) + (first + 1) * self._period_s - stamp_s
            self.origin_s = -self._shift_s
            self._is_anchored = True

    def _has_gone_back(self) -> bool:
        if self._last_s is None:
            return False
        stamped = [w.stamp_s + self._shift_s for w in self._waiting if w.stamp_s is not None]
        is_ahead = [stamp_s > self._last_s + _SAME_S for stamp_s in stamped]
        return len(stamped) >= _ENOUGH // 2 and sum(is_ahead) < _STALE_SHARE * len(stamped) and not any(is_ahead[:3])


def _next_of(stamps: Sequence[float | None], last_s: float | None, period_s: float, *, released: int | None) -> tuple[int, float, bool]:
    """Which of the waiting frames comes next, when, and whether its own stamp did not count.

    Args:
        stamps: of the frames in the decoder's order.
        last_s: when the frame before them is shown; None before the first one.
        period_s: from one frame to the next.
        released: how many came before the waiting ones, where none comes after them; None where more may come.
    """
    usable = [None if s is None or (last_s is not None and s <= last_s + _SAME_S) else s for s in stamps]
    certain = [s for s in usable if s is not None]
    if len(certain) == len(usable) and all(b > a for a, b in pairwise(certain)):
        return 0, certain[0], False
    in_order = _longest_increasing(usable)
    trusted: list[float | None] = [stamp_s if index in in_order else None for index, stamp_s in enumerate(usable)]
    _trust_holes(usable, trusted, last_s, period_s)
    times = _filled(trusted, last_s, period_s, released=released)
    if last_s is None:
        _move_before(times, trusted, period_s)
    index = min(range(len(times)), key=lambda at: (times[at], at))
    time_s = times[index]
    if last_s is not None and time_s <= last_s + _SAME_S:
        later_s = min((t for t in times if t > last_s + _SAME_S), default=last_s + 2 * period_s)
        time_s = (last_s + later_s) / 2
    return index, time_s, trusted[index] is None


def _trust_holes(usable: Sequence[float | None], trusted: list[float | None], last_s: float | None, period_s: float) -> None:
    """Trust stamps of frames that came out of order, too.

    A frame out of the decoder's order fills the hole that it has left, or adjoins the others at either end. Damage falls where a frame is
    already, or far away.
    """
    known = sorted(stamp_s for stamp_s in trusted if stamp_s is not None)
    if not known:
        return
    if last_s is not None:
        known.insert(0, last_s)
    unstamped = sum(stamp_s is None for stamp_s in usable)
    twins = len(usable) - unstamped - len({stamp_s for stamp_s in usable if stamp_s is not None})
    left = {index: stamp_s for index, stamp_s in enumerate(usable) if stamp_s is not None and trusted[index] is None}
    inside = [index for index, stamp_s in left.items() if known[0] <= stamp_s <= known[-1]]
    below = sorted((index for index, stamp_s in left.items() if stamp_s < known[0]), key=lambda index: -left[index])
    above = sorted((index for index, stamp_s in left.items() if stamp_s > known[-1]), key=lambda index: left[index])
    for index in (*inside, *below, *above):
        stamp_s = left[index]
        # Of equal stamps one is right; ahead, where stamps that went back cannot be, the other frames are as good as without one.
        reach_s = period_s * (1.5 + unstamped + (twins if stamp_s > known[-1] else 0))
        at = bisect_left(known, stamp_s)
        nearest_s = min(abs(known[near] - stamp_s) for near in (at - 1, at) if 0 <= near < len(known))
        if nearest_s > period_s / 2 and (0 < at < len(known) or nearest_s <= reach_s):
            trusted[index] = stamp_s
            known.insert(at, stamp_s)


def _frames_before(trusted: Sequence[float | None], period_s: float) -> int:
    """How many frames come before the first that has a stamp, if the cadence is constant: the count with which frames stray least.

    The strays are squared and summed. Of 293 damaged beginnings that `tests/frames/test_presentation_clock.py` makes, the count is right
    for 291 and one off for two.
    """
    first_s = min((stamp_s for stamp_s in trusted if stamp_s is not None), default=0.0)
    places = {index: round((stamp_s - first_s) / period_s) for index, stamp_s in enumerate(trusted) if stamp_s is not None}
    unstamped = [index for index, stamp_s in enumerate(trusted) if stamp_s is None]
    if not places:
        return 0
    taken = set(places.values())
    free = [place for place in range(len(trusted) + REORDER_DEPTH) if place not in taken]

    def strayed(before: int) -> float:
        stamped = sum((index - before - place) ** 2 for index, place in places.items())
        return stamped + _strayed(unstamped, [*range(before), *(before + place for place in free)], before)

    return min(range(len(unstamped) + 1), key=strayed)


def _strayed(indices: Sequence[int], places: Sequence[int], filled: int) -> float:
    """How far frames are from places at the least, as a sum of squares, where both are in order and the first places are all filled."""
    least = [0.0, *(math.inf if filled else 0.0 for _ in places)]
    for index in indices:
        reached = [math.inf]
        for number, place in enumerate(places):
            passed = reached[-1] if number >= filled else math.inf
            reached.append(min(passed, least[number] + (index - place) ** 2))
        least = reached
    return least[-1]


def _move_before(times: list[float], trusted: Sequence[float | None], period_s: float) -> None:
    """Move frames without a stamp, which came after a later one, before the first stamp: as many as belong there.

    A frame that has a place of its own where it is stays.

    Args:
        times: of all frames, none of which has been released; changed in place.
        trusted: their stamps.
        period_s: the cadence.
    """
    first_s = min((stamp_s for stamp_s in trusted if stamp_s is not None), default=None)
    if first_s is None:
        return
    there = sum(time_s < first_s for time_s in times)
    early = _frames_before(trusted, period_s) - there
    for index, stamp_s in enumerate(trusted[:REORDER_DEPTH]):
        if early > 0 and stamp_s is None and times[index] > first_s:
            others = (time_s for other, time_s in enumerate(times) if other != index)
            if min(abs(time_s - times[index]) for time_s in others) < _CROWDED * period_s:
                times[index] = first_s - (there + early) * period_s
                early -= 1


def _holes(trusted: Sequence[float | None], period_s: float) -> list[float]:
    """Where the cadence leaves out a frame or a few: times that frames without a stamp may have, of which none comes before the first."""
    known = sorted(stamp_s for stamp_s in trusted if stamp_s is not None)
    found = []
    for before_s, after_s in pairwise(known):
        count = round((after_s - before_s) / period_s) - 1
        if count < REORDER_DEPTH:
            found += [before_s + period_s * (number + 1) for number in range(count)]
    return found


def _longest_increasing(stamps: Sequence[float | None]) -> set[int]:
    """Indices of a longest strictly increasing selection; of equally long ones, the one with the lowest values."""
    ends: list[int] = []
    values: list[float] = []
    before: dict[int, int] = {}
    for index, stamp_s in enumerate(stamps):
        if stamp_s is None:
            continue
        at = bisect_left(values, stamp_s)
        if at < len(values) and values[at] == stamp_s:
            continue  # of equal ones, the first
        if at:
            before[index] = ends[at - 1]
        ends[at:] = [index, *ends[at + 1 :]]
        values[at:] = [stamp_s, *values[at + 1 :]]
    chosen = set()
    index = ends[-1] if ends else -1
    while index >= 0:
        chosen.add(index)
        index = before.get(index, -1)
    return chosen


def _last_step_s(frames: int, last_known_s: float, missing: int, period_s: float) -> float:
    """Time between the last frames, which have no stamp.

    Where the cadence has left out places before, as many of the last frames belong there, and have come out of order: the video does not
    last longer for them. Many such places are held pictures.

    Args:
        frames: of the whole video.
        last_known_s: of the last frame with a stamp.
        missing: frames after it.
        period_s: the cadence.
    """
    late = min(missing, max(0, frames - round(last_known_s / period_s) - 1))
    left_out = round(last_known_s / period_s) + 1 - (frames - missing)
    if late == missing or left_out > REORDER_DEPTH:
        return period_s
    return period_s * (late + 1 / 200) / missing


def _filled(trusted: Sequence[float | None], last_s: float | None, period_s: float, *, released: int | None) -> list[float]:
    """Times of all frames: the trusted ones as they are, the others evenly between their neighbours in the decoder's order.

    Where these lie too near to each other for one more, all frames are here and the cadence has no place left for it, it was the last
    one, come too early.
    """
    times: list[float] = []
    end_s = max((stamp_s for stamp_s in trusted if stamp_s is not None), default=0.0)
    index, count = 0, len(trusted)
    trailing = next((number for number, stamp_s in enumerate(reversed(trusted)) if stamp_s is not None), count)
    while index < count:
        stamp_s = trusted[index]
        if stamp_s is not None:
            times.append(stamp_s)
            index += 1
            continue
        end = index
        while end < count and trusted[end] is None:
            end += 1
        missing = end - index
        after_s = trusted[end] if end < count else None
        before_s = max([*times, *([] if last_s is None else [last_s])], default=None)
        if before_s is None:  # the first frames: as many as find no place where the cadence leaves one out come before the others
            holes = _holes(trusted, period_s)
            owned = sum(stamp_s is None for stamp_s in trusted[end : count - trailing])  # by later frames without a stamp
            early = missing - max(0, min(missing, len(holes) - owned))
            early = max(early, min(missing, _frames_before(trusted, period_s)))
            holes = holes[: missing - early]
            first_s = min((stamp_s for stamp_s in trusted if stamp_s is not None), default=early * period_s)
            times += [first_s - period_s * (early - number) for number in range(early)]
            times += holes
            index = end
            continue
        too_near = after_s is not None and after_s - before_s < (missing + 0.5) * period_s
        if released and too_near and released + count - round(end_s / period_s) - 1 - trailing >= missing:
            times += [end_s + period_s * (number + 1) for number in range(missing)]
            end_s, index = times[-1], end
            continue
        if after_s is not None and after_s > before_s:
            step_s = (after_s - before_s) / (missing + 1)
        else:
            step_s = period_s if released is None else _last_step_s(released + count, before_s, missing, period_s)
        times += [before_s + step_s * (number + 1) for number in range(missing)]
        index = end
    return times
