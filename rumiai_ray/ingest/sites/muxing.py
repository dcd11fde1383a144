"""Reading and writing media files by their descriptors, in a process that is confined to them. Packets are copied: nothing is decoded."""

from __future__ import annotations

import heapq
import json
import math
import os
from typing import TYPE_CHECKING, Any, Literal

import av
import av.logging
from av.stream import Disposition

from rumiai_ray.confinement import Confinement, confine
from rumiai_ray.confinement.preloading import import_av
from rumiai_ray.confinement.process_limits import limit_process
from rumiai_ray.errors import MediaError
from rumiai_ray.ingest.stated_length import states_its_length

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

    from rumiai_ray.ingest.sites.job import JoinJob, SlideShowJob

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


class SourceStream:
    """The best stream of one kind of one file.

    Args:
        descriptor: of the file.
        kind: `video`, of which only moving ones count, or `audio`.
        what: the file holds, for messages.

    Raises:
        MediaError: the file cannot be read, or has no such stream.
    """

    def __init__(self, descriptor: int, kind: Literal["video", "audio"], what: str) -> None:
        self._descriptor = descriptor
        self._what = what
        self._container = _opened(descriptor, what)
        found = [stream for stream in self._container.streams if stream.type == kind and stream.codec_context is not None]
        usable = [stream for stream in found if not stream.disposition & _NOT_MOVING] if kind == "video" else found
        if not usable:
            raise MediaError(f"the file of the {what} has no {kind} stream")
        best = self._container.streams.best(kind)
        self.stream: Any = next((stream for stream in usable if best is not None and stream.index == best.index), usable[0])

    def packets(self) -> Iterator[Packet[Any]]:
        """All packets of the stream; where they end early is an error, for the new file's header promises no more than there is."""
        first_s, end_s = math.inf, 0.0
        try:
            for packet in self._container.demux(self.stream):
                if packet.size:
                    yield packet
                    if packet.pts is not None:
                        first_s = min(first_s, float(packet.pts * packet.time_base))
                        end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        except av.FFmpegError as error:
            raise MediaError(f"the file of the {self._what} breaks off: {error.strerror}") from error
        if not states_its_length(self._container.format.name, self._descriptor):
            return
        stated_s = float(self.stream.duration * self.stream.time_base) if self.stream.duration else None
        promised_s = (self._container.duration or 0) / av.time_base if stated_s is None else stated_s
        if end_s - first_s < _BROKEN_OFF * promised_s - 1:
            raise MediaError(f"the file of the {self._what} breaks off after {max(0.0, end_s - first_s):.1f} of {promised_s:.1f} s")


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
        raise MediaError(f"the file of the {what} is not a media file, or is damaged beyond reading: {error.strerror}") from error


def output_for(descriptor: int, codecs: set[str]) -> OutputContainer:
    """The container to write: an MP4, or a Matroska file where MP4 has no place for one of the codecs.

    `bitexact` keeps libav's version and the time of day out of it.
    """
    options = {"fflags": "+bitexact"}
    output = av.open(_Target(descriptor), mode="w", format="mp4", container_options=options, buffer_size=_BUFFER_BYTES)
    if codecs <= output.supported_codecs:
        return output
    return av.open(_Target(descriptor), mode="w", format="matroska", container_options=options, buffer_size=_BUFFER_BYTES)


def interleave(output: OutputContainer, parts: Sequence[tuple[Any, Iterator[Packet[Any]]]]) -> None:
    """Write packets in the order of their times.

    Args:
        output: to write to.
        parts: a stream of `output`, and the packets for it in decoding order.
    """
    timed = (_timed(packets, number) for number, (_, packets) in enumerate(parts))
    for _, number, packet in heapq.merge(*timed, key=lambda item: item[:2]):
        packet.stream = parts[number][0]
        output.mux_one(packet)


def _timed(packets: Iterator[Packet[Any]], number: int) -> Iterator[tuple[float, int, Packet[Any]]]:
    """(decoding time in seconds, number of the part, packet); a packet without a time comes with the one before it."""
    time_s = -math.inf
    for packet in packets:
        stamp = packet.pts if packet.dts is None else packet.dts
        time_s = time_s if stamp is None else float(stamp * packet.time_base)
        yield time_s, number, packet


def work(job: JoinJob | SlideShowJob, descriptors: tuple[int, ...], do: Callable[[], dict[str, object]]) -> None:
    """Do one job within its limits, confined to its descriptors, and answer on standard output.

    Args:
        job: says the limits.
        descriptors: all files that stay open.
        do: does it; returns what the answer holds beside that all went well.
    """
    import_av()
    limit_process(
        memory_bytes=job.memory_bytes,
        cpu_s=job.cpu_s,
        file_bytes=job.max_bytes,
        open_files=_MAX_OPEN_FILES + len(descriptors),
        parent_pid=job.parent_pid,
    )
    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)
    confine(Confinement(descriptors=descriptors))
    answer: dict[str, object]
    try:
        answer = {"kind": "joined", **do()}
    except MediaError as error:
        answer = {"kind": "error", "what": error.what[:_MAX_MESSAGE_CHARS]}
    except Exception as error:  # noqa: BLE001 -- the one boundary: whatever strangers' bytes make PyAV raise is this post's error
        why = (
            f"more than {job.memory_bytes // 2**20} MB of memory" if isinstance(error, MemoryError) else f"{type(error).__name__}: {error}"
        )
        answer = {"kind": "error", "what": f"putting them together failed: {why}"[:_MAX_MESSAGE_CHARS]}
    os.write(1, json.dumps(answer).encode() + b"\n")
