"""The process that puts a post's pictures and its sound into one file: `python -m rumiai_ray.ingest.sites.join_worker`.

It reads a `JoinJob` from standard input, confines itself to its three descriptors as the decoder does, copies packets and answers in one
line of JSON: `joined`, or `error` with what is wrong. Nothing is decoded and nothing encoded.
"""

from __future__ import annotations

import sys

import av

from rumiai_ray.errors import MediaError
from rumiai_ray.ingest.sites.job import JoinJob
from rumiai_ray.ingest.sites.muxing import SourceStream, interleave, output_for, work


def join(pictures_fd: int, sound_fd: int, output_fd: int) -> None:
    """Write the best moving video stream of one file and the best audio stream of another into a third.

    Both streams keep their timestamps. The same two files give the same bytes.

    Raises:
        MediaError: a file cannot be read to its end, or lacks its stream.
    """
    parts = (SourceStream(pictures_fd, "video", "pictures"), SourceStream(sound_fd, "audio", "sound"))
    try:
        with output_for(output_fd, {part.stream.codec_context.codec.canonical_name for part in parts}) as output:
            interleave(output, [(output.add_stream_from_template(part.stream), part.packets()) for part in parts])
    except av.FFmpegError as error:
        raise MediaError(f"picture and sound cannot be put together: {error.strerror}") from error


def main() -> None:
    """Do one job."""
    job = JoinJob.from_json(sys.stdin.read())

    def do() -> dict[str, object]:
        join(job.pictures_fd, job.sound_fd, job.output_fd)
        return {}

    work(job, (job.pictures_fd, job.sound_fd, job.output_fd), do)


if __name__ == "__main__":
    main()
