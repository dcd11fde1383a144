"""From an entry to its video's bytes: local files in place, everything else downloaded for as long as it is needed."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rumiai_ray.ingest import stores, web
from rumiai_ray.ingest.limits import FetchLimits
from rumiai_ray.ingest.local import local_video
from rumiai_ray.ingest.location import locate
from rumiai_ray.ingest.network import Network
from rumiai_ray.ingest.retry import retrying
from rumiai_ray.ingest.room import SCRATCH_PREFIX, Room
from rumiai_ray.ingest.saving import storage_error
from rumiai_ray.ingest.sites import fetch as sites
from rumiai_ray.ingest.video import FetchedVideo, VideoMetadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.ingest.outcomes import RateLimitedError

__all__ = ["FetchLimits", "FetchedVideo", "VideoMetadata", "fetch"]


@contextmanager
def fetch(
    entry: Entry, limits: FetchLimits, workdir: Path, refused: Callable[[RateLimitedError], object] = lambda _: None
) -> Iterator[FetchedVideo]:
    """The video behind `entry`, for as long as the context is open; then what was downloaded is deleted.

    Args:
        entry: a local path (used in place, never copied), an http(s) URL of a media file or of a post on a site yt-dlp knows,
            or an object in a store that fsspec has a driver for.
        limits: sizes, times and attempts.
        workdir: an existing directory; downloads get a folder with a random name in it.
        refused: see `retrying`.

    Raises:
        InputError: it cannot be got, or `limits.rules` forbid it; `outcomes` has the kinds. `ManifestRowError` where the manifest's
            row was bad: nothing has been opened then.
        MediaError: no bytes, or too many.
        TransientError: it could not be got now, after all attempts.
        StorageError: the work directory cannot be written.
    """
    entry.check()
    location = locate(entry.location or entry.input)
    address = limits.rules.checked(location)
    if location.kind == "file":
        yield local_video(address, limits, given=entry.input)
        return
    try:
        scratch = TemporaryDirectory(prefix=SCRATCH_PREFIX, dir=workdir.absolute())
    except OSError as error:
        raise storage_error(error, str(workdir)) from error
    with scratch as name:
        folder = Path(name)
        with Network(limits, Room(workdir.absolute(), limits)) as network:
            download = _downloader(location.kind == "store", address)
            video = retrying(lambda: download(address, folder, network, limits), limits, network, refused)
        yield video


def _downloader(in_store: bool, address: str) -> Callable[[str, Path, Network, FetchLimits], FetchedVideo]:  # noqa: FBT001 -- private
    if in_store:
        return stores.download
    return sites.download if sites.knows(address) else web.download
