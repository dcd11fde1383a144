"""Opening a media file whose name nobody looks at, choosing its streams, and learning its real length without decoding.

Runs inside the decoding subprocess: PyAV, numpy and the standard library only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av
from av.stream import Discard, Disposition

from rumiai_ray.errors import MediaError
from rumiai_ray.frames.decode.stamps import PacketTime, Stamps, cadence_s, judge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_CONTAINERS = (
    "mov,matroska,webm,avi,flv,live_flv,mpegts,mpeg,mpegvideo,h264,hevc,vvc,m4v,av1,obu,ivf,ogg,asf,rm,dv,mxf,nut,swf,gif,apng,"
    "mjpeg,yuv4mpegpipe,jpeg_pipe,png_pipe,gif_pipe,webp_pipe,bmp_pipe,tiff_pipe,jpegxl_pipe,jpegxl_anim,"
    "mp3,wav,flac,aac,aiff,caf,w64,au,amr"
)
"""Demuxers that may be used: self-contained ones. Playlists (hls, dash, concat, sdp) would open other files, text demuxers (tty)
would make a video of a letter. Audio is here so that a song is refused for having no video stream, not as unknown."""

_PLAYLIST_STARTS = (b"#EXTM3U", b"ffconcat", b"v=0", b"[playlist]", b"[Reference]")
_PLAYLIST_MARKS = (b"<MPD", b"<SmoothStreamingMedia", b"<AssetMap", b"<smil", b"<asx")
_READ_BYTES = 2**18
_FALLBACK_FPS = 25.0
_MAX_PLAUSIBLE_FPS = 1000.0
_JOINABLE = {"mpegts", "mpeg", "flv", "live_flv"}
"""Containers whose files are often two written one after another; others have one time line by their format."""
_NOT_MOVING = Disposition.attached_pic | Disposition.timed_thumbnails


class _NamelessFile:
    """A file known by its descriptor. libav gets no name to guess a format, a pattern or a protocol from."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, size: int) -> bytes:
        return os.read(self._descriptor, size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)


@dataclass(frozen=True)
class Media:
    """An open file and the streams chosen in it."""

    container: InputContainer
    video: VideoStream
    audio: AudioStream | None
    video_streams: int
    """Moving ones; cover art is none."""
    audio_streams: int

    @property
    def video_place(self) -> int:
        """Which of the moving video streams was chosen, from 0."""
        return _moving(self.container).index(self.video)

    @property
    def audio_place(self) -> int | None:
        """Which of the audio streams was chosen, from 0; None for none."""
        return None if self.audio is None else list(self.container.streams.audio).index(self.audio)


@dataclass(frozen=True)
class Survey:
    """What the packets of the video stream say, before any of them is decoded."""

    duration_s: float
    """From the first packet's presentation to the end of the last one."""
    period_s: float
    """Time from one frame to the next, where a frame itself does not say."""
    promised_frames: int
    """What the header claims, less what an edit list hides; 0 where it claims nothing."""
    promised_s: float
    """How long the whole file is by its header, of whichever stream is the longest; 0 where it claims nothing."""
    promised_audio_s: float
    """How long the chosen audio stream is by its header; 0 where there is none or it claims nothing."""
    start_s: float
    """The file's own timestamp of its earliest packet, of either stream."""
    pictures_from_s: float | None
    """The file's own timestamp of the first picture: of the key frame, if the file begins with one; None where the packets do not say."""
    begins_with_key: bool
    """Whether the first video packet is a key frame: recordings that begin in mid-stream are shown from their first key frame on."""
    stamps: Stamps
    """Which timestamps count."""


def open_media(descriptor: int) -> Media:
    """Open the file behind `descriptor` and choose its streams: libav's best moving video and best audio, as players do.

    Raises:
        MediaError: no container this decoder reads, a playlist, or no video stream.
    """
    os.lseek(descriptor, 0, os.SEEK_SET)
    _refuse_playlist(os.read(descriptor, 4096))
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        container = av.open(
            _NamelessFile(descriptor),
            mode="r",
            container_options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "none"},
            metadata_errors="replace",
            buffer_size=_READ_BYTES,
        )
    except MemoryError:
        raise
    except av.FFmpegError as error:
        raise MediaError(f"no media file, or damaged beyond reading: {error.strerror}", hint="does it play in a player?") from error
    moving = _moving(container)
    if not moving:
        kinds = sorted({stream.type for stream in container.streams})
        raise MediaError(f"no video stream ({container.format.name}: {', '.join(kinds) or 'no stream at all'})")
    best = container.streams.best("video")
    readable = [stream for stream in moving if stream.codec_context is not None]
    if not readable:
        raise MediaError("its video codec has no decoder here", hint="convert it to H.264")
    video = next((stream for stream in readable if best is not None and stream.index == best.index), readable[0])
    audible = [stream for stream in container.streams.audio if stream.codec_context is not None]
    preferred = container.streams.best("audio")
    audio = next((stream for stream in audible if preferred is not None and stream.index == preferred.index), next(iter(audible), None))
    for stream in container.streams:
        stream.discard = Discard.default if stream in (video, audio) else Discard.all
    for chosen in (video, audio):
        if chosen is not None:
            # One thread: many of these run side by side, and PyAV 17 deadlocked with more.
            chosen.codec_context.thread_count = 1
            chosen.codec_context.thread_type = "NONE"
    return Media(container, video, audio, len(moving), len(container.streams.audio))


