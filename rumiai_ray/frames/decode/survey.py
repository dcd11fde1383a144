"""A file's real length and which of its timestamps count, learnt from its packets without decoding any.

Runs inside the decoding subprocess.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

import av

from rumiai_ray.frames.decode.container import packets
from rumiai_ray.frames.decode.stamps import PacketTime, Stamps, cadence_s, judge, measure
from rumiai_ray.ingest.stated_length import states_its_length

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from rumiai_ray.frames.decode.container import Media, SoundMedia

_FALLBACK_FPS = 25.0
_MAX_PLAUSIBLE_FPS = 1000.0
_JOINABLE = {"mpegts", "mpeg", "flv", "live_flv"}
"""Containers whose files are often two written one after another; others have one time line by their format."""
_DECODING_TIMES_ONLY = {"avi", "asf"}
"""Containers that never state when a picture is shown. If libav states it for some pictures, libav has guessed."""
_SEQUENCE_UNITS: dict[str, tuple[int, int, int, Collection[int]]] = {
    "mpeg1video": (0, 0, 0xFF, (0xB3,)),
    "mpeg2video": (0, 0, 0xFF, (0xB3,)),
    "mpeg4": (0, 0, 0xFF, (0xB0, *range(0x20, 0x30))),
    "h264": (0, 0, 0x1F, (7,)),
    "hevc": (0, 1, 0x3F, (32, 33)),
    "vvc": (1, 3, 0x1F, (14, 15)),
}
"""Where a unit says what it is, (byte behind the start code, bits to the right, mask), and the kinds that are sequence headers, or video or
sequence parameter sets."""
_RIFF_HEADER_BYTES = 8
_BROKEN_OFF = 0.9
"""A file that ends a second and this share before the end its header promises has been cut; headers are not exact."""


@dataclass(frozen=True)
class Survey:
    """What the packets of the video stream say, before any of them is decoded."""

    duration_s: float
    """From the first packet's presentation to the end of the last one."""
    period_s: float
    """Time from one frame to the next, where a frame itself does not say."""
    promised_frames: int
    """What the header claims, less what an edit list hides and what AVI holds by an empty chunk; 0 where it claims nothing."""
    promised_s: float
    """How long the whole file is by its header, of whichever stream is the longest; 0 where it claims nothing."""
    promised_audio_s: float
    """How long the chosen audio stream is by its header; 0 where there is none or it claims nothing."""
    audio_from_s: float | None
    """The file's own timestamp of the first audio packet, also of one that an edit list hides; None where there is none."""
    start_s: float
    """The file's own timestamp of its earliest packet, of either stream."""
    pictures_from_s: float | None
    """The file's own timestamp of the first picture: of the key frame, if the file begins with one; None where the packets do not say."""
    begins_with_key: bool
    """Whether the first video packet is a key frame, damaged or not: recordings that begin in mid-stream are shown from their first key
    frame on, and have lost nothing before it."""
    stamps: Stamps
    """Which timestamps count."""
    decoding_times_only: bool = False
    """Whether the file states only when its pictures are decoded, as AVI and ASF do."""
    decoded_as_shown: bool = False
    """Whether the packets' times only go forward: by these times, pictures are shown in the order in which they are decoded."""
    lacks_times: bool = False
    """Whether only some of the packets state when their picture is shown; libav can work out the others (`open_media`)."""


@dataclass(frozen=True)
class SoundSurvey:
    """What the packets of a file without a video stream say, before any of them is decoded."""

    duration_s: float
    """From the start of the first packet to the end of the last one; 0 where no packet has a timestamp."""
    promised_s: float
    """See `Survey.promised_s`."""
    promised_audio_s: float
    """See `Survey.promised_audio_s`."""
    start_s: float
    """The file's own timestamp of its first packet."""
    stamps: Stamps
    """Which timestamps count."""


