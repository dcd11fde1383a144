"""Posts of sites that yt-dlp knows: TikTok and many others. One attempt, in a process of its own (`worker.py`).

Measured with a local site on one core: the process adds 0.55 s of CPU to an attempt, of which importing yt-dlp with curl_cffi takes
0.4 s, and 0.03 s in this process. The table of hosts takes 1.2 s, once in the life of a worker. Media URLs on other hosts do without.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from rumiai_ray.confinement import FETCHING, available, protect_parent
from rumiai_ray.errors import ConfigError, InputError, MediaError, RumiaiError, StorageError, TransientError
from rumiai_ray.ingest import web
from rumiai_ray.ingest.certificates import ca_bundle
from rumiai_ray.ingest.limits import MAX_POST_URL_CHARS
from rumiai_ray.ingest.local import local_video, too_large
from rumiai_ray.ingest.outcomes import (
    BlockedError,
    ExtractorBrokenError,
    LoginWallError,
    NoListError,
    NoVideoError,
    PrivateError,
    RateLimitedError,
    RemovedError,
)
from rumiai_ray.ingest.room import held_in
from rumiai_ray.ingest.saving import IMAGE_NAMES, NAME, PICTURES_NAME, SOUND_NAME
from rumiai_ray.ingest.sites import process as _site_process
from rumiai_ray.ingest.sites.job import SiteJob, described, described_notes
from rumiai_ray.ingest.sites.joining import join, show
from rumiai_ray.ingest.sites.metadata import metadata_from
from rumiai_ray.ingest.sites.proxy import CheckingProxy
from rumiai_ray.ingest.slide_show import SHOWN_S
from rumiai_ray.ingest.sniffing import page_kind
from rumiai_ray.package_manager import HOW_TO_UPDATE_YTDLP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rumiai_ray.ingest.limits import FetchLimits
    from rumiai_ray.ingest.network import Network
    from rumiai_ray.ingest.sites.process import SiteProcess
    from rumiai_ray.ingest.video import FetchedVideo

_HEAD_BYTES = 512
_MAX_FILES = 1000
"""Most files of one post; yt-dlp has one for the video, one for the piece that comes and one for its own notes."""
_BESIDE_BYTES = 2**20
"""Allowance beside the video and its pieces, which are as large as the video at most."""
_MAX_COOKIES_BYTES = 4 * 2**20
_MAX_WAIT_S = 366 * 86400.0
_ERRORS: dict[str, type[RumiaiError]] = {
    error.__name__: error
    for error in (
        *(BlockedError, ExtractorBrokenError, LoginWallError, NoListError, NoVideoError, PrivateError, RemovedError),
        *(InputError, MediaError, StorageError, TransientError),
    )
}
"""What the process may say of a post; `RateLimitedError` beside these."""


def knows(url: str) -> bool:
    """Whether `url` is on a host of which yt-dlp has an extractor other than the generic one. About 3 ms; 1.2 s of CPU the first time.

    Only `download` finds out whether the extractor takes the rest of the address, too.

    Raises:
        InputError: it is on such a host, and longer than any address of a post.
        TransientError: yt-dlp cannot be started.
    """
    if not _site_process.site_hosts().candidates(url):
        return False
    if len(url) > MAX_POST_URL_CHARS:
        what = f"the address has {len(url)} characters, and its host is a site's"
        raise InputError(what, f"{url[:200]}…", f"addresses of posts have {MAX_POST_URL_CHARS} characters at most")
    return True


def download(url: str, folder: Path, network: Network, limits: FetchLimits) -> FetchedVideo:
    """Fetch the video of the post at `url` into `folder`; where no pattern takes the address, the file at `url`.

    Raises:
        InputError: one of its children in `outcomes` wherever yt-dlp's message tells which.
        MediaError: empty or too large.
        TransientError: network trouble, rate limit, or the time is up.
        StorageError: the folder cannot be written.
    """
    attempt = Path(mkdtemp(dir=folder))
    network.refusal = None  # of an attempt before this one
    try:
        answer = _answer(url, attempt, network, limits)
        made = {"video": _video, "photos": _slide_show}.get(answer["kind"])
        video = made(answer, url, attempt, network, limits) if made else None
    except BaseException:
        shutil.rmtree(attempt)
        raise
    if video is not None:
        return video
    shutil.rmtree(attempt)
    if answer["kind"] == "unknown":
        return web.download(url, folder, network, limits)
    raise network.refusal or told_error(answer, url)


def _answer(url: str, folder: Path, network: Network, limits: FetchLimits) -> dict[str, Any]:
    """What the process says. Raises where it says nothing."""
    with site_process(url, folder, network, limits, "fetch") as process:
        return next_answer(process, url, folder, network, limits)


@contextmanager
def site_process(url: str, folder: Path, network: Network, limits: FetchLimits, task: _site_process.SiteTask) -> Iterator[SiteProcess]:
    """The confined process at work on `url`, behind a proxy that checks its connections; both end with the context.

    Raises:
        ConfigError: the kernel cannot confine it, and `limits` require that.
        InputError: the cookies file, or that of a company's certificates, cannot be read.
        TransientError: it cannot be started.
    """
    if limits.require_sandbox and (missing := available().missing(FETCHING)):
        what = f"this kernel cannot confine the process that runs yt-dlp: {'; '.join(missing)}"
        raise ConfigError(what, url, "see `rumiai-ray doctor`, or leave out --limits-require-sandbox")
    cookies, bundle = _cookies(limits.cookies_file), ca_bundle()
    protect_parent()
    with CheckingProxy(network, limits, url) as proxy:
        input_fd, output_fd = os.pipe()
        job = SiteJob(
            url=url,
            hosts=_site_process.site_hosts(),
            folder=str(folder),
            output_fd=output_fd,
            parent_pid=os.getpid(),
            proxy=proxy.url,
            proxy_port=proxy.port,
            cookies=cookies,
            max_bytes=limits.max_bytes,
            stall_s=limits.stall_s,
            memory_bytes=limits.site_memory_bytes,
            cpu_s=limits.site_cpu_s,
            impersonate=limits.impersonate,
            resolution_px=limits.resolution_px,
            ca_bundle=None if bundle is None else str(bundle),
        )
        with _site_process.SiteProcess(job, output_fd, input_fd, task) as process:
            yield process


def next_answer(process: SiteProcess, url: str, folder: Path, network: Network, limits: FetchLimits) -> dict[str, Any]:
    """What the process says next.

    Raises:
        RumiaiError: it ended without an answer, filled the disk, or the time is up.
    """
    try:
        answer = process.answer(network.remaining_s, lambda: _look(folder, url, network, limits))
    except RumiaiError:
        network.check(url)
        raise
    network.check(url)
    if answer is None:
        raise TransientError("yt-dlp was stopped because the time is up", url, "try again")
    return answer


def _look(folder: Path, url: str, network: Network, limits: FetchLimits) -> None:
    """End the process where it fills the disk. The proxy has counted what came over the network, not what was made of it.

    Raises:
        MediaError: the folder holds more than any video and its pieces.
        TransientError, StorageError: as `Room.take`.
    """
    files, size_bytes = held_in(folder)
    if files > _MAX_FILES or size_bytes > 2 * limits.max_bytes + _BESIDE_BYTES:
        raise too_large(url, limits)
    network.look(url)


def _video(answer: dict[str, Any], url: str, folder: Path, network: Network, limits: FetchLimits) -> FetchedVideo:
    """The video that the process has left in `folder`. Nothing of its answer is taken for true but the description."""
    path, pictures, sound = folder / NAME, folder / PICTURES_NAME, folder / SOUND_NAME
    count = answer.get("files")
    parts = (path,) if count == 1 else (pictures, sound) if count == 2 else ()  # noqa: PLR2004 -- pictures and sound
    if not parts or not all(part.exists() and stat.S_ISREG(part.lstat().st_mode) for part in parts):
        raise TransientError("yt-dlp ended without a file", url, "try again")
    if sum(part.lstat().st_size for part in parts) > limits.max_bytes:
        raise too_large(url, limits)
    for part in parts:
        with part.open("rb") as stream:
            kind = page_kind(stream.read(_HEAD_BYTES), "")
        if kind:
            raise NoVideoError(f"the site sent {kind}, not a video", url, f"try again later, or {HOW_TO_UPDATE_YTDLP}")
    if len(parts) > 1:
        path.unlink(missing_ok=True)  # whatever else a process that was taken over has left there
        join(pictures, sound, path, url, limits, remaining_s=lambda: network.remaining_s, look=lambda: network.look(url))
        for part in parts:
            part.unlink()
    return local_video(str(path), limits, metadata_from(described(answer.get("info")), url))


def _slide_show(answer: dict[str, Any], url: str, folder: Path, network: Network, limits: FetchLimits) -> FetchedVideo:
    """The video of the images, and of the sound, that the process has left in `folder`. Nothing of its answer is taken for true either."""
    if network.refusal is not None:  # an image at an address that is not allowed is no image that is merely gone
        raise network.refusal
    images = {place: folder / name for place, name in enumerate(IMAGE_NAMES, 1) if (folder / name).exists()}
    path, sound = folder / NAME, folder / SOUND_NAME
    parts = [*images.values(), *([sound] if sound.exists() else [])]
    if not images or not all(stat.S_ISREG(part.lstat().st_mode) for part in parts):
        raise TransientError("yt-dlp ended without a file", url, "try again")
    if sum(part.lstat().st_size for part in parts) > limits.max_bytes:
        raise too_large(url, limits)
    path.unlink(missing_ok=True)  # as in `_video`
    shown, undecoded = show(
        images,
        sound if sound in parts else None,
        path,
        url,
        limits,
        remaining_s=lambda: network.remaining_s,
        look=lambda: network.look(url),
    )
    for part in parts:
        part.unlink()
    told = answer.get("images")
    images_of_post = told if isinstance(told, int) and shown < told < _MAX_FILES else shown
    count = f"{shown} of {images_of_post} images" if shown < images_of_post else "1 image" if shown == 1 else f"{shown} images"
    how = f"shown for {SHOWN_S} s{'' if shown == 1 else ' each'}{'' if sound in parts else ', without sound'}"
    notes = (f"{count}, {how}", *described_notes(answer.get("left_out")), *undecoded)
    return local_video(str(path), limits, metadata_from(described(answer.get("info")), url, notes))


def told_error(answer: dict[str, Any], url: str) -> RumiaiError:
    """The error that the process tells of in an answer of the kind `error`."""
    what, hint = str(answer.get("what") or "yt-dlp failed"), str(answer.get("hint") or "")
    if answer.get("error") == RateLimitedError.__name__:
        asked_s = answer.get("retry_after_s")
        return RateLimitedError(what, url, hint, min(max(0.0, asked_s), _MAX_WAIT_S) if isinstance(asked_s, float | int) else None)
    kind = _ERRORS.get(str(answer.get("error")), ExtractorBrokenError)
    if kind is StorageError:
        return StorageError(what, str(answer.get("subject") or "the work directory"), hint)
    return kind(what, url, hint)


def _cookies(path: Path | None) -> str | None:
    """The content of the cookies file: the process itself cannot read the file, and never writes it."""
    if path is None:
        return None
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_COOKIES_BYTES + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the cookies file cannot be read: {error}", str(path), "export the cookies in Netscape format") from error
    if len(content) > _MAX_COOKIES_BYTES:
        raise InputError("the cookies file is larger than 4 MB", str(path), "export the cookies of the sites you need only")
    return text