def _moving(container: InputContainer) -> list[VideoStream]:
    return [stream for stream in container.streams.video if not stream.disposition & _NOT_MOVING]


def _refuse_playlist(head: bytes) -> None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_markup = text.startswith(b"<")
    if text.startswith(_PLAYLIST_STARTS) or (is_markup and any(mark in text for mark in _PLAYLIST_MARKS)):
        raise MediaError("a playlist that names other files, not a video", hint="give the video itself")


def packets(media: Media, streams: tuple[VideoStream | AudioStream, ...], problems: list[str]) -> Iterator[Packet[Any]]:
    """Packets of `streams` in file order, without the empty ones that flush decoders.

    A file that breaks off ends the iteration and is noted in `problems`.
    """
    try:
        for packet in media.container.demux(*streams):
            if packet.size:
                yield packet
    except MemoryError:
        raise
    except av.FFmpegError as error:
        problems.append(f"reading broke off: {error.strerror}")


def survey(media: Media) -> Survey:
    """Read all packets of the chosen streams, decoding none. Headers lie about length and count; packets are there or not.

    Leaves `media` at its end; open it again to decode.
    """
    chosen = (media.video,) if media.audio is None else (media.video, media.audio)
    video: list[PacketTime] = []
    audio: list[PacketTime] = []
    count = hidden = 0
    begins_with_key = False
    for packet in packets(media, chosen, []):
        is_video = packet.stream_index == media.video.index
        if is_video and packet.is_discard:
            hidden += 1
            continue
        begins_with_key |= is_video and count == 0 and packet.is_keyframe
        count += is_video
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is not None:
            time = PacketTime(float(stamp * packet.time_base), float((packet.duration or 0) * packet.time_base))
            (video if is_video else audio).append(time)
    period_s = cadence_s([packet_time.start_s for packet_time in video], 1 / _plausible_fps(media.video))
    stamps = judge(video, audio, period_s, joins=media.container.format.name in _JOINABLE)
    ends_s = [(closed_s, packet_time.duration_s) for packet_time in video if (closed_s := stamps.close(packet_time.start_s)) is not None]
    if not ends_s:
        duration_s = count * period_s
    else:
        last_s, end_s = max(ends_s)[0], max(start_s + length_s for start_s, length_s in ends_s)
        duration_s = (end_s if end_s > last_s else last_s + period_s) - min(ends_s)[0]
    start_s = min((packet_time.start_s for packet_time in (*video, *audio)), default=0.0)
    # Pictures before the first key frame lean on what a cut took away: players drop them too.
    pictures_from_s = min((closed_s for closed_s, _ in (ends_s[:1] if begins_with_key else ends_s)), default=None)
    promised_s = (media.container.duration or 0) / av.time_base
    sound = media.audio
    promised_audio_s = float(sound.duration * sound.time_base) if sound and sound.duration and sound.time_base else 0.0
    promised_audio_s = max(0.0, promised_audio_s - sum(gap_s for _, gap_s in stamps.joints))
    return Survey(
        duration_s,
        period_s,
        _promised_frames(media, hidden),
        promised_s,
        promised_audio_s,
        start_s,
        pictures_from_s,
        begins_with_key,
        stamps,
    )


def _promised_frames(media: Media, hidden: int) -> int:
    """What the header claims, less what an edit list hides: in part the demuxer marks those packets, in part it leaves them out."""
    video = media.video
    promised = max(0, video.frames - hidden)
    if promised and "mp4" in media.container.format.name.split(","):
        listed = sum(not entry.is_discard for entry in video.index_entries)
        if listed:
            promised = min(promised, listed)
    return promised


def _plausible_fps(video: VideoStream) -> float:
    for rate in (video.average_rate, video.guessed_rate, video.base_rate):
        if rate and 0 < rate <= _MAX_PLAUSIBLE_FPS:
            return float(rate)
    return _FALLBACK_FPS
