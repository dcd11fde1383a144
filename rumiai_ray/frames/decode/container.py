"""Opening a media file whose name nobody looks at, choosing its streams and reading their packets.

Runs inside the decoding subprocess: PyAV, numpy and the standard library only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import av
from av.container.core import Flags
from av.stream import Discard, Disposition

from rumiai_ray.errors import MediaError
from rumiai_ray.frames.decode.picture_files import MILLISECOND, SHORTEST_MS, SHORTEST_SHOWN_MS

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
would make a video of a letter."""

_PLAYLIST_STARTS = (b"#EXTM3U", b"ffconcat", b"v=0", b"[playlist]", b"[Reference]")
_PLAYLIST_MARKS = (b"<MPD", b"<SmoothStreamingMedia", b"<AssetMap", b"<smil", b"<asx")
_READ_BYTES = 2**18
Opened = TypeVar("Opened", "Media", "SoundMedia")
_STUCK = 2
"""Pictures that fail one after another before a key frame: libdav1d refuses all further ones, too, unless it begins anew. Chosen."""
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
class SoundMedia:
    """An open file without a moving video stream, and the audio stream chosen in it."""

    container: InputContainer
    audio: AudioStream
    audio_streams: int

    @property
    def audio_place(self) -> int:
        """Which of the audio streams was chosen, from 0."""
        return list(self.container.streams.audio).index(self.audio)


@dataclass(frozen=True)
class Media:
    """An open file and the streams chosen in it."""

    container: InputContainer
    video: VideoStream
    audio: AudioStream | None
    video_streams: int
    """Moving ones; cover art is none."""
    audio_streams: int
    fills_times: bool = False
    """See `open_media`."""

    @property
    def video_place(self) -> int:
        """Which of the moving video streams was chosen, from 0."""
        return _moving(self.container).index(self.video)

    @property
    def audio_place(self) -> int | None:
        """Which of the audio streams was chosen, from 0; None for none."""
        return None if self.audio is None else list(self.container.streams.audio).index(self.audio)


def open_media(descriptor: int, *, fills_times: bool = False) -> Media | SoundMedia:
    """Open the file behind `descriptor` and choose its streams: libav's best moving video and best audio, as players do.

    Args:
        descriptor: of the file.
        fills_times: let libav work out the presentation times that packets lack. The result is right if some packets state theirs, as in
            MPEG program streams. If none does, libav assumes that pictures are shown in decoding order, which is wrong for H.264 in AVI.

    Raises:
        MediaError: no container this decoder reads, a playlist, neither a video nor an audio stream, or no decoder for its video or,
            where there is no video stream, its audio.
    """
    container = _open_container(descriptor)
    if not fills_times:
        container.flags &= ~cast("int", Flags.gen_pts.value)
    moving = _moving(container)
    video = _readable_video(container, moving) if moving else None
    audible = [stream for stream in container.streams.audio if stream.codec_context is not None]
    preferred = container.streams.best("audio")
    audio = next((stream for stream in audible if preferred is not None and stream.index == preferred.index), next(iter(audible), None))
    if video is None and audio is None:
        kinds = sorted({stream.type for stream in container.streams})
        if "audio" in kinds:
            raise MediaError("no video stream, and the audio codec has no decoder here", hint="convert it to AAC or MP3")
        raise MediaError(f"no video stream and no audio stream ({container.format.name}: {', '.join(kinds) or 'no stream at all'})")
    for stream in container.streams:
        stream.discard = Discard.default if stream in (video, audio) else Discard.all
    for chosen in (video, audio):
        if chosen is not None:
            # One thread: many of these run side by side, and PyAV 17 deadlocked with more.
            chosen.codec_context.thread_count = 1
            chosen.codec_context.thread_type = "NONE"
    if video is not None:
        return Media(container, video, audio, len(moving), len(container.streams.audio), fills_times)
    if audio is None:
        raise AssertionError("a file with neither stream has just been refused")
    return SoundMedia(container, audio, len(container.streams.audio))


def reopened(media: Opened, descriptor: int, *, fills_times: bool = False) -> Opened:
    """Close `media` and open its file again, to read it from its beginning.

    Args:
        media: the open file.
        descriptor: of the same file.
        fills_times: see `open_media`.

    Raises:
        MediaError: the file holds streams of another kind now.
    """
    media.container.close()
    again = open_media(descriptor, fills_times=fills_times)
    if not isinstance(again, type(media)):
        raise MediaError("the file changed while it was read", hint="wait until it is written")
    return again


