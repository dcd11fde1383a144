"""When each decoded frame is shown, by the file's own timestamps: those of the frame, or those of the packets in the decoder's order.

Runs inside the decoding subprocess.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from rumiai_ray.frames.decode.clock import REORDER_DEPTH

if TYPE_CHECKING:
    from fractions import Fraction

    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from rumiai_ray.frames.decode.clock import PresentationClock
    from rumiai_ray.frames.decode.picture_track import Picture
    from rumiai_ray.frames.decode.survey import Survey


class TimesByPlace:
    """Times of pictures in files that state one time per packet, in decoding order.

    Containers that state only when a packet is decoded (AVI, ASF) are like that, and so are files whose writer stated the decoding order as
    the display order. A decoder returns pictures in display order; the pictures take the packets' times in that order. Each picture comes
    with the decoding time of the packet that released it, which lies as many packets behind its own as the decoder holds back.

    Args:
        counted: whether the first picture has the time of the first packet. In ASF, a picture is shown when the decoder returns it.

    >>> times = TimesByPlace(counted=True)
    >>> for dts in (0, 10, 20, 30):
    ...     times.sent(dts, is_key=dts == 0)
    >>> [times.shown(released) for released in (20, 30, None, None)]
    [0, 10, 20, 30]
    """

    def __init__(self, *, counted: bool) -> None:
        self._counted = counted
        self.delay = 0
        """How long after the time of its packet the first picture is shown, in ticks."""
        self._times: list[int] = []
        self._places: dict[int, int] = {}
        self._first: int | None = 0
        self._held_back: int | None = None
        self._next = 0

    def sent(self, dts: int | None, *, is_key: bool, pts: int | None = None) -> None:
        """Note that a packet goes to the decoder.

        Args:
            dts: when the packet is decoded, in ticks.
            is_key: whether a decoder can begin with the packet.
            pts: the packet's time, in ticks, if it is not `dts`.
        """
        time = dts if pts is None else pts
        if time is None:
            return
        if self._first is None and is_key:
            self._first = len(self._times)
        if dts is not None:
            self._places[dts] = len(self._times)
        self._times.append(time)

    def failed(self) -> None:
        """Note that the packet sent last cannot be decoded. If it held the first picture, a later key frame holds that now."""
        if self._held_back is None and self._first == len(self._times) - 1:
            self._first = None

    def shown(self, released: int | None) -> int | None:
        """When the decoder's next picture is shown, in ticks; None if no packet is left for it.

        Args:
            released: the picture's decoding time by the decoder; None for a picture that the decoder held back to the end.
        """
        place = self._next
        if released is not None and released in self._places:
            if self._held_back is None:
                first = self._places[released] if self._first is None else min(max(self._first, self._next), self._places[released])
                self._held_back = self._places[released] - first
                self.delay = 0 if self._counted else released - self._times[first]
            place = max(place, self._places[released] - self._held_back)
        if place >= len(self._times):
            return None
        self._next = place + 1
        return self._times[place] + self.delay


class FrameTimes:
    """The timestamps of one video's frames, in seconds of the file's own time.

    A frame's own timestamp counts, unless the file states decoding times only. If the packets' times only go forward and the frames' go
    back, the two contradict each other: from then on the frames take the packets' times by place, and so do those still in the clock.

    Args:
        survey: what all packets of the file say.
        container: libav's name of its format.
        time_base: seconds per tick of the video stream.
    """

    def __init__(self, survey: Survey, container: str, time_base: Fraction) -> None:
        self._survey = survey
        self._time_base = time_base
        self._is_by_place = survey.decoding_times_only
        has_one_time_each = survey.decoding_times_only or survey.decoded_as_shown
        self._places = TimesByPlace(counted=container != "asf") if has_one_time_each else None
        self._newest_pts: int | None = None
        self._by_place_s: deque[float | None] = deque(maxlen=REORDER_DEPTH + 1)

    def sent(self, packet: Packet[VideoStream]) -> None:
        """Note that a packet goes to the decoder. Packets that an edit list hides have no picture; the survey leaves them out, too."""
        if self._places and not packet.is_discard:
            pts = None if self._survey.decoding_times_only else packet.pts
            self._places.sent(packet.dts, is_key=packet.is_keyframe, pts=pts)

    def failed(self) -> None:
        """Note that the packet sent last cannot be decoded."""
        if self._places:
            self._places.failed()

    def of(self, frame: VideoFrame, clock: PresentationClock[Picture], *, is_intact: bool) -> float | None:
        """The timestamp of the decoder's next frame; None if it has none that counts.

        Args:
            frame: the decoder's next one.
            clock: where earlier frames wait; it gets their times by place where the file contradicts itself.
            is_intact: whether every packet so far could be decoded. Damage, too, brings frames out of order.
        """
        if self._places is None:
            return self._counting_s(frame.pts)
        goes_back = frame.pts is not None and self._newest_pts is not None and frame.pts < self._newest_pts
        if goes_back and is_intact and not self._is_by_place:
            self._is_by_place = True
            clock.restamp(list(self._by_place_s))
        self._newest_pts = frame.pts
        self._by_place_s.append(self._counting_s(self._places.shown(frame.dts)))
        return self._by_place_s[-1] if self._is_by_place else self._counting_s(frame.pts)

    @property
    def delay_s(self) -> float:
        """How long after the time of its packet the first frame is shown; 0 if frames have timestamps of their own."""
        return float(self._places.delay * self._time_base) if self._places and self._is_by_place else 0.0

    def _counting_s(self, ticks: int | None) -> float | None:
        return self._survey.stamps.close(None if ticks is None else float(ticks * self._time_base))
