"""Whether two videos show the same: the pictures of one are laid over those of the other, as fast, as late and as cropped as fits best.

A repost passes two tests, and nothing else that was found does. Its pictures are near those of the original in the same order, over most of
the longer video. And the bits that change in the course of the one change in the other, too: in two videos of one person before one wall
most bits agree, as the wall does not change; those that change do so at other times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rumiai_ray.corpus.duplicates.hashes import bits_of, distance, edges, mirrored
from rumiai_ray.schema.picture_hashes import CROPS, CROPS_S, WHOLE, WHOLE_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rumiai_ray.corpus.duplicates.hashes import Flags, Hashes, Numbers

STEP_S, VIEW_S = WHOLE_S, CROPS_S
VIEWS = (WHOLE, *CROPS)
_SPEEDS = (1.0, 0.98, 1.02, 0.96, 1.04, 0.94, 1.06, 0.92, 1.08, 0.9, 1.1, 0.88, 1.12)
"""Of one video against the other: up to a tenth faster or slower, and a little beyond."""
_FAR_BITS = 64
"""From this distance on, pictures say nothing for an alignment; unrelated ones differ by 128 on average."""
_MATCHING_BITS = 26
"""Most bits in which two pictures differ that match, without the three worst rows of each; see `_robust`."""
_WORST_ROWS = 3
"""Rows of 16 that a caption may cover."""
_SHARE = 0.5
"""Of the longer video's time, so much must match."""
_STILL_BITS = 8
_MOVING_BITS = 16
"""Bits that change in the course of both videos: with fewer than the first number next to nothing moves, from the second on enough does for
its times to decide."""
_STILL_MEAN = 12.0
"""Most bits by which matching pictures differ on average where next to nothing moves."""
_LITTLE_MEAN, _LITTLE_ALONE_MEAN = 14.0, 8.0
"""The same where little moves: together, and at other times."""
_SHARE_OF_EDGES = 0.2
"""The same as a share of the borders between 0 and 1 in the plainer of the pictures: two cards of broad stripes differ by 0.35."""
_LITTLE_CORRELATION = 0.4
_CORRELATION = 0.4
"""Least correlation in time of the bits that change, where little changes and where much does."""
_NEAR_MEAN, _NEAR_CORRELATION = 10.0, 0.2
"""Where much changes, pictures as near as this need no more than this correlation.

All of these were chosen on nine of the clips of `tests/benchmarks/reposts_found.py` and thirteen reposts of each: the loosest with which
no two clips of one person, or before one wall, match. With 0.25 for 0.4, eight seconds of a face match eight others of the same."""
_PROBED = 16
"""Pictures by which an alignment is looked for."""


@dataclass(frozen=True)
class HashedVideo:
    """A video's hashes on a regular grid of time; a picture that is held is held here, too."""

    whole: Hashes
    """(n, 32), every `STEP_S`."""
    whole_known: Flags
    """(n,) false where the picture is too plain to be told from others."""
    views: Hashes
    """(m, len(VIEWS), 32), every `VIEW_S`."""
    views_known: Flags
    """(m,)."""

    @property
    def known_s(self) -> float:
        """How long it shows pictures that can be told from others."""
        return float(self.whole_known.sum()) * STEP_S


@dataclass(frozen=True)
class Match:
    """How two videos are near-duplicates of one another."""

    similarity: float
    """Share of the longer one's time in which the pictures match, 0 to 1."""
    bits: float
    """Bits in which matching pictures differ on average, without the rows of a caption, of 208."""
    is_mirrored: bool
    crop: str | None
    """The part of one's pictures that is most like the other's; None where the whole pictures are."""
    speed: float
    """How many times faster the second video is."""
    offset_s: float
    """When the first video's beginning is shown in the second; below 0 where the second begins later in the clip."""

    def reversed(self) -> Match:
        """The same, of the second video against the first."""
        return replace(self, speed=1 / self.speed, offset_s=-self.offset_s * self.speed)


def match(first: HashedVideo, second: HashedVideo) -> Match | None:
    """How one video is a repost of the other; None if it is not, as far as can be told."""
    if min(first.known_s, second.known_s) < _SHARE / 2 * max(first.known_s, second.known_s):
        return None
    ways = [(_Laid(second, first), False), (_Laid(first, second), True)]
    alignments = [(laid, back, alignment) for laid, back in ways if (alignment := laid.best()) is not None]
    for laid, back, alignment in sorted(alignments, key=lambda one: -one[2].gain):
        if (found := laid.judged(alignment, back=back)) is not None:
            return found
    return None


@dataclass(frozen=True)
class _Alignment:
    gain: float
    is_mirrored: bool
    speed: float
    """Time of the whole pictures for each second of the views."""
    offset: int
    """In steps of the whole pictures."""
    view: int


