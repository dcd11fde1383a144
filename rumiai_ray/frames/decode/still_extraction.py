"""One pass over a picture file: one frame, or the frames of an animation, as if it were a video without sound."""

from __future__ import annotations

import os
from statistics import median
from typing import TYPE_CHECKING

from rumiai_ray.frames.decode.picture_files import PictureFile
from rumiai_ray.frames.decode.picture_track import Picture, PictureTrack, refuse_too_long
from rumiai_ray.frames.types import SourceFacts

if TYPE_CHECKING:
    from rumiai_ray.frames.decode.job import Job
    from rumiai_ray.frames.decode.picture_files import PictureFormat
    from rumiai_ray.frames.decode.picture_track import Send


def extract_pictures(job: Job, kind: PictureFormat, send: Send) -> SourceFacts:
    """Decode every picture and send it; returns the facts.

    Raises:
        MediaError: nothing can be decoded, or a limit was reached.
    """
    durations_s = PictureFile(job.input_fd, kind, job.limits.max_pixels).durations_s()
    refuse_too_long(sum(durations_s), job.limits.max_duration_s)
    file = PictureFile(job.input_fd, kind, job.limits.max_pixels)  # a sequence is decoded from its beginning once more
    track: PictureTrack | None = None
    time_s = 0.0
    for shown in file.pictures():
        if track is None:
            track = PictureTrack(shown.view, sum(durations_s), job, send)
        track.take(time_s, Picture(shown.frame, shown.view))
        time_s += shown.duration_s
    if track is None:
        raise AssertionError("a picture file has at least one picture, or reading it has raised")
    track.finish(time_s)
    lost = (*file.damage, *track.lost())
    width_px, height_px = track.view.shown_px
    return SourceFacts(
        size_bytes=os.fstat(job.input_fd).st_size,
        container=kind.name.lower(),
        video_codec=kind.codec,
        audio_codec=None,
        width_px=width_px,
        height_px=height_px,
        rotation_deg=file.orientation.rotation_deg,
        mirrored=file.orientation.mirrored,
        duration_s=time_s,
        fps=track.decoded / time_s if track.decoded > 1 else None,
        frames_decoded=track.decoded,
        frames_sampled=track.sampled,
        sampling_fps=track.sampling_fps,
        stored_width_px=track.painter.width_px,
        stored_height_px=track.painter.height_px,
        audio_start_s=None,
        audio_duration_s=None,
        video_streams=1,
        audio_streams=0,
        problems=(*lost, *track.repaired()),
        lost_video=lost,
        lost_audio=(),
        cadence_fps=1 / median(durations_s) if track.decoded > 1 else None,
        color_transfer=track.color_transfer,
    )
