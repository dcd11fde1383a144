"""The decoding subprocess: `python -m rumiai_ray.frames.decode.child JOB`, started by `parent.py`, confined before it reads a byte.

`limits.py` bounds what it costs, `cage.py` what it reaches. It imports PyAV, numpy and the standard library only, for picture files
Pillow and pillow-heif too, reads one file by its descriptor and writes messages (`wire.py`) to one pipe: `frame` and `thumbnails` with
BGR pixels, `sound` with s16le samples, and at the end `done` or `error`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import av
import av.logging

from rumiai_ray.errors import MediaError
from rumiai_ray.frames.decode import cage
from rumiai_ray.frames.decode.clock import REORDER_DEPTH, PresentationClock
from rumiai_ray.frames.decode.container import PacketDecoder, SoundMedia, open_media, packets, reopened
from rumiai_ray.frames.decode.frame_times import FrameTimes
from rumiai_ray.frames.decode.job import Job
from rumiai_ray.frames.decode.loudness import layout_of
from rumiai_ray.frames.decode.picture_files import is_motion_jpeg, prepare_pictures
from rumiai_ray.frames.decode.picture_track import MICROSECOND, Picture, PictureTrack, refuse_too_long, refuse_too_many_pixels
from rumiai_ray.frames.decode.sound import AUDIO_ERRORS, SOUND_BYTES_A_MESSAGE, SoundTrack, send_sound
from rumiai_ray.frames.decode.sound_extraction import extract_sound
from rumiai_ray.frames.decode.stamps import JUMP_S
from rumiai_ray.frames.decode.still_extraction import extract_pictures
from rumiai_ray.frames.decode.survey import cut_short, survey
from rumiai_ray.frames.decode.views import FrameViews
from rumiai_ray.frames.decode.wire import send
from rumiai_ray.frames.limits import confine_this_process
from rumiai_ray.frames.types import AUDIO_RATE_HZ, SourceFacts
from rumiai_ray.ingest.slide_show import is_slide_show
from rumiai_ray.shown import counted

if TYPE_CHECKING:
    from fractions import Fraction

    from av.audio.stream import AudioStream
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from rumiai_ray.frames.decode.container import Media
    from rumiai_ray.frames.decode.picture_files import PictureFormat
    from rumiai_ray.frames.decode.picture_track import Send

_PIXELS_FULL_DEPTH = 2560 * 1440
"""Sixteen frames of this size take 90 MB; the largest ones allowed would take as much memory as a decoder may have."""
_OUTLASTS_S = 0.25
"""Sound that goes on for longer than this after the last picture is no padding of an encoder's frame, which is at most 0.1 s long, but
sound to a picture that stays. Chosen."""
_UNSPECIFIED = 2
"""In libav, as in ISO 23091-2, the transfer, the primaries and the matrix of a frame that does not say."""
_CONVERTIBLE = {0, 1, _UNSPECIFIED, 4, 5, 6, 7, 9}
"""Matrices (ISO 23091-2) that swscale converts: none (RGB), BT.709, FCC, BT.470, BT.601, SMPTE 240M, BT.2020. YCgCo, ICtCp and BT.2020 with
constant luminance end in an error."""
_WITH_TRANSPARENCY = {"apng", "gif", "png", "webp"}
"""Codecs of pictures, whose transparent parts are shown on white. Videos with transparency are made to lie on other videos; players
show the colours under it."""


class Extraction:
    """One decode pass over one video: a survey of its packets first, then everything at once.

    Args:
        job: which frames are wanted, within which limits.
        media: the video, at its beginning; it is closed.
        send_message: the way to the parent.
    """

    def __init__(self, job: Job, media: Media, send_message: Send) -> None:
        self._job = job
        self._send = send_message
        self._broken_off: list[str] = []
        self._stated_px = media.video.codec_context.width, media.video.codec_context.height
        self._survey = survey(media, job.input_fd)
        if self._survey.lacks_times:
            media = reopened(media, job.input_fd, fills_times=True)
            self._survey = survey(media, job.input_fd)
        refuse_too_long(self._survey.duration_s, job.limits.max_duration_s)
        self._media = reopened(media, job.input_fd, fills_times=media.fills_times)
        # Before libav takes memory for a picture. It counts rows and columns that nobody sees, at most as many again as the others.
        self._media.video.codec_context.options = {"max_pixels": str(2 * job.limits.max_pixels)}
        colours = self._media.video.codec_context  # some decoders, ProRes for one, forget what the container states
        self._stated_colours = colours.color_trc, colours.color_primaries, colours.colorspace
        self._guessed_matrix: int | None = None
        self._video_decoder = PacketDecoder(self._media.video)
        self._video_errors = self._video_decoder.errors
        self._audio_decoder = None if self._media.audio is None else PacketDecoder(self._media.audio)
        self._clock: PresentationClock[Picture] = PresentationClock(self._survey.period_s, _reorder_depth(self._media))
        self._times = FrameTimes(self._survey, self._media.container.format.name, self._time_base)
        self._views = FrameViews(self._media, job.input_fd)
        self._pictures: PictureTrack | None = None
        self._track: SoundTrack | None = None
        if self._media.audio is not None:
            self._track = SoundTrack(
                self._media.audio.time_base or MICROSECOND,
                self._survey.duration_s,
                job.limits.max_duration_s,
                stamp_as_it_counts=self._survey.stamps.close,
            )

    def run(self) -> SourceFacts:
        """Decode everything and send it, but for the facts.

        Raises:
            MediaError: nothing could be decoded, or a limit was reached.
        """
        video, audio = self._media.video, self._media.audio
        for packet in packets(self._media, (video,) if audio is None else (video, audio), self._broken_off):
            if packet.stream_index == video.index:
                self._decode_video(packet)
            else:
                self._decode_audio(packet)
        self._decode_video(None)
        self._decode_audio(None)
        for time_s, picture in self._clock.finish():
            self._take(time_s, picture)
        if self._pictures is None:
            refuse_too_many_pixels(*self._stated_px, self._job.limits.max_pixels)
            why = self._video_errors[0] if self._video_errors else "the file holds no picture data"
            raise MediaError(f"not one frame can be decoded: {why}", hint="the file is damaged or not complete")
        if self._track is not None:
            self._track.finish()
        end_s = self._end_s(self._pictures)
        self._pictures.finish(end_s)
        if self._track is not None:
            send_sound(self._track, self._send)
        return self._facts(self._pictures, end_s)

    def _end_s(self, pictures: PictureTrack) -> float:
        """When the video ends: with its last picture, or with the sound if that goes on, for players hold the last picture until then.

        Pictures that the file has lost are not held, for nobody knows what was on the screen; nor until sound that begins long after them.
        """
        end_s = self._clock.end_s
        if self._track is None or self._track.start_s is None:
            return end_s
        sound_from_s = self._track.start_s - self._clock.origin_s
        sound_until_s = sound_from_s + self._track.samples / AUDIO_RATE_HZ
        whole = not self._broken_off and not self._video_errors and pictures.decoded >= self._survey.promised_frames
        if not whole or sound_until_s <= end_s + _OUTLASTS_S or sound_from_s > end_s + JUMP_S:
            return end_s
        refuse_too_long(sound_until_s, self._job.limits.max_duration_s)
        return sound_until_s

    def _decode_video(self, packet: Packet[VideoStream] | None) -> None:
        if packet is not None:
            self._times.sent(packet)
        failed = len(self._video_errors)
        frames = self._video_decoder.frames(packet)
        if len(self._video_errors) > failed:
            self._times.failed()
        if packet is not None:
            self._views.decoded(packet)
        for frame in frames:
            if frame.width * frame.height > self._job.limits.max_pixels:  # by a damaged header, if other frames are smaller
                self._video_errors.append(f"{frame.width}×{frame.height} is more than {self._job.limits.max_pixels} pixels")
                continue
            self._complete_colours(frame)
            picture = Picture(frame, self._views.of(frame))
            stamp_s = self._times.of(frame, self._clock, is_intact=not self._video_errors)
            for time_s, due in self._clock.push(stamp_s, float(frame.duration * self._time_base) or None, picture):
                self._take(time_s, due)

    def _complete_colours(self, frame: VideoFrame) -> None:
        """Let the container say what the frame leaves open. A matrix that swscale cannot convert is left to its guess."""
        transfer, primaries, matrix = self._stated_colours
        if frame.color_trc == _UNSPECIFIED:
            frame.color_trc = transfer
        if frame.color_primaries == _UNSPECIFIED:
            frame.color_primaries = primaries
        if frame.colorspace == _UNSPECIFIED:
            frame.colorspace = matrix
        if frame.colorspace not in _CONVERTIBLE:
            self._guessed_matrix = int(frame.colorspace)
            frame.colorspace = _UNSPECIFIED

    def _take(self, time_s: float, picture: Picture) -> None:
        if self._pictures is None:
            on_white = self._media.video.codec_context.codec.canonical_name in _WITH_TRANSPARENCY
            self._pictures = PictureTrack(picture.view, self._survey.duration_s, self._job, self._send, on_white=on_white)
        self._pictures.take(time_s, picture)

    @property
    def _time_base(self) -> Fraction:
        """Seconds per tick of the video stream; frames that a decoder held back to the end come without one."""
        return self._media.video.time_base or MICROSECOND

    def _decode_audio(self, packet: Packet[AudioStream] | None) -> None:
        if self._track is None or self._audio_decoder is None:
            return
        for frame in self._audio_decoder.frames(packet):
            try:
                self._track.take(frame)
            except MemoryError:
                raise
            except AUDIO_ERRORS as error:
                self._audio_decoder.errors.append(str(error))
        if len(self._track.ready) >= SOUND_BYTES_A_MESSAGE:
            send_sound(self._track, self._send)

    def _facts(self, pictures: PictureTrack, duration_s: float) -> SourceFacts:
        media, track, clock = self._media, self._track, self._clock
        audio_start_s = None if track is None or track.start_s is None else track.start_s - clock.origin_s
        audio_duration_s = None if track is None or track.start_s is None else track.samples / AUDIO_RATE_HZ
        ends_s = [
            clock.origin_s + duration_s,
            *([] if track is None or track.start_s is None else [track.start_s + (audio_duration_s or 0.0)]),
        ]
        cut = cut_short(self._survey, max(ends_s) - self._survey.start_s)
        lost_video = [*self._broken_off, *([] if self._survey.promised_frames else cut)]
        lost_video += [*self._lost_start(pictures.decoded), *self._lost_frames(pictures.decoded), *pictures.lost()]
        lost_audio = [*self._broken_off, *([] if self._survey.promised_audio_s else cut), *self._lost_sound()]
        if not media.audio_streams:
            lost_audio = []
        repaired = [*self._survey.stamps.notes(), *clock.notes(), *pictures.repaired(), *(track.repaired() if track else ())]
        if self._guessed_matrix is not None:
            repaired.append(
                f"colours may be wrong: their matrix ({self._guessed_matrix} in ISO 23091-2) cannot be converted; export as BT.709"
            )
        width_px, height_px = pictures.view.shown_px
        return SourceFacts(
            size_bytes=os.fstat(self._job.input_fd).st_size,
            container=media.container.format.name,
            video_codec=media.video.codec_context.codec.canonical_name,
            audio_codec=None if media.audio is None else media.audio.codec_context.codec.canonical_name,
            width_px=width_px,
            height_px=height_px,
            rotation_deg=pictures.view.orientation.rotation_deg,
            mirrored=pictures.view.orientation.mirrored,
            duration_s=duration_s,
            fps=pictures.decoded / clock.end_s if pictures.decoded > 1 else None,
            frames_decoded=pictures.decoded,
            frames_sampled=pictures.sampled,
            sampling_fps=pictures.sampling_fps,
            stored_width_px=pictures.painter.width_px,
            stored_height_px=pictures.painter.height_px,
            audio_start_s=audio_start_s,
            audio_duration_s=audio_duration_s,
            video_streams=media.video_streams,
            audio_streams=media.audio_streams,
            problems=tuple(dict.fromkeys((*lost_video, *lost_audio, *repaired))),
            lost_video=tuple(lost_video),
            lost_audio=tuple(lost_audio),
            video_stream=media.video_place,
            audio_stream=media.audio_place,
            audio_layout=None if media.audio is None else layout_of(media.audio.codec_context.layout),
            loudness_lufs=None if track is None else track.loudness_lufs(),
            origin_s=clock.origin_s,
            repaired_stamps=clock.repaired,
            cadence_fps=1 / self._survey.period_s if pictures.decoded > 1 else None,
            color_transfer=pictures.color_transfer,
            is_slide_show=is_slide_show(media.container.metadata),
        )

    def _lost_start(self, frames: int) -> list[str]:
        """Whether the first pictures cannot be seen: times begin with the first one that can."""
        first_s, period_s = self._survey.pictures_from_s, self._survey.period_s
        is_known = self._survey.begins_with_key or bool(self._video_errors) or frames < self._survey.promised_frames
        if first_s is None or not self._clock.is_origin_stated or not is_known:
            return []
        late_s = self._clock.origin_s - first_s - self._times.delay_s
        if late_s < period_s / 2:
            return []
        return [f"the first {late_s:.2f} s of pictures, at the start, could not be decoded; times count from the first one that could"]

    def _lost_frames(self, frames: int) -> list[str]:
        """What the header promised and the file does not hold, and what it holds in vain."""
        found = []
        if frames < self._survey.promised_frames:
            found.append(f"{frames} of {self._survey.promised_frames} promised frames decoded")
        if self._video_errors:
            broken = counted(len(self._video_errors), "video packet")
            found.append(f"{broken} could not be decoded: {self._video_errors[0]}")
        return found

    def _lost_sound(self) -> list[str]:
        if self._track is None or self._audio_decoder is None:
            return ["no audio stream has a codec that is known here"]
        hidden_s, audio = 0.0, self._media.audio
        # libav drops the samples that an edit list hides. The length that it states is without them, but for sound in fragments, of
        # which no index counts the packets.
        in_fragments = audio is not None and audio.frames == 0
        if in_fragments and self._track.start_s is not None and self._survey.audio_from_s is not None and not self._audio_decoder.errors:
            hidden_s = max(0.0, self._track.start_s - self._survey.audio_from_s)
        return self._track.lost(self._audio_decoder.errors, max(0.0, self._survey.promised_audio_s - hidden_s))


def _reorder_depth(media: Media) -> int:
    """How many frames the clock may hold back: of large ones fewer, for the sake of memory."""
    pixels = max(1, media.video.codec_context.width * media.video.codec_context.height)
    return max(2, min(REORDER_DEPTH, REORDER_DEPTH * _PIXELS_FULL_DEPTH // pixels))


def _extract(job: Job, kind: PictureFormat | None, send_message: Send) -> SourceFacts:
    """Decode the file as what it is: a picture, a video, or sound without a video stream.

    Raises:
        MediaError: see `Extraction.run`.
    """
    if kind is not None and kind.is_unsupported:
        raise MediaError(f"{kind.name} pictures cannot be decoded here", hint="convert it to JPEG or PNG")
    if kind is not None and not (kind.name == "JPEG" and is_motion_jpeg(job.input_fd)):
        return extract_pictures(job, kind, send_message)
    media = open_media(job.input_fd)
    if isinstance(media, SoundMedia):
        return extract_sound(job, media, send_message)
    return Extraction(job, media, send_message).run()


def main(argument: str) -> None:
    """Do one job; its outcome goes through the pipe."""
    job = Job.from_json(argument)
    kind = prepare_pictures(job.input_fd)  # looks at the first bytes only; later no library can be opened
    cage.import_what_decoding_needs()
    confine_this_process(job.limits, job.parent_pid)
    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)
    with os.fdopen(job.output_fd, "wb") as pipe:
        try:
            cage.enter(job.input_fd, job.output_fd)
            facts = _extract(job, kind, partial(send, pipe))
            send(pipe, {"kind": "done", "facts": asdict(facts)})
        except MediaError as error:
            send(pipe, {"kind": "error", "what": error.what, "hint": error.hint})
        except MemoryError:
            megabytes = job.limits.memory_bytes // 2**20
            send(
                pipe,
                {"kind": "error", "what": f"decoding takes more than {megabytes} MB of memory", "hint": "raise --limits-decode-memory-mb"},
            )
        except Exception as error:  # noqa: BLE001 -- the one boundary: whatever strangers' bytes make PyAV raise is this video's error
            what = f"the decoder failed: {type(error).__name__}: {error}"
            send(pipe, {"kind": "error", "what": what, "hint": "the file is damaged, or please report it"})


if __name__ == "__main__":
    main(sys.argv[1])
