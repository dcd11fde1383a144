"""Starting and watching the process that runs yt-dlp: limited, confined, killed as a group, and not believed."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from typing import IO, TYPE_CHECKING, Any, Literal, Self

import certifi

from rumiai_ray.confinement.child_python import child_command, child_search_path
from rumiai_ray.errors import InputError, RumiaiError, TransientError
from rumiai_ray.ingest.outcomes import ExtractorBrokenError
from rumiai_ray.ingest.sites.job import MAX_ANSWER_BYTES, SiteJob, hosts_from_json
from rumiai_ray.package_manager import HOW_TO_UPDATE_YTDLP

if TYPE_CHECKING:
    from collections.abc import Callable

    from rumiai_ray.ingest.sites.hosts import SiteHosts

_log = logging.getLogger(__name__)

SiteTask = Literal["fetch", "list"]
"""What the process is started for; see `worker`."""

WORKER = "rumiai_ray.ingest.sites.worker"
"""Module that is started. Tests put one in its place that knows a site of theirs."""
_TAKEN_OVER = ("LD_LIBRARY_PATH", "PYTHONHOME", "SSL_CERT_DIR")
"""All the process gets of the environment: it finds no credentials there, no proxies and no NO_PROXY."""
_HOSTS_TIMEOUT_S = 120.0
_CHUNK_BYTES = 64 * 1024
_LOOK_EVERY_S = 0.5


def site_hosts() -> SiteHosts:
    """The table of the installed yt-dlp, made once in this process's life by a process of its own: 1.2 s of CPU.

    Raises:
        TransientError: that process could not be started or did not end well.
    """
    return _site_hosts(WORKER)


@cache
def _site_hosts(worker: str) -> SiteHosts:
    try:
        done = subprocess.run(  # noqa: S603 -- this Python, this package
            child_command(worker, "hosts"),
            env=environment(None),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_HOSTS_TIMEOUT_S,
        )
        return hosts_from_json(json.loads(done.stdout))
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise TransientError(f"yt-dlp cannot be asked for its sites: {last}", hint="reinstall yt-dlp") from error
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise TransientError(f"yt-dlp cannot be asked for its sites: {error}", hint="the machine may be short of memory") from error


class SiteProcess:
    """The process, alone in its process group, and this side's end of its pipe. Leaving the context ends the whole group."""

    def __init__(self, job: SiteJob, output_fd: int, input_fd: int, task: SiteTask = "fetch") -> None:
        self._job = job
        self._pipe = input_fd
        self._received = b""
        try:
            with _anonymous_file(job.to_json()) as given:
                self._process = subprocess.Popen(  # noqa: S603 -- this Python, this package
                    child_command(WORKER, task),
                    stdin=given,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(output_fd,),
                    env=environment(job),
                    cwd=job.folder,
                    start_new_session=True,
                )
        except OSError as error:
            os.close(self._pipe)
            hint = "the machine is short of processes or memory"
            raise TransientError(f"the process that runs yt-dlp cannot be started: {error.strerror}", job.url, hint) from error
        finally:
            os.close(output_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        os.close(self._pipe)

    def answer(self, remaining_s: float, look: Callable[[], None]) -> dict[str, Any] | None:
        """What the process says next of its job; None where the time was up before.

        Args:
            remaining_s: the time.
            look: called twice a second while the process works; raises to end the wait.

        Raises:
            RumiaiError: it ended without an answer; says why.
        """
        end_s = time.monotonic() + remaining_s
        while True:
            line = self._line(end_s, look)
            if line is None:
                return None
            message = message_of(line, self._job.url)
            if message is not None:
                return message

    def _line(self, end_s: float, look: Callable[[], None]) -> bytes | None:
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        while b"\n" not in self._received:
            remaining_s = end_s - time.monotonic()
            if remaining_s <= 0:
                return None
            look()
            if not poll.poll(min(remaining_s, _LOOK_EVERY_S) * 1000):
                continue
            block = os.read(self._pipe, _CHUNK_BYTES)
            if not block:
                raise self._death()
            self._received += block
            if len(self._received) > MAX_ANSWER_BYTES:
                raise ExtractorBrokenError("the process that runs yt-dlp sent too many messages", self._job.url, HOW_TO_UPDATE_YTDLP)
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _death(self) -> RumiaiError:
        """Why the process ended without an answer."""
        status, url = self._end(), self._job.url
        if status == -signal.SIGPROF:
            return InputError("yt-dlp took too long to recognise this address", url, "check the URL: no post has such an address")
        if status == -signal.SIGXCPU:
            what = f"yt-dlp took more than {self._job.cpu_s:g} s of CPU"
            return ExtractorBrokenError(what, url, HOW_TO_UPDATE_YTDLP)
        if status == -signal.SIGKILL:
            return TransientError("the process that runs yt-dlp was killed with SIGKILL", url, "the machine may be short of memory")
        if status < 0:
            how = next((known.name for known in signal.Signals if known == -status), f"signal {-status}")
            return ExtractorBrokenError(f"the process that runs yt-dlp crashed with {how}", url, HOW_TO_UPDATE_YTDLP)
        return ExtractorBrokenError(f"the process that runs yt-dlp ended early with status {status}", url, HOW_TO_UPDATE_YTDLP)

    def _end(self) -> int:
        """Kill the group, if that has not been done, and return the process's status."""
        if self._process.returncode is None:  # once it is reaped, its number may be another process's
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()


def message_of(line: bytes, url: str) -> dict[str, Any] | None:
    """One line of the process's talk, understood; None where the line only reports the confinement.

    Raises:
        ExtractorBrokenError: it is no message.
    """
    try:
        message = json.loads(line)
        kind = message["kind"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ExtractorBrokenError("the process that runs yt-dlp sent an invalid message", url, HOW_TO_UPDATE_YTDLP) from error
    if kind != "confined":
        return dict(message)
    if message.get("missing"):
        _log.debug("yt-dlp runs with less than all of its confinement: %s", message["missing"])
    return None


def environment(job: SiteJob | None) -> dict[str, str]:
    """All the environment that such a process has; None for one that runs no yt-dlp."""
    found = {name: os.environ[name] for name in _TAKEN_OVER if name in os.environ}
    found |= {"PYTHONPATH": child_search_path(), "LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "2", "PYTHONDONTWRITEBYTECODE": "1"}
    if job is not None:
        found |= {"HOME": job.folder, "TMPDIR": job.folder}
        # curl_cffi would look among the system's files, which are out of reach; yt-dlp's other handlers take certifi's list, too.
        found |= {"CURL_CA_BUNDLE": job.ca_bundle or certifi.where()}
        found |= {"SSL_CERT_FILE": job.ca_bundle} if job.ca_bundle else {}
    return found


def _anonymous_file(text: str) -> IO[bytes]:
    """A file without a name that holds `text`, open at its beginning. In memory where the system can, for `text` holds secrets."""
    file: IO[bytes]
    file = os.fdopen(os.memfd_create("job"), "w+b") if hasattr(os, "memfd_create") else tempfile.TemporaryFile()  # noqa: SIM115 -- returned
    file.write(text.encode())
    file.seek(0)
    return file