def survey(media: Media, descriptor: int) -> Survey:
    """Read all packets of the chosen streams, decoding none. Headers lie about length and count; packets are there or not.

    Leaves `media` at its end; open it again to decode.

    Args:
        media: the file, at its beginning.
        descriptor: of the file.
    """
    chosen = (media.video,) if media.audio is None else (media.video, media.audio)
    video: list[PacketTime] = []
    audio: list[PacketTime] = []
    lengths_s: list[float] = []
    count = hidden = shown = decoded_only = 0
    begins_with_key = False
    listed = _listed_by_avi(media, descriptor)
    for packet in packets(media, chosen, []):
        is_video = packet.stream_index == media.video.index
        if is_video and packet.is_discard:
            hidden += 1
            continue
        if is_video and count == 0:
            begins_with_key = packet.is_keyframe or _begins_a_sequence(media.video.codec_context.codec.canonical_name, bytes(packet))
        if is_video:
            count += 1
            shown += packet.pts is not None
            decoded_only += packet.pts is None and packet.dts is not None
            lengths_s.append(float((packet.duration or 0) * packet.time_base))
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is not None:
            time = PacketTime(float(stamp * packet.time_base), float((packet.duration or 0) * packet.time_base))
            (video if is_video else audio).append(time)
    otherwise_s = _usual_length_s(lengths_s) or 1 / _plausible_fps(media.video)
    period_s, stamps = measure(video, audio, count, otherwise_s, joins=media.container.format.name in _JOINABLE)
    ends_s = [(closed_s, packet_time.duration_s) for packet_time in video if (closed_s := stamps.close(packet_time.start_s)) is not None]
    if not ends_s:
        duration_s = count * period_s
    else:
        last_s, end_s = max(ends_s)[0], max(start_s + length_s for start_s, length_s in ends_s)
        duration_s = (end_s if end_s > last_s else last_s + period_s) - min(ends_s)[0]
    start_s = min((packet_time.start_s for packet_time in (*video, *audio)), default=0.0)
    # Pictures before the first key frame lean on what a cut took away: players drop them too.
    pictures_from_s = min((closed_s for closed_s, _ in (ends_s[:1] if begins_with_key else ends_s)), default=None)
    promised_s, promised_audio_s = _promised_s(media.container, media.audio, stamps)
    decoding_times_only = bool(decoded_only) and (not shown or media.container.format.name in _DECODING_TIMES_ONLY)
    return Survey(
        duration_s,
        period_s,
        _promised_frames(media, hidden, listed),
        promised_s,
        promised_audio_s,
        min((packet_time.start_s for packet_time in audio), default=None),
        start_s,
        pictures_from_s,
        begins_with_key,
        stamps,
        decoding_times_only=decoding_times_only,
        decoded_as_shown=shown == len(video) and all(a.start_s < b.start_s for a, b in pairwise(video)),
        lacks_times=bool(decoded_only and shown) and not decoding_times_only,
    )


def survey_sound(media: SoundMedia, descriptor: int) -> SoundSurvey:
    """`survey`, for a file without a video stream.

    Leaves `media` at its end; open it again to decode.

    Args:
        media: the file, at its beginning.
        descriptor: of the file.
    """
    times = []
    for packet in packets(media, (media.audio,), []):
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is not None:
            times.append(PacketTime(float(stamp * packet.time_base), float((packet.duration or 0) * packet.time_base)))
    period_s = cadence_s([time.start_s for time in times], max((time.duration_s for time in times), default=0.0))
    stamps = judge(times, [], period_s, joins=media.container.format.name in _JOINABLE)
    spans_s = [(closed_s, closed_s + time.duration_s) for time in times if (closed_s := stamps.close(time.start_s)) is not None]
    start_s = min((first_s for first_s, _ in spans_s), default=0.0)
    end_s = max((last_s for _, last_s in spans_s), default=start_s)
    stated = states_its_length(media.container.format.name, descriptor)
    promised_s, promised_audio_s = _promised_s(media.container, media.audio, stamps) if stated else (0.0, 0.0)
    return SoundSurvey(end_s - start_s, promised_s, promised_audio_s, start_s, stamps)


