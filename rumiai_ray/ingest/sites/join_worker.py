"""The process that puts a post's pictures and its sound into one file: `python -m rumiai_ray.ingest.sites.join_worker`.

It reads a `JoinJob` from standard input, confines itself to its three descriptors as the decoder does, copies packets and answers in one
line of JSON: `joined`, or `error` with what is wrong. Nothing is decoded and nothing encoded.
"""

from __future__ import annotations

import heapq
import json
import math
import os
import sys
from typing import TYPE_CHECKING, Any

import av
import av.logging
from av.stream import Disposition

from rumiai_ray.confinement import Confinement, confine
from rumiai_ray.confinement.preloading import import_av
from rumiai_ray.confinement.process_limits import limit_process
from rumiai_ray.errors import MediaError
from rumiai_ray.ingest.sites.job import JoinJob
from rumiai_ray.ingest.stated_length import states_its_length

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

_CONTAINERS = "mov,matroska,webm,mpegts,flv,ogg,mp3,aac,flac,wav"
"""Demuxers that may be used: what sites send, and none that opens other files."""
_BUFFER_BYTES = 2**18
_NOT_MOVING = Disposition.attached_pic | Disposition.timed_thumbnails
_BROKEN_OFF = 0.9
"""A file that ends a second and this share before the end its header promises has been cut; headers are not exact."""
_MAX_OPEN_FILES = 64
_MAX_MESSAGE_CHARS = 500


class _FileOfADescriptor:
    """A file known by its descriptor. libav gets no name to guess a format, a pattern or a protocol from."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)


class _Source(_FileOfADescriptor):
    def read(self, size: int) -> bytes:
        return os.read(self._descriptor, size)


class _Target(_FileOfADescriptor):
    def write(self, data: bytes) -> int:
        view, written = memoryview(data), 0
        while written < len(view):
            written += os.write(self._descriptor, view[written:])
        return written


def join(pictures_fd: int, sound_fd: int, output_fd: int) -> None:
    """Write the best moving video stream of one file and the best audio stream of another into a third.

    The third is an MP4, or a Matroska file where MP4 has no place for one of the codecs. Both streams keep their timestamps. The same
    two files give the same bytes.

    Raises:
        MediaError: a file cannot be read to its end, or lacks its stream.
    """
    pictures, sound = _opened(pictures_fd, "pictures"), _opened(sound_fd, "sound")
    moving = [stream for stream in pictures.streams.video if not stream.disposition & _NOT_MOVING and stream.codec_context is not None]
    audible = [stream for stream in sound.streams.audio if stream.codec_context is not None]
    if not moving or not audible:
        raise MediaError("the file of the pictures has no video stream" if not moving else "the file of the sound has no audio stream")
    chosen = (_best(pictures, "video", moving), _best(sound, "audio", audible))
    try:
        with _output(output_fd, {stream.codec_context.codec.canonical_name for stream in chosen}) as output:
            copies = [output.add_stream_from_template(stream) for stream in chosen]
            files = zip((pictures, sound), chosen, _NAMES, (pictures_fd, sound_fd), strict=True)
            parts = (_packets(container, stream, name, descriptor) for container, stream, name, descriptor in files)
            for _, number, packet in heapq.merge(*(_timed(part, number) for number, part in enumerate(parts)), key=lambda item: item[:2]):
                packet.stream = copies[number]
                output.mux_one(packet)
    except av.FFmpegError as error:
        raise MediaError(f"they cannot be put together: {error.strerror}") from error


_NAMES = ("pictures", "sound")


def _opened(descriptor: int, what: str) -> InputContainer:
    try:
        return av.open(
            _Source(descriptor),
            mode="r",
            container_options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "none"},
            metadata_errors="replace",
            buffer_size=_BUFFER_BYTES,
        )
    except av.FFmpegError as error:
        raise MediaError(f"the file of the {what} is no media file, or damaged beyond reading: {error.strerror}") from error


def _best(container: InputContainer, kind: str, readable: list[Any]) -> Any:
    best = container.streams.best("video" if kind == "video" else "audio")
    return next((stream for stream in readable if best is not None and stream.index == best.index), readable[0])


def _output(descriptor: int, codecs: set[str]) -> OutputContainer:
    """The container to write; `bitexact` keeps libav's version and the time of day out of it."""
    options = {"fflags": "+bitexact"}
    output = av.open(_Target(descriptor), mode="w", format="mp4", container_options=options, buffer_size=_BUFFER_BYTES)
    if codecs <= output.supported_codecs:
        return output
    return av.open(_Target(descriptor), mode="w", format="matroska", container_options=options, buffer_size=_BUFFER_BYTES)


def _packets(container: InputContainer, stream: Any, what: str, descriptor: int) -> Iterator[Packet[Any]]:
    """All packets of a stream; where they end early is an error, for the new file's header promises no more than there is."""
    first_s, end_s = math.inf, 0.0
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
                if packet.pts is not None:
                    first_s = min(first_s, float(packet.pts * packet.time_base))
                    end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    except av.FFmpegError as error:
        raise MediaError(f"the file of the {what} breaks off: {error.strerror}") from error
    if not states_its_length(container.format.name, descriptor):
        return
    promised_s = float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / av.time_base
    if end_s - first_s < _BROKEN_OFF * promised_s - 1:
        raise MediaError(f"the file of the {what} breaks off after {max(0.0, end_s - first_s):.1f} of {promised_s:.1f} s")


def _timed(packets: Iterator[Packet[Any]], number: int) -> Iterator[tuple[float, int, Packet[Any]]]:
    """(decoding time in seconds, number of the part, packet); a packet without a time comes with the one before it."""
    time_s = -math.inf
    for packet in packets:
        stamp = packet.pts if packet.dts is None else packet.dts
        time_s = time_s if stamp is None else float(stamp * packet.time_base)
        yield time_s, number, packet


def main() -> None:
    """Do one job."""
    job = JoinJob.from_json(sys.stdin.read())
    import_av()
    limit_process(
        memory_bytes=job.memory_bytes,
        cpu_s=job.cpu_s,
        file_bytes=job.max_bytes,
        open_files=_MAX_OPEN_FILES,
        parent_pid=job.parent_pid,
    )
    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)
    confine(Confinement(descriptors=(job.pictures_fd, job.sound_fd, job.output_fd)))
    try:
        join(job.pictures_fd, job.sound_fd, job.output_fd)
        answer = {"kind": "joined"}
    except MediaError as error:
        answer = {"kind": "error", "what": error.what[:_MAX_MESSAGE_CHARS]}
    except Exception as error:  # noqa: BLE001 -- the one boundary: whatever strangers' bytes make PyAV raise is this post's error
        why = (
            f"more than {job.memory_bytes // 2**20} MB of memory" if isinstance(error, MemoryError) else f"{type(error).__name__}: {error}"
        )
        answer = {"kind": "error", "what": f"putting them together failed: {why}"[:_MAX_MESSAGE_CHARS]}
    os.write(1, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main()