def _open_container(descriptor: int) -> InputContainer:
    os.lseek(descriptor, 0, os.SEEK_SET)
    _refuse_playlist(os.read(descriptor, 4096))
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        return av.open(
            _NamelessFile(descriptor),
            mode="r",
            container_options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "none"},
            metadata_errors="replace",
            buffer_size=_READ_BYTES,
        )
    except MemoryError:
        raise
    except av.FFmpegError as error:
        raise MediaError(f"not a media file, or damaged beyond reading: {error.strerror}", hint="does it play in a player?") from error


def _readable_video(container: InputContainer, moving: list[VideoStream]) -> VideoStream:
    best = container.streams.best("video")
    readable = [stream for stream in moving if stream.codec_context is not None]
    if not readable:
        raise MediaError("the video codec has no decoder here", hint="convert it to H.264")
    return next((stream for stream in readable if best is not None and stream.index == best.index), readable[0])


def _moving(container: InputContainer) -> list[VideoStream]:
    return [stream for stream in container.streams.video if not stream.disposition & _NOT_MOVING]


def _refuse_playlist(head: bytes) -> None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_markup = text.startswith(b"<")
    if text.startswith(_PLAYLIST_STARTS) or (is_markup and any(mark in text for mark in _PLAYLIST_MARKS)):
        raise MediaError("a playlist that names other files, not a video", hint="give the video itself")


def packets(media: Media | SoundMedia, streams: tuple[VideoStream | AudioStream, ...], problems: list[str]) -> Iterator[Packet[Any]]:
    """Packets of `streams` in file order, without the empty ones that flush decoders.

    A file that breaks off ends the iteration and is noted in `problems`. Pictures of a GIF have the times at which browsers show them.
    """
    is_gif = media.container.format.name == "gif"
    late = 0  # what the pictures so far were shown for beyond what they ask for, in the stream's time base
    try:
        for packet in media.container.demux(*streams):
            if packet.size:
                if is_gif:
                    late += _shown_as_in_browsers(packet, late)
                yield packet
    except MemoryError:
        raise
    except av.FFmpegError as error:
        problems.append(f"reading broke off: {error.strerror}")


def _shown_as_in_browsers(packet: Packet[Any], late: int) -> int:
    """Shift a GIF's picture by `late` and lengthen it if it asks for less time than browsers give it: libav does so for 0 ms alone.

    Returns:
        By how much the pictures after it come later still, in the packet's time base.
    """
    if packet.pts is not None:
        packet.pts += late
    if packet.dts is not None:
        packet.dts += late
    asked = packet.duration or 0
    if asked * packet.time_base > SHORTEST_MS * MILLISECOND:
        return 0
    packet.duration = round(SHORTEST_SHOWN_MS * MILLISECOND / packet.time_base)
    return packet.duration - asked


class PacketDecoder:
    """Decodes the packets of one stream, beyond those that cannot be decoded.

    Args:
        stream: of an open file.
    """

    def __init__(self, stream: VideoStream | AudioStream) -> None:
        self._stream: Any = stream
        self._failed_in_a_row = 0
        self.errors: list[str] = []
        """Why packets could not be decoded, one message each."""

    def frames(self, packet: Packet[Any] | None) -> list[Any]:
        """Frames that are ready after `packet` (None: all that are left)."""
        before: list[Any] = []
        is_key = packet is not None and packet.is_keyframe and self._stream.type == "video"
        if is_key and self._failed_in_a_row >= _STUCK:
            before = self._decode(None)
            self._stream.codec_context.flush_buffers()
        known = len(self.errors)
        frames = self._decode(packet)
        self._failed_in_a_row = 0 if frames else self._failed_in_a_row + len(self.errors) - known
        return before + frames

    def _decode(self, packet: Packet[Any] | None) -> list[Any]:
        try:
            try:
                frames: list[Any] = self._stream.decode(packet)
            except BlockingIOError:  # libav holds the rest of a damaged packet, and takes no other before that is decoded
                self._stream.codec_context.flush_buffers()
                frames = self._stream.decode(packet)
        except MemoryError:
            raise
        except EOFError:
            return []
        except av.FFmpegError as error:
            self.errors.append(error.strerror or str(error))
            return []
        return frames