def cut_short(found: Survey | SoundSurvey, reached_s: float) -> list[str]:
    """Whether a file ends before its header's end, in words; for streams that promise nothing of their own.

    Args:
        found: what its packets say.
        reached_s: where its last stream ends, from the earliest packet of any stream.
    """
    promised_s, start_s = found.promised_s, found.start_s
    if promised_s > start_s > 0:  # Matroska counts from zero, wherever the first packet lies
        promised_s -= start_s
    elif start_s < 0:  # libav counts what an edit list hides of the sound twice: before zero, and at the end
        promised_s += start_s
    promised_s -= sum(gap_s for _, gap_s in found.stamps.joints)
    if reached_s < _BROKEN_OFF * promised_s - 1:
        return [f"the file ends after {reached_s:.1f} of {promised_s:.1f} promised seconds"]
    return []


def _promised_s(container: InputContainer, audio: AudioStream | None, stamps: Stamps) -> tuple[float, float]:
    """(`Survey.promised_s`, `Survey.promised_audio_s`)."""
    promised_audio_s = float(audio.duration * audio.time_base) if audio and audio.duration and audio.time_base else 0.0
    return (container.duration or 0) / av.time_base, max(0.0, promised_audio_s - sum(gap_s for _, gap_s in stamps.joints))


def _listed_by_avi(media: Media, descriptor: int) -> int:
    """Pictures that the index of an AVI file lists; 0 for other files, and for one that was cut and has lost its index.

    The header counts the empty chunks, too, by which AVI holds a picture.

    Args:
        media: the file, at its beginning: libav makes an index of what it reads where there is none.
        descriptor: of the file.
    """
    if media.container.format.name != "avi":
        return 0
    stated_bytes = _RIFF_HEADER_BYTES + int.from_bytes(os.pread(descriptor, _RIFF_HEADER_BYTES, 0)[4:], "little")
    is_whole = os.fstat(descriptor).st_size >= stated_bytes
    return sum(entry.size > 0 for entry in media.video.index_entries) if is_whole else 0


def _promised_frames(media: Media, hidden: int, listed_by_avi: int) -> int:
    """What the header claims, less what an edit list hides: in part the demuxer marks those packets, in part it leaves them out.

    Args:
        media: the file, read to its end.
        hidden: packets that the demuxer has marked.
        listed_by_avi: see `_listed_by_avi`.
    """
    video = media.video
    promised = max(0, video.frames - hidden)
    if promised and listed_by_avi:
        promised = min(promised, listed_by_avi)
    if promised and "mp4" in media.container.format.name.split(","):
        listed = sum(not entry.is_discard for entry in video.index_entries)
        if listed:
            promised = min(promised, listed)
    return promised


def _begins_a_sequence(codec: str, data: bytes) -> bool:
    """Whether a packet holds what a decoder must know before it can begin: encoders write that before key frames.

    Of a key frame damaged behind it, libav says that it is none.

    Args:
        codec: libav's name.
        data: of a stream with start codes (ITU-T H.264, H.265 and H.266, annex B; H.262; MPEG-4 part 2). Other streams come in containers
            that say which frames are key frames.
    """
    if codec not in _SEQUENCE_UNITS:
        return False
    at, right, mask, kinds = _SEQUENCE_UNITS[codec]
    units = data.split(b"\0\0\1")[1:]
    return any(len(unit) > at and unit[at] >> right & mask in kinds for unit in units)


def _usual_length_s(lengths_s: Sequence[float]) -> float | None:
    """The median of the packets' stated durations; None if that is shorter than any picture lasts."""
    usual_s = median(lengths_s) if lengths_s else 0.0
    return usual_s if usual_s * _MAX_PLAUSIBLE_FPS >= 1 else None


def _plausible_fps(video: VideoStream) -> float:
    for rate in (video.average_rate, video.guessed_rate, video.base_rate):
        if rate and 0 < rate <= _MAX_PLAUSIBLE_FPS:
            return float(rate)
    return _FALLBACK_FPS
