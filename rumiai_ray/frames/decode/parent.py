"""One decode pass over one video, in a subprocess that may crash, hang or balloon without hurting anybody else.

The subprocess decodes and scales; this side watches it and, while it decodes on, turns its pictures into JPEG.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import stat
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from rumiai_ray.confinement import protect_parent
from rumiai_ray.confinement.child_python import child_search_path
from rumiai_ray.errors import ConfigError, InputError, MediaError, TransientError
from rumiai_ray.frames.decode import cage, checked
from rumiai_ray.frames.decode.allowance import Allowance
from rumiai_ray.frames.decode.changed import ChangedError, has_changed
from rumiai_ray.frames.decode.job import Job
from rumiai_ray.frames.decode.wire import WireError, receive
from rumiai_ray.frames.types import SourceFacts

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from rumiai_ray.frames.limits import DecodeLimits
    from rumiai_ray.frames.sampling import SamplingSpec

_DECODER = ("-P", "-S", "-m", "rumiai_ray.frames.decode.child")
"""The options are those of `child_command`."""
_PIPE_BYTES = 2**20
_TAKEN_OVER = ("LD_LIBRARY_PATH", "PYTHONHOME", "TMPDIR")
"""All the subprocess gets of the environment: a decoder that a video has taken over finds no credentials there."""


@dataclass(frozen=True)
class DecodedFrame:
    """One sampled frame."""

    source_frame: int
    """Index among the decoded frames, in presentation order."""
    time_s: float
    """When it is first shown, seconds from the first presented frame."""
    shown_until_s: float
    """When the next decoded frame takes its place, or the video ends; above `time_s`."""
    jpeg: bytes


@dataclass(frozen=True)
class DecodedThumbnails:
    """Thumbnails of consecutive frames, sampled or not."""

    time_s: tuple[float, ...]
    """Seconds from the first presented frame."""
    jpegs: tuple[bytes, ...]


@dataclass(frozen=True)
class DecodedSound:
    """The next stretch of audio."""

    samples: bytes
    """s16le mono at `AUDIO_RATE_HZ`."""


Piece: TypeAlias = DecodedFrame | DecodedThumbnails | DecodedSound | SourceFacts


def decode(path: Path, spec: SamplingSpec, limits: DecodeLimits, *, sha256: str | None = None) -> Generator[Piece, None, None]:
    """Decode a video once, from its first frame to its last.

    Args:
        path: the video; its name plays no part in how it is read.
        spec: which frames, at what size.
        limits: what this may cost.
        sha256: of the bytes that are meant. What has been decoded is compared with it before the facts are given; None for
            whatever lies there.

    Yields:
        Frames, thumbnails and sound, each in order of presentation; last of all, and only if all went well, the facts.

    Raises:
        InputError: there is no such file, or it may not be read.
        MediaError: it is no video that can be read within `limits`.
        ChangedError: the file does not hold the bytes of `sha256`.
        TransientError: no subprocess can be started now.
        ConfigError: `limits` require a sandbox that this machine's kernel cannot enforce.
    """
    subject = printable(path)
    if limits.require_sandbox and (missing := cage.missing_layers()):
        raise ConfigError(
            f"decoding is not confined on this machine: {'; '.join(missing)}",
            subject,
            "see `rumiai-ray doctor`, or leave out --limits-require-sandbox",
        )
    protect_parent()
    with _opened(path, subject) as input_fd:
        size_bytes = os.fstat(input_fd).st_size
        try:
            _refuse_size(size_bytes, limits, subject)
            with _Child(input_fd, subject, spec, limits) as child:
                facts = yield from _pieces(child, spec, Allowance(spec, limits), subject)
        except MediaError as error:
            if has_changed(input_fd, size_bytes, sha256):  # damage in half a copy says nothing about the video
                raise ChangedError.of(subject) from error
            raise
        if has_changed(input_fd, size_bytes, sha256):
            raise ChangedError.of(subject)
        yield facts


def _refuse_size(size_bytes: int, limits: DecodeLimits, subject: str) -> None:
    if size_bytes == 0:
        raise MediaError("the file is empty", subject, "get it again")
    if size_bytes > limits.max_file_bytes:
        megabytes = limits.max_file_bytes / 2**20
        raise MediaError(
            f"the file's size, {size_bytes / 2**20:.1f} MB, is above {megabytes:g} MB", subject, "raise --limits-max-input-mb to allow it"
        )


def _pieces(child: _Child, spec: SamplingSpec, allowance: Allowance, subject: str) -> Generator[Piece, None, SourceFacts]:
    """Everything the subprocess sends before the facts; returns them."""
    while (message := child.next_message()) is not None:
        try:
            allowance.take(*message)
            pieces = list(_understood(*message, spec, subject))
        except (KeyError, TypeError, ValueError) as error:
            raise MediaError(
                "the decoder sent an invalid message", subject, "the file may be built to take over decoders: do not trust it"
            ) from error
        for piece in pieces:
            if isinstance(piece, SourceFacts):
                return piece
            yield piece
    raise child.death()


def printable(path: Path) -> str:
    """The path as one line of text, whatever characters are in it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(path))


