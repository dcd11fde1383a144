"""What a site serves in several files, put together into one by PyAV, in a process as confined as the decoder's."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from rumiai_ray.confinement.child_python import child_command
from rumiai_ray.errors import MediaError, TransientError
from rumiai_ray.ingest.local import open_regular
from rumiai_ray.ingest.sites import process as _site_process
from rumiai_ray.ingest.sites.job import JoinJob, SlideShowJob, described_notes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from rumiai_ray.ingest.limits import FetchLimits

_WORKER = "rumiai_ray.ingest.sites.join_worker"
_SLIDE_SHOW_WORKER = "rumiai_ray.ingest.sites.slide_show_worker"
_LOOK_EVERY_S = 0.5
_END_S = 10.0
"""Time to end after its answer: milliseconds, on a busy machine a second. One that was taken over may close its pipe and stay."""
_HEADER_BYTES = 2**20
"""Allowance for what a container adds to its streams' packets, beside a twentieth of these."""
_IMAGE_BYTES = 12 * 2**20
"""Allowance for an image of the largest size, noise at the quality that the process encodes at."""
_MAX_ANSWER_BYTES = 2**16
_HINT = "the site may have sent half a file: try again later"


def join(
    pictures: Path, sound: Path, target: Path, url: str, limits: FetchLimits, *, remaining_s: Callable[[], float], look: Callable[[], None]
) -> None:
    """Write the pictures of one file and the sound of another into `target`. Packets are copied: nothing is decoded or encoded.

    Args:
        pictures: the file whose best video stream is taken.
        sound: the file whose best audio stream is taken.
        target: not there yet; removed where this fails.
        url: the post, for messages.
        limits: memory and CPU time of the process.
        remaining_s: the time left.
        look: called twice a second while the process works; raises to end it.

    Raises:
        MediaError: one of them cannot be read to its end, or takes more than `limits`.
        TransientError: the process cannot be started or was killed, or the time is up.
    """
    with (
        open_regular(str(pictures)) as pictures_file,
        open_regular(str(sound)) as sound_file,
        _new_file(target) as target_file,
    ):
        size_bytes = sum(os.fstat(file.fileno()).st_size for file in (pictures_file, sound_file))
        descriptors = (pictures_file.fileno(), sound_file.fileno(), target_file.fileno())
        job = JoinJob(
            *descriptors,
            parent_pid=os.getpid(),
            max_bytes=size_bytes + size_bytes // 20 + _HEADER_BYTES,
            memory_bytes=limits.site_memory_bytes,
            cpu_s=limits.site_cpu_s,
        )
        _check(*_run(_Task(_WORKER, job.to_json(), descriptors), url, remaining_s, look), "picture and sound are separate files", url)


def show(
    images: Mapping[int, Path],
    sound: Path | None,
    target: Path,
    url: str,
    limits: FetchLimits,
    *,
    remaining_s: Callable[[], float],
    look: Callable[[], None],
) -> tuple[int, tuple[str, ...]]:
    """Write a video of a post's images into `target`, with the sound of another file; see `slide_show_worker`.

    Args:
        images: by their place in the post.
        sound: None for a silent video.
        target: as in `join`, and so all that follows.
        url: the post.
        limits: of the process.
        remaining_s: the time left.
        look: called twice a second.

    Returns:
        How many images are shown, and which were left out and why, in words.

    Raises:
        As `join`; `MediaError` where no image can be decoded.
    """
    with ExitStack() as held:
        opened = {place: held.enter_context(open_regular(str(path))) for place, path in images.items()}
        sound_file = None if sound is None else held.enter_context(open_regular(str(sound)))
        target_file = held.enter_context(_new_file(target))
        sound_bytes = 0 if sound_file is None else os.fstat(sound_file.fileno()).st_size
        job = SlideShowJob(
            images={place: file.fileno() for place, file in opened.items()},
            sound_fd=None if sound_file is None else sound_file.fileno(),
            output_fd=target_file.fileno(),
            parent_pid=os.getpid(),
            max_bytes=len(images) * _IMAGE_BYTES + sound_bytes + sound_bytes // 20 + _HEADER_BYTES,
            memory_bytes=limits.site_memory_bytes,
            cpu_s=limits.site_cpu_s,
        )
        descriptors = [file.fileno() for file in (*opened.values(), *([] if sound_file is None else [sound_file]), target_file)]
        task = _Task(_SLIDE_SHOW_WORKER, job.to_json(), tuple(descriptors))
        answer = _check(*_run(task, url, remaining_s, look), "a post of images", url)
        shown = answer.get("shown")
        if not isinstance(shown, int) or not 0 < shown <= len(images):
            raise MediaError("the process that makes a video of the images sent an invalid message", url, _HINT)
        return shown, described_notes(answer.get("left_out"))


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that was not there before, and is not there afterwards where the block raises."""
    with path.open("xb") as file:
        try:
            yield file
        except BaseException:
            path.unlink()
            raise


@dataclass(frozen=True)
class _Task:
    """What a process is started with."""

    worker: str
    """Its module."""
    job: str
    """As JSON."""
    descriptors: tuple[int, ...]


def _run(task: _Task, url: str, remaining_s: Callable[[], float], look: Callable[[], None]) -> tuple[int, bytes]:
    """(exit status, answer) of the process."""
    try:
        process = subprocess.Popen(  # noqa: S603 -- this Python, this package
            child_command(task.worker),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=task.descriptors,
            env=_site_process.environment(None),
            start_new_session=True,
        )
    except OSError as error:
        hint = "the machine is short of processes or memory"
        raise TransientError(
            f"the process that makes one file of the post's parts cannot be started: {error.strerror}", url, hint
        ) from error
    try:
        said = _answer(process, task.job, url, remaining_s, look)
        try:
            return process.wait(_END_S), said
        except subprocess.TimeoutExpired as error:
            raise MediaError("the process that makes one file of the post's parts did not end", url, _HINT) from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def _answer(process: subprocess.Popen[bytes], job: str, url: str, remaining_s: Callable[[], float], look: Callable[[], None]) -> bytes:
    """All that the process says until it closes its end."""
    if process.stdin is None or process.stdout is None:
        raise AssertionError("both are pipes")
    with suppress(BrokenPipeError):  # it has ended; its status says why
        process.stdin.write(job.encode())
        process.stdin.close()
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    said = b""
    while len(said) <= _MAX_ANSWER_BYTES:
        if not remaining_s():
            raise TransientError("making one file of the post's parts was stopped because the time is up", url, "try again")
        look()
        if poll.poll(min(_LOOK_EVERY_S, remaining_s()) * 1000):
            block = os.read(process.stdout.fileno(), _MAX_ANSWER_BYTES)
            if not block:
                return said
            said += block
    raise MediaError("the process that makes one file of the post's parts sent too many messages", url, _HINT)


def _check(status: int, said: bytes, kind: str, url: str) -> dict[str, Any]:
    """The answer; raises where it is not that all went well. The process has been fed with strangers' bytes: nothing else is believed."""
    if status == -signal.SIGKILL:
        raise TransientError(
            "the process that makes one file of the post's parts was killed with SIGKILL", url, "the machine may be short of memory"
        )
    if status == -signal.SIGXCPU:
        raise MediaError("making one file of the post's parts took too much CPU time", url, _HINT)
    try:
        answer = json.loads(said)
        joined, what = answer["kind"] == "joined", str(answer.get("what", ""))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise MediaError(f"the process that makes one file of the post's parts ended early with status {status}", url, _HINT) from error
    if not joined:
        raise MediaError(f"{kind}: {what}", url, _HINT)
    return dict(answer)