class _Laid:
    """The views of one video laid over the whole pictures of another."""

    def __init__(self, under: HashedVideo, over: HashedVideo) -> None:
        self._under, self._over = under, over
        known = np.flatnonzero(over.views_known)
        self._probed: Numbers = (
            known[np.unique(np.linspace(0, len(known) - 1, min(_PROBED, len(known))).astype(int))] if len(known) else known
        )
        self._sides = {False: under.whole, True: mirrored(under.whole)}

    def best(self) -> _Alignment | None:
        """The alignment for which most speaks; None where one of the videos shows nothing that can be told."""
        if not len(self._probed) or not self._under.whole_known.any():
            return None
        found = []
        for is_mirrored, whole in self._sides.items():
            apart = distance(whole[:, None, None], self._over.views[self._probed][None])
            gains = np.clip(_FAR_BITS - apart.astype(np.int32), 0, None)
            gains[~self._under.whole_known] = 0
            found += [self._at_speed(gains, is_mirrored=is_mirrored, speed=speed) for speed in _SPEEDS]
        return max(found, key=lambda one: one.gain)

    def _at_speed(self, gains: NDArray[np.int32], *, is_mirrored: bool, speed: float) -> _Alignment:
        places = self._places(self._probed, speed)
        offsets = np.arange(-int(places.max()), len(gains))
        at = places[None] + offsets[:, None]
        inside = (at >= 0) & (at < len(gains))
        gained = gains[np.clip(at, 0, len(gains) - 1), np.arange(len(places))[None]] * inside[..., None]
        summed = gained.sum(axis=1) - np.abs(offsets)[:, None] / (2.0 * len(offsets))  # of equal ones the nearest to both beginnings
        offset, view = np.unravel_index(int(summed.argmax()), summed.shape)
        return _Alignment(float(summed[offset, view]), is_mirrored, speed, int(offsets[offset]), int(view))

    @staticmethod
    def _places(views: Numbers, speed: float) -> Numbers:
        return np.round(views * (VIEW_S * speed / STEP_S)).astype(np.int64)

    def judged(self, alignment: _Alignment, *, back: bool) -> Match | None:
        """What an alignment says, looked at picture by picture; None where it shows no repost.

        Args:
            alignment: see `best`.
            back: the views are the second video's.
        """
        one, other = self._pairs(alignment)
        apart = _robust(one, other)
        near = apart <= _MATCHING_BITS
        if not near.any():
            return None
        longer_s = max(self._under.known_s / alignment.speed, self._over.known_s)
        each_s = STEP_S if alignment.view == 0 else VIEW_S
        similarity = min(1.0, float(near.sum()) * each_s / max(longer_s, each_s))
        mean_bits = float(apart[near].mean())
        plainest = min(float(edges(some[near]).mean()) for some in (one, other))
        if similarity < _SHARE or not _is_one_clip(mean_bits, plainest, *_together(bits_of(one[near]), bits_of(other[near]))):
            return None
        offset_s = alignment.offset * STEP_S
        return Match(
            similarity=similarity,
            bits=mean_bits,
            is_mirrored=alignment.is_mirrored,
            crop=None if alignment.view == 0 else VIEWS[alignment.view],
            speed=alignment.speed if back else 1 / alignment.speed,
            offset_s=-offset_s / alignment.speed if back else offset_s,
        )

    def _pairs(self, alignment: _Alignment) -> tuple[Hashes, Hashes]:
        """(k, 32) pictures of the one and (k, 32) of the other that are shown at the same time, of neighbours the nearest."""
        if alignment.view == 0:
            over, known, step_s = self._over.whole, self._over.whole_known, STEP_S
        else:
            over, known, step_s = self._over.views[:, alignment.view], self._over.views_known, VIEW_S
        places = np.round(np.flatnonzero(known) * (step_s * alignment.speed / STEP_S) + alignment.offset).astype(np.int64)
        last = len(self._under.whole) - 1
        inside = (places >= 0) & (places <= last)
        places, over = places[inside], over[known][inside]
        if not len(places):
            return np.empty((0, 32), np.uint8), np.empty((0, 32), np.uint8)
        under = self._sides[alignment.is_mirrored]
        around = np.stack([np.clip(places + step, 0, last) for step in (0, -1, 1)])
        apart = distance(under[around], over[None]).astype(np.int32)
        apart[~self._under.whole_known[around]] = np.iinfo(np.int32).max
        nearest = around[apart.argmin(axis=0), np.arange(len(places))]
        seen = self._under.whole_known[nearest]
        return under[nearest][seen], over[seen]


def _is_one_clip(mean_bits: float, plainest: float, moving: int, together: float) -> bool:
    """Whether pictures that match are of one clip, and not of two that were made in one place.

    Args:
        mean_bits: in which the pictures differ on average.
        plainest: borders between bits in the plainer of the two videos' pictures, on average.
        moving: bits that change in the course of both.
        together: correlation of the changes.
    """
    if moving >= _MOVING_BITS:
        return together >= (_NEAR_CORRELATION if mean_bits <= _NEAR_MEAN else _CORRELATION)
    of_edges = _SHARE_OF_EDGES * plainest
    if moving >= _STILL_BITS:
        moves_together = together >= _LITTLE_CORRELATION and mean_bits <= _LITTLE_MEAN
        return moves_together or mean_bits <= min(_LITTLE_ALONE_MEAN, of_edges)
    return mean_bits <= min(_STILL_MEAN, of_edges)


def _robust(one: Hashes, other: Hashes) -> Numbers:
    """(k,) bits in which (k, 32) hashes differ without the rows in which they differ most: a caption changes whole rows."""
    of_rows = np.bitwise_count(one ^ other).reshape(-1, 16, 2).sum(axis=2, dtype=np.int64)
    least: Numbers = np.sort(of_rows, axis=1)[:, :-_WORST_ROWS].sum(axis=1)
    return least


def _together(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> tuple[int, float]:
    """How many bits change in the course of both, and how far they change together: the correlation of all bits about their means in time.

    Args:
        one: shape (pictures, 256).
        other: the same.
    """
    changes_one, changes_other = one - one.mean(axis=0), other - other.mean(axis=0)
    squares = (changes_one**2).sum(), (changes_other**2).sum()
    moving = min(int((changes.any(axis=0)).sum()) for changes in (changes_one, changes_other))
    if min(squares) <= 0:
        return 0, 0.0
    return moving, float((changes_one * changes_other).sum() / np.sqrt(squares[0] * squares[1]))
