"""The decoding subprocess: `python -m rumiai_ray.frames._decoder JOB`, started by `decode.py`, confined before it reads a byte.

It imports PyAV, numpy and the standard library only, reads one file by its descriptor and writes messages (`_wire.py`) to one
pipe: `frame` and `thumbnails` with BGR pixels, `sound` with s16le samples, and at the end `done` or `error`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import av.logging

from rumiai_ray.errors import MediaError
from rumiai_ray.frames._clock import PresentationClock
from rumiai_ray.frames._container import open_media, packets, survey
from rumiai_ray.frames._job import Job
from rumiai_ray.frames._picture import Geometry, Painter
from rumiai_ray.frames._sound import AUDIO_ERRORS, SoundTrack, problems_of
from rumiai_ray.frames._wire import send
from rumiai_ray.frames.limits import confine_this_process
from rumiai_ray.frames.sampling import GridSampler
from rumiai_ray.frames.types import AUDIO_RATE_HZ, SourceFacts

if TYPE_CHECKING:
    from typing import BinaryIO

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from rumiai_ray.frames.sampling import Sample

_FALLBACK_TIME_BASE = Fraction(1, 1_000_000)
"""libav's own, for streams without one."""
_BROKEN_OFF = 0.9
"""A file that ends a second and this share before the end its header promises has been cut; headers are not exact."""
_THUMBNAILS_A_MESSAGE = 64
_SOUND_BYTES_A_MESSAGE = 2 * AUDIO_RATE_HZ


class Extraction:
    """One decode pass over one file."""

    def __init__(self, job: Job, pipe: BinaryIO) -> None:
        self._job = job
        self._pipe = pipe
        self._problems: list[str] = []
        self._video_errors: list[str] = []
        self._audio_errors: list[str] = []
        media = open_media(job.input_fd)
        self._refuse_too_many_pixels(media.video.codec_context.width, media.video.codec_context.height)
        self._survey = survey(media)
        self._refuse_too_long(self._survey.duration_s)
        media.container.close()
        self._media = open_media(job.input_fd)
        self._fps = job.spec.fps_for(self._survey.duration_s)
        self._sampler: GridSampler[VideoFrame] = GridSampler(self._fps)
        video, audio = self._media.video, self._media.audio
        self._clock = PresentationClock(video.time_base or _FALLBACK_TIME_BASE, self._survey.period_s)
        audio_time_base = audio.time_base if audio is not None else None
        self._track = SoundTrack(audio_time_base or _FALLBACK_TIME_BASE, job.limits.max_duration_s)
        self._sound = bytearray()
        self._thumbnails: list[bytes] = []
        self._thumbnail_times_s: list[float] = []
        self._decoded = self._sampled = self._damaged = 0
        self._first_size_px: tuple[int, int] | None = None
        self._sizes_differ = False

    def run(self) -> None:
        """Decode everything and send it.

        Raises:
            MediaError: nothing could be decoded, or a limit was reached.
        """
        video, audio = self._media.video, self._media.audio
        for packet in packets(self._media, (video,) if audio is None else (video, audio), self._problems):
            if packet.stream_index == video.index:
                self._decode_video(packet)
            else:
                self._decode_audio(packet)
        self._decode_video(None)
        if audio is not None:
            self._decode_audio(None)
            self._send_sound(self._track.finish(), last=True)
        if not self._decoded:
            why = self._video_errors[0] if self._video_errors else "the file holds no picture data"
            raise MediaError(f"not one frame can be decoded: {why}", hint="the file is damaged or not complete")
        for sample in self._sampler.finish(self._clock.end_s):
            self._send_frame(sample)
        self._send_thumbnails()
        send(self._pipe, {"kind": "done", "facts": asdict(self._facts())})

    def _decode_video(self, packet: Packet[VideoStream] | None) -> None:
        for frame in _decoded(self._media.video, packet, self._video_errors):
            self._take_frame(frame)

    def _decode_audio(self, packet: Packet[AudioStream] | None) -> None:
        if self._media.audio is None:
            return
        for frame in _decoded(self._media.audio, packet, self._audio_errors):
            self._take_sound(frame)

    def _take_frame(self, frame: VideoFrame) -> None:
        limits = self._job.limits
        self._refuse_too_many_pixels(frame.width, frame.height)
        if self._first_size_px is None:
            self._first_size_px = frame.width, frame.height
            self._geometry = Geometry.of(frame, self._media.video.sample_aspect_ratio)
            self._painter = Painter(self._geometry, self._job.spec.long_side_px)
            self._thumbnail_painter = Painter(self._geometry, self._job.spec.thumbnail_long_side_px)
        self._sizes_differ |= self._first_size_px != (frame.width, frame.height)
        time_s = self._clock.time_of(frame)
        self._refuse_too_long(time_s)
        self._damaged += frame.is_corrupt
        for sample in self._sampler.push(self._decoded, time_s, frame):
            self._send_frame(sample)
        self._thumbnails.append(self._thumbnail_painter.paint(frame, tone_map=False).tobytes())
        self._thumbnail_times_s.append(time_s)
        if len(self._thumbnails) == _THUMBNAILS_A_MESSAGE:
            self._send_thumbnails()
        self._decoded += 1
        if self._decoded > limits.max_frames:
            raise MediaError(f"more than {limits.max_frames} frames", hint="raise max_frames to allow it")

    def _take_sound(self, frame: AudioFrame) -> None:
        try:
            self._send_sound(self._track.take(frame))
        except MemoryError:
            raise
        except AUDIO_ERRORS as error:
            self._audio_errors.append(str(error))

    def _send_frame(self, sample: Sample[VideoFrame]) -> None:
        picture = self._painter.paint(sample.frame)
        header = {"kind": "frame", "source_frame": sample.source_frame, "time_s": sample.time_s, **_size_of(self._painter)}
        send(self._pipe, header, picture.data.cast("B"))
        self._sampled += 1

    def _send_thumbnails(self) -> None:
        header = {"kind": "thumbnails", "time_s": self._thumbnail_times_s, **_size_of(self._thumbnail_painter)}
        send(self._pipe, header, b"".join(self._thumbnails))
        self._thumbnails, self._thumbnail_times_s = [], []

    def _send_sound(self, samples: bytes, *, last: bool = False) -> None:
        self._sound += samples
        if len(self._sound) >= _SOUND_BYTES_A_MESSAGE or (last and self._sound):
            send(self._pipe, {"kind": "sound"}, bytes(self._sound))
            self._sound.clear()

    def _facts(self) -> SourceFacts:
        media, duration_s = self._media, self._clock.end_s
        has_audio = self._track.start_s is not None
        return SourceFacts(
            size_bytes=os.fstat(self._job.input_fd).st_size,
            container=media.container.format.name,
            video_codec=media.video.codec_context.codec.canonical_name,
            audio_codec=None if media.audio is None else media.audio.codec_context.codec.canonical_name,
            width_px=self._geometry.shown_width_px,
            height_px=self._geometry.shown_height_px,
            rotation_deg=self._geometry.rotation_deg,
            duration_s=duration_s,
            fps=self._decoded / duration_s if self._decoded > 1 else None,
            frames_decoded=self._decoded,
            frames_sampled=self._sampled,
            sampling_fps=self._fps,
            stored_width_px=self._painter.width_px,
            stored_height_px=self._painter.height_px,
            audio_start_s=self._track.start_s - self._clock.origin_s if self._track.start_s is not None else None,
            audio_duration_s=self._track.samples / AUDIO_RATE_HZ if has_audio else None,
            video_streams=media.video_streams,
            audio_streams=media.audio_streams,
            problems=tuple(self._all_problems()),
        )

    def _all_problems(self) -> list[str]:
        found = list(self._problems)
        if self._decoded < self._survey.promised_frames:
            found.append(f"{self._decoded} of {self._survey.promised_frames} promised frames decoded")
        elif self._reached_s() < _BROKEN_OFF * self._survey.promised_s - 1:
            found.append(f"the file ends after {self._reached_s():.1f} of {self._survey.promised_s:.1f} promised seconds")
        if self._video_errors:
            found.append(f"{len(self._video_errors)} video packets could not be decoded: {self._video_errors[0]}")
        if self._damaged:
            found.append(f"{self._damaged} frames decoded with damage")
        if self._clock.repaired:
            found.append(f"{self._clock.repaired} frames without a usable timestamp, placed by the frame rate")
        if self._sizes_differ:
            found.append("frames differ in size; all were scaled to the first one's")
        if self._media.audio is None and self._media.audio_streams:
            found.append("no audio stream has a codec that is known here")
        if self._media.audio is not None:
            found += problems_of(self._track, self._audio_errors)
        return found

    def _reached_s(self) -> float:
        """The end of whichever of the two chosen streams ends last."""
        sound_s = (self._track.start_s or 0) - self._clock.origin_s + self._track.samples / AUDIO_RATE_HZ
        return max(self._clock.end_s, sound_s)

    def _refuse_too_many_pixels(self, width: int, height: int) -> None:
        allowed = self._job.limits.max_pixels
        if width * height > allowed:
            raise MediaError(f"{width}×{height} is more than {allowed} pixels", hint="raise max_pixels to allow it")

    def _refuse_too_long(self, duration_s: float) -> None:
        allowed_s = self._job.limits.max_duration_s
        if duration_s > allowed_s:
            raise MediaError(f"its length, {duration_s:.1f} s, is above {allowed_s:g} s", hint="raise max_duration_s to allow it")


