"""Posts of sites that yt-dlp knows: TikTok and many others. One attempt."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from rumiai_ray.errors import RumiaiError, TransientError
from rumiai_ray.ingest.local import local_video, too_large
from rumiai_ray.ingest.outcomes import NoVideoError
from rumiai_ray.ingest.site_errors import outcome
from rumiai_ray.ingest.site_metadata import metadata_from
from rumiai_ray.ingest.sniffing import page_kind

if TYPE_CHECKING:
    from rumiai_ray.ingest.limits import FetchLimits
    from rumiai_ray.ingest.network import Network
    from rumiai_ray.ingest.video import Video

_HEAD_BYTES = 512
_LISTS = ("playlist", "multi_video")


def knows(url: str) -> bool:
    """Whether one of yt-dlp's extractors other than the generic one takes `url`. About 10 ms; 1.5 s the first time."""
    from rumiai_ray.ingest.ytdlp import known_sites  # noqa: PLC0415 -- yt-dlp is slow to import

    return any(site.suitable(url) for site in known_sites())


def download(url: str, folder: Path, network: Network, limits: FetchLimits) -> Video:
    """Fetch the video of the post at `url` into `folder`.

    Raises:
        InputError: one of its children in `outcomes` wherever yt-dlp's message tells which.
        MediaError: empty or too large.
        TransientError: network trouble, rate limit, or the time is up.
        StorageError: the folder cannot be written.
    """
    attempt = Path(mkdtemp(dir=folder))
    try:
        return _download(url, attempt, network, limits)
    except RumiaiError:
        shutil.rmtree(attempt)
        raise
    except Exception as error:
        # The boundary to yt-dlp: an extractor that a site's change has broken raises anything at all.
        shutil.rmtree(attempt)
        network.check(url)
        raise network.refusal or outcome(error, url) from error


def _download(url: str, folder: Path, network: Network, limits: FetchLimits) -> Video:
    from rumiai_ray.ingest.ytdlp import GuardedYoutubeDL  # noqa: PLC0415 -- yt-dlp is slow to import

    def refuse(info: dict[str, Any]) -> None:
        _refuse(info, url)

    def progress(on_disk: int, announced: int | None) -> None:
        network.check(url)
        # Not yt-dlp's max_filesize: it ends without an error, and does not hold for streams in pieces.
        if max(on_disk, announced or 0) > limits.max_bytes:
            raise too_large(url, limits)

    with GuardedYoutubeDL(folder, network, limits, refuse=refuse, progress=progress) as downloader:
        info = downloader.extract_info(url)
    network.check(url)
    if not info or info.get("_type", "video") in _LISTS:
        raise NoVideoError("a list of videos, not a video", url, "give the addresses of its videos one by one")
    files = [Path(done["filepath"]) for done in info.get("requested_downloads") or ()]
    if len(files) != 1 or not files[0].is_file():
        raise TransientError("yt-dlp ended without a file", url, "try again")
    with files[0].open("rb") as stream:
        kind = page_kind(stream.read(_HEAD_BYTES), "")
    if kind:
        raise NoVideoError(f"the site sent {kind}, not a video", url, "try again later, or update yt-dlp")
    return local_video(str(files[0]), limits, metadata_from(info, url))


def _refuse(info: dict[str, Any], url: str) -> None:
    if info.get("playlist_index") is not None:
        raise NoVideoError("a list of videos, not a video", url, "give the addresses of its videos one by one")
    if info.get("is_live"):
        raise NoVideoError("a live stream, not a video", url, "wait until there is a recording")
    # "none" is yt-dlp's word for "has none"; a missing value means that it does not know.
    if info.get("vcodec") == "none":
        raise NoVideoError("sound only: a photo post or a slideshow", url, "there is no video in it to analyse")
