"""What the timestamps of a file's packets say together: the cadence, stamps that nothing supports, and jumps of joined recordings.

Runs inside the decoding subprocess.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rumiai_ray.frames.decode.clock import REORDER_DEPTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

JUMP_S = 10.0
"""A longer gap between the packets of a transport stream is a joint of two recordings (ffmpeg's `-dts_delta_threshold`)."""
_APART_S = 2.0
_APART_PERIODS = 16
"""Stamps are a group of their own where this much time, and this many frames of the cadence, lies between them and the next."""
_FEW = 3
"""Fewer different stamps than this, far from all others, are damage; as many or more are a part of the video."""
_DENSE = 0.5
"""So are a few stamps that fill less than this share of the frames that the cadence has between the first and the last of them."""
_FAR_S, _FAR_LENGTHS = 30.0, 2
"""How far few stamps are from all others to be damage and no held picture: so long, and so many lengths of the rest."""
_HELD_S = 600.0
"""A picture that has its place in the decoder's order may be held so long: a recorded screen on which nothing happens. Chosen."""
_ENOUGH = 8
"""Of fewer packets nobody can say which are usual, and so which are damage."""
_SAME_S = 1e-6
_SPARSE = 1 / 2
"""If fewer packets than this share have a timestamp that counts, the gaps between timestamps are no cadence: an MPEG program stream stamps
the first picture of each of its own packets, and one such packet can hold sixteen small pictures and more."""
_REGULAR = 0.8
"""If that share of the different timestamps is a multiple of the cadence apart, they are times, in whatever order. Damage of half of them
leaves 0.6."""
_LEAST_REORDER, _PACKETS_A_PLACE = 3, 6
"""Frames are at least three places out of order, and one more for every six packets. Pyramids take two or three places in H.264, and in AV1
five, but then of many frames."""
_ENOUGH_BACK, _IN_DISORDER = 2, 0.1
"""If time goes back that often, and between more of the frames than this share, irregular timestamps are no times: recordings that were
joined go back once for each. Chosen."""
_OFTEN = 1 / 3
"""A gap that fits into the most usual one two times or more, and is that often beside it, is the cadence."""
_ALIKE = 0.1
"""Gaps that differ by less than this share are one cadence, rounded."""


class PacketTime(NamedTuple):
    """When a packet is presented by the file, in seconds of the file's own time."""

    start_s: float
    duration_s: float
    """0 where the file does not say."""


@dataclass(frozen=True)
class Stamps:
    """Which timestamps of a file count, and what to take off from them."""

    joints: tuple[tuple[float, float], ...] = ()
    """(from, gap) in file time: a stamp after `from` comes `gap` earlier than it says; gaps add up."""
    wild: tuple[tuple[float, float], ...] = ()
    """(lowest, highest) of stamps that belong to nothing."""

    def close(self, stamp_s: float | None) -> float | None:
        """A stamp as it counts; None for a wild one."""
        if stamp_s is None or any(lowest <= stamp_s <= highest for lowest, highest in self.wild):
            return None
        return stamp_s - sum(gap_s for from_s, gap_s in self.joints if stamp_s > from_s)

    def notes(self) -> list[str]:
        """The joints in words."""
        return [f"timestamps jump ahead by {gap_s:.1f} s (two recordings in one file?); the gap was closed" for _, gap_s in self.joints]


def cadence_s(stamps_s: Sequence[float], otherwise_s: float) -> float:
    """The most usual time from one frame to the next.

    Args:
        stamps_s: of the video's packets, in any order, damaged ones among them.
        otherwise_s: the answer where they do not say.
    """
    gaps_s = np.diff(np.unique(stamps_s))
    gaps_s = np.sort(gaps_s[gaps_s > 1e-6])  # noqa: PLR2004 -- below the finest time base
    if not len(gaps_s):
        return otherwise_s
    support = np.searchsorted(gaps_s, gaps_s * (1 + _ALIKE), side="right") - np.arange(len(gaps_s))
    first = int(np.argmax(support))
    multiples = gaps_s[first] / gaps_s
    is_part = (np.abs(multiples - np.round(multiples)) < _ALIKE) & (np.round(multiples) > 1)
    if (often := np.flatnonzero(is_part & (support >= _OFTEN * support[first]))).size:
        first = int(often[np.argmax(support[often])])  # gaps of two frames or more, where a stamp is missing between
    return float(np.mean(gaps_s[first : first + support[first]]))


def measure(
    video: Sequence[PacketTime], audio: Sequence[PacketTime], packets: int, otherwise_s: float, *, joins: bool
) -> tuple[float, Stamps]:
    """The cadence and which timestamps count.

    If most pictures have no timestamp that counts, the cadence is what their packets state.

    Args:
        video: packets of the video stream that have a timestamp, in the decoder's order.
        audio: packets of the audio stream; none where there is none.
        packets: how many packets the video stream has.
        otherwise_s: what the packets state, or the header.
        joins: see `judge`.
    """
    if len(video) < _SPARSE * packets:
        return otherwise_s, judge(video, audio, otherwise_s, joins=joins)
    stamps_s = [packet.start_s for packet in video]
    period_s = cadence_s(stamps_s, otherwise_s)
    stamps = judge(video, audio, period_s, joins=joins)
    if len(video) >= _ENOUGH and _is_in_disorder(stamps_s, period_s):  # then the gaps may be those between damaged ones
        stamps = judge(video, audio, min(period_s, otherwise_s), joins=joins)
        counting_s = [stamp_s for stamp_s in stamps_s if stamps.close(stamp_s) is not None]
        period_s = cadence_s(counting_s, otherwise_s) if len(counting_s) >= _SPARSE * packets else otherwise_s
    return period_s, stamps


def judge(video: Sequence[PacketTime], audio: Sequence[PacketTime], period_s: float, *, joins: bool) -> Stamps:
    """Look at all packets together.

    A gap that another stream's packets fill, or that a packet's own duration spans, is none: pictures may be held for long.

    Args:
        video: packets of the video stream, in the decoder's order.
        audio: packets of the audio stream; none where there is none.
        period_s: the video's cadence.
        joins: whether the container is one whose recordings may be joined by writing one after another.
    """
    if not video:
        return Stamps()
    apart_s = max(_APART_S, _APART_PERIODS * period_s)
    spans = sorted(
        [(p.start_s, p.start_s + max(p.duration_s, period_s), 1) for p in video] + [(p.start_s, p.start_s + p.duration_s, 0) for p in audio]
    )
    groups: list[list[float]] = []  # first stamp, last stamp, end, video packets, different stamps
    for start_s, end_s, is_video in spans:
        if groups and start_s - groups[-1][2] <= apart_s:
            group = groups[-1]
            group[4] += start_s > group[1] + _SAME_S
            group[1], group[2] = max(group[1], start_s), max(group[2], end_s)
            group[3] += is_video
        else:
            groups.append([start_s, start_s, end_s, is_video, 1])
    wild = _damaged(groups, video, period_s, joins=joins)
    kept = [group for group in groups if (group[0], group[1]) not in wild]
    joints = []
    if joins:
        for before, after in pairwise(kept):
            gap_s = after[0] - before[2]
            is_recording = len(video) >= _ENOUGH or min(before[3], after[3]) > 1  # one picture alone may be held
            if gap_s > JUMP_S and is_recording:
                joints.append(((before[1] + after[0]) / 2, gap_s))
    return Stamps(tuple(joints), tuple(sorted(wild)))


def _damaged(groups: Sequence[Sequence[float]], video: Sequence[PacketTime], period_s: float, *, joins: bool) -> set[tuple[float, float]]:
    """(lowest, highest) of the groups of `judge` that are damage: few stamps far from most, or nearly all stamps in disorder.

    Where recordings may be joined, few pictures far from most are no held ones: the gap would be closed all the same.
    """
    if len(video) < _ENOUGH:
        return set()
    usual = max(groups, key=lambda group: group[3])
    thin = [group for group in groups if _is_thin(group, period_s)]
    if 2 * usual[3] >= len(video):
        far_s = max(_FAR_S, _FAR_LENGTHS * (usual[2] - usual[0]))
        away = [group for group in thin if max(usual[0] - group[2], group[0] - usual[2]) > far_s]
        held = _in_their_place(groups, usual, video) if away and not joins else set()
        below = {_ends(group) for group in thin if group[1] < min(0.0, usual[0])}
        return below | ({_ends(group) for group in away} - held)
    if 2 * sum(group[3] for group in thin) > len(video) and _is_in_disorder([packet.start_s for packet in video], period_s):
        return {_ends(group) for group in thin}
    return set()


def _ends(group: Sequence[float]) -> tuple[float, float]:
    return group[0], group[1]


def _in_their_place(groups: Sequence[Sequence[float]], usual: Sequence[float], video: Sequence[PacketTime]) -> set[tuple[float, float]]:
    """(lowest, highest) of the groups of `judge` that hold pictures: around the most usual group in the decoder's order, too."""
    stamps_s = np.asarray([packet.start_s for packet in video])
    order = np.argsort(stamps_s, kind="stable")
    ordered_s = stamps_s[order]

    def places(group: Sequence[float]) -> NDArray[np.int_]:
        first, last = np.searchsorted(ordered_s, (group[0] - _SAME_S, group[1] + _SAME_S))
        return order[first:last]

    middle = groups.index(usual)
    found = set()
    for side, direction in ((groups[middle::-1], -1), (groups[middle:], 1)):
        near, edge = usual, int(np.max(direction * places(usual)))
        for group in side[1:]:
            gap_s = near[0] - group[2] if direction < 0 else group[0] - near[2]
            if gap_s <= _HELD_S and len(where := direction * places(group)) and np.min(where) >= edge - _LEAST_REORDER:
                near, edge = group, int(np.max(where))
                found.add(_ends(group))
    return found


def _is_thin(group: Sequence[float], period_s: float) -> bool:
    """Whether a group of `judge` has too few different stamps, or too few for its length, to be a part of the video."""
    first_s, last_s, _, _, different = group
    return different < _FEW or (different < _ENOUGH and (different - 1) * period_s < _DENSE * (last_s - first_s))


def _is_in_disorder(stamps_s: Sequence[float], period_s: float) -> bool:
    """Whether timestamps in the decoder's order are no times: most are no multiple of the cadence apart, and time goes back often.

    It goes back where that is more than frames are out of order.
    """
    gaps = np.diff(np.unique(stamps_s)) / period_s
    if np.mean(np.abs(gaps - np.round(gaps)) < _ALIKE) >= _REGULAR:
        return False
    depth = max(_LEAST_REORDER, min(REORDER_DEPTH, len(stamps_s) // _PACKETS_A_PLACE))
    waiting: list[float] = []
    ordered: list[float] = []
    for stamp_s in stamps_s:
        heappush(waiting, stamp_s)
        if len(waiting) > depth:
            ordered.append(heappop(waiting))
    steps_back = sum(after <= before for before, after in pairwise([*ordered, *sorted(waiting)]))
    return steps_back >= _ENOUGH_BACK and steps_back > _IN_DISORDER * len(stamps_s)