def _decoded(stream: Any, packet: Packet[Any] | None, errors: list[str]) -> list[Any]:
    """Frames that are ready after `packet` (None: all that are left). A packet that cannot be decoded is noted in `errors`."""
    try:
        frames: list[Any] = stream.decode(packet)
    except MemoryError:
        raise
    except EOFError:
        return []
    except av.FFmpegError as error:
        errors.append(error.strerror or str(error))
        return []
    return frames


def _size_of(painter: Painter) -> dict[str, int]:
    return {"width_px": painter.width_px, "height_px": painter.height_px}


def main(argument: str) -> int:
    """Do one job; the outcome goes through the pipe, the exit status is 0 unless the process is killed."""
    job = Job.from_json(argument)
    confine_this_process(job.limits, job.parent_pid)
    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)
    with os.fdopen(job.output_fd, "wb", buffering=2**16) as pipe:
        try:
            Extraction(job, pipe).run()
        except MediaError as error:
            send(pipe, {"kind": "error", "what": error.what, "hint": error.hint})
        except MemoryError:
            megabytes = job.limits.memory_bytes // 2**20
            send(pipe, {"kind": "error", "what": f"decoding takes more than {megabytes} MB of memory", "hint": "raise decode_memory_mb"})
        except BrokenPipeError:
            return 0  # the parent has lost interest
        except Exception as error:  # noqa: BLE001 -- the one boundary: whatever strangers' bytes make PyAV raise is this video's error
            what = f"the decoder failed: {type(error).__name__}: {error}"
            send(pipe, {"kind": "error", "what": what, "hint": "the file is damaged, or please report it"})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