@contextmanager
def _opened(path: Path, subject: str) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a named pipe would block
    except OSError as error:
        raise InputError(f"cannot be opened: {error.strerror}", subject, "check the path and its permissions") from error
    except ValueError as error:  # a NUL in the name
        raise InputError(f"not a possible file name: {error}", subject) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError("not a regular file", subject, "give a file that holds a video")
        yield descriptor
    finally:
        os.close(descriptor)


def _understood(
    header: dict[str, Any],
    payload: bytes | bytearray,
    spec: SamplingSpec,
    subject: str,
) -> Iterator[Piece]:
    match header["kind"]:
        case "frame":
            source_frame, time_s = checked.count(header["source_frame"]), checked.seconds(header["time_s"])
            [jpeg] = _jpegs(header, payload, spec.jpeg_quality)
            yield DecodedFrame(source_frame, time_s, checked.seconds(header["shown_until_s"]), jpeg)
        case "thumbnails":
            times_s = checked.times(header["time_s"])
            jpegs = tuple(_jpegs(header, payload, spec.thumbnail_quality))
            if len(jpegs) != len(times_s):
                raise ValueError(f"{len(jpegs)} thumbnails for {len(times_s)} times")
            yield DecodedThumbnails(times_s, jpegs)
        case "sound":
            yield DecodedSound(checked.samples(payload))
        case "done":
            yield checked.facts(header["facts"])
        case _:
            raise MediaError(checked.text(header["what"]), subject, checked.text(header["hint"]))


def _jpegs(header: dict[str, Any], payload: bytes | bytearray, quality: int) -> Iterator[bytes]:
    import cv2  # noqa: PLC0415 -- heavy, and readers of the store do without it

    for picture in np.frombuffer(payload, np.uint8).reshape(-1, header["height_px"], header["width_px"], 3):
        encoded, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not encoded:
            raise ValueError(f"OpenCV cannot encode a picture of shape {picture.shape}")
        yield jpeg.tobytes()


class _Child:
    """The decoding subprocess, alone in its process group, and its end of the pipe. Leaving the context ends the whole group."""

    def __init__(self, input_fd: int, subject: str, spec: SamplingSpec, limits: DecodeLimits) -> None:
        self._subject = subject
        self._limits = limits
        self._deadline = time.monotonic() + limits.wall_s
        self._pipe, output_fd = os.pipe()
        with suppress(OSError):  # a smaller pipe works too
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLIN)
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- this Python, this package, arguments we made
                [sys.executable, *_DECODER, Job(input_fd, output_fd, os.getpid(), spec, limits).to_json()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(input_fd, output_fd),
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            os.close(self._pipe)
            hint = "the machine is short of processes or memory"
            raise TransientError(f"the decoder cannot be started: {error.strerror}", subject, hint) from error
        finally:
            os.close(output_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        os.close(self._pipe)

    def next_message(self) -> tuple[dict[str, Any], bytes | bytearray] | None:
        """The next message, or None where the subprocess has ended without another word."""
        try:
            return receive(self._read)
        except WireError:
            return None

    def death(self) -> MediaError:
        """Why the subprocess ended without finishing, as an error to raise."""
        status = self._end()  # it has closed its pipe, so it is gone and the signal comes too late, or it only pretends to be
        if status == -signal.SIGXCPU:
            return MediaError(f"decoding took more than {self._limits.cpu_s:g} s of CPU", self._subject, "raise --limits-decode-timeout-s")
        if status == -signal.SIGKILL:
            return MediaError("the decoder was killed with SIGKILL", self._subject, "the machine may be short of memory")
        if status < 0:
            how = next((known.name for known in signal.Signals if known == -status), f"signal {-status}")
            return MediaError(f"the decoder crashed with {how}", self._subject, "the file is damaged, or made to crash decoders")
        return MediaError(f"the decoder ended early with status {status}", self._subject, "the file is damaged, or please report it")

    def _read(self, size: int) -> bytearray:
        """Exactly `size` bytes, fewer only at the end of the stream."""
        data = bytearray(size)
        view, filled = memoryview(data), 0
        while filled < size:
            self._wait_readable()
            count = os.readv(self._pipe, [view[filled:]])
            if count == 0:
                break
            filled += count
        view.release()
        del data[filled:]
        return data

    def _wait_readable(self) -> None:
        remaining_s = self._deadline - time.monotonic()
        if remaining_s <= 0 or not self._poll.poll(remaining_s * 1000):
            raise MediaError(f"decoding took longer than {self._limits.wall_s:g} s", self._subject, "raise --limits-decode-timeout-s")

    def _end(self) -> int:
        """Kill the group, if that has not been done, and return the subprocess's status."""
        if self._process.returncode is None:  # once it is reaped, its number may be another process's
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()


def _environment() -> dict[str, str]:
    taken_over = {name: os.environ[name] for name in _TAKEN_OVER if name in os.environ}
    return {**taken_over, "PYTHONPATH": child_search_path(), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
