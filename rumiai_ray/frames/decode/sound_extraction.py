"""One pass over a file that has sound and no video stream: a song, a podcast, a voice message. There are no frames in it.

Runs inside the decoding subprocess.
"""

from __future__ import annotations

import os
from itertools import chain
from typing import TYPE_CHECKING

from rumiai_ray.errors import MediaError
from rumiai_ray.frames.decode.container import PacketDecoder, packets, reopened
from rumiai_ray.frames.decode.loudness import layout_of
from rumiai_ray.frames.decode.picture_track import MICROSECOND, refuse_too_long
from rumiai_ray.frames.decode.sound import AUDIO_ERRORS, SOUND_BYTES_A_MESSAGE, SoundTrack, send_sound
from rumiai_ray.frames.decode.survey import cut_short, survey_sound
from rumiai_ray.frames.types import AUDIO_RATE_HZ, SourceFacts

if TYPE_CHECKING:
    from rumiai_ray.frames.decode.container import SoundMedia
    from rumiai_ray.frames.decode.job import Job
    from rumiai_ray.frames.decode.picture_track import Send


def extract_sound(job: Job, media: SoundMedia, send: Send) -> SourceFacts:
    """Decode all sound and send it; returns the facts. Second 0 is the first sample.

    Args:
        job: within which limits.
        media: the file, at its beginning; it is closed.
        send: the way to the parent.

    Raises:
        MediaError: nothing can be decoded, or a limit was reached.
    """
    surveyed = survey_sound(media, job.input_fd)
    refuse_too_long(surveyed.duration_s, job.limits.max_duration_s)
    media = reopened(media, job.input_fd)
    track = SoundTrack(
        media.audio.time_base or MICROSECOND,
        surveyed.duration_s,
        job.limits.max_duration_s,
        stamp_as_it_counts=surveyed.stamps.close,
    )
    broken_off: list[str] = []
    decoder = PacketDecoder(media.audio)
    errors = decoder.errors
    for packet in chain(packets(media, (media.audio,), broken_off), (None,)):
        for frame in decoder.frames(packet):
            try:
                track.take(frame)
            except MemoryError:
                raise
            except AUDIO_ERRORS as error:
                errors.append(str(error))
        if len(track.ready) >= SOUND_BYTES_A_MESSAGE:
            send_sound(track, send)
    track.finish()
    send_sound(track, send)
    if track.start_s is None or not track.samples:
        why = errors[0] if errors else "the file holds no sound data"
        raise MediaError(f"not one sample can be decoded: {why}", hint="the file is damaged or not complete")
    duration_s = track.samples / AUDIO_RATE_HZ
    lost = [*broken_off, *([] if surveyed.promised_audio_s else cut_short(surveyed, duration_s))]
    lost += track.lost(errors, surveyed.promised_audio_s)
    return SourceFacts(
        size_bytes=os.fstat(job.input_fd).st_size,
        container=media.container.format.name,
        video_codec=None,
        audio_codec=media.audio.codec_context.codec.canonical_name,
        width_px=None,
        height_px=None,
        rotation_deg=None,
        mirrored=None,
        duration_s=duration_s,
        fps=None,
        frames_decoded=0,
        frames_sampled=0,
        sampling_fps=None,
        stored_width_px=None,
        stored_height_px=None,
        audio_start_s=0.0,
        audio_duration_s=duration_s,
        video_streams=0,
        audio_streams=media.audio_streams,
        problems=tuple(dict.fromkeys((*lost, *surveyed.stamps.notes(), *track.repaired()))),
        lost_video=(),
        lost_audio=tuple(lost),
        video_stream=None,
        audio_stream=media.audio_place,
        audio_layout=layout_of(media.audio.codec_context.layout),
        loudness_lufs=track.loudness_lufs(),
        origin_s=track.start_s,
        repaired_stamps=0,
    )
