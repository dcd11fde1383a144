"""The process that runs yt-dlp: `python -m rumiai_ray.ingest.sites.worker fetch|list|hosts`, started by `process.py`.

`hosts` prints the table of `_site_hosts` for the installed yt-dlp. `fetch` reads a `SiteJob` from standard input, confines itself and
answers in one line of JSON: `video` or `photos` with what the site says, `unknown` where no pattern matches, or `error`. `list` answers in
a line for each `item` of a list, as it comes, and then `end`; or, as `fetch` does, `unknown` or `error`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import IO, TYPE_CHECKING, Any

from rumiai_ray.confinement import Confinement, confine
from rumiai_ray.confinement.process_limits import limit_process
from rumiai_ray.ingest.limits import FetchLimits
from rumiai_ray.ingest.local import too_large
from rumiai_ray.ingest.outcomes import NoVideoError, RateLimitedError
from rumiai_ray.ingest.sites import ytdlp
from rumiai_ray.ingest.sites.errors import outcome
from rumiai_ray.ingest.sites.job import MAX_ANSWER_BYTES, SiteJob, described, described_item, hosts_to_json
from rumiai_ray.ingest.sites.list_items import list_items

if TYPE_CHECKING:
    from rumiai_ray.errors import RumiaiError

_MAX_OPEN_FILES = 256
_FILE_ALLOWANCE_BYTES = 2**20
_RECOGNITION_CPU_S = 3.0
"""For matching the patterns of one host against one URL: usually under 1 ms."""
_MAX_MESSAGE_CHARS = 2000
_BALLAST_BYTES = 16 * 2**20
"""Given back where memory runs out, so that the answer can still be written."""
_LISTS = ("playlist", "multi_video")


def main(task: str) -> None:
    """Do one task."""
    if task == "hosts":
        json.dump(hosts_to_json(ytdlp.site_hosts()), sys.stdout)
        return
    job = SiteJob.from_json(sys.stdin.read())
    limit_process(
        memory_bytes=job.memory_bytes,
        cpu_s=job.cpu_s,
        file_bytes=job.max_bytes + _FILE_ALLOWANCE_BYTES,
        open_files=_MAX_OPEN_FILES,
        parent_pid=job.parent_pid,
    )
    with os.fdopen(job.output_fd, "w", encoding="ascii") as pipe:
        extractor = _recognized(job)
        if extractor is None:
            _send(pipe, {"kind": "unknown"})
            return
        _send(pipe, {"kind": "confined", "missing": _confine(job)})
        ballast = [bytearray(_BALLAST_BYTES)]
        try:
            answer = _fetch(job, extractor) if task == "fetch" else _list(job, extractor, pipe)
        except Exception as error:  # noqa: BLE001 -- the boundary to yt-dlp: an extractor that a site's change has broken raises anything
            ballast.clear()
            answer = _told(outcome(error, job.url))
        _send(pipe, answer)


def _recognized(job: SiteJob) -> str | None:
    """The key of the extractor that takes the address. Before the confinement, which refuses timers; an address is all there is yet."""
    # The default action of the signal ends this process in the middle of a match, where Python would not look at a flag.
    signal.setitimer(signal.ITIMER_PROF, _RECOGNITION_CPU_S)
    extractor = ytdlp.extractor_of(job.url, job.hosts)
    signal.setitimer(signal.ITIMER_PROF, 0)
    return extractor


def _confine(job: SiteJob) -> tuple[str, ...]:
    """Give up everything but the folder and the proxy. Returns what this kernel cannot enforce, in words."""
    ytdlp.import_everything()
    allowed = Confinement(
        readable=ytdlp.readable_trees(job.ca_bundle),
        writable=(job.folder,),
        connect_ports=(job.proxy_port,),
        descriptors=(job.output_fd,),
    )
    return confine(allowed).missing


def _fetch(job: SiteJob, extractor: str) -> dict[str, Any]:
    def refuse(info: dict[str, Any]) -> None:
        _refuse(info, job.url)

    def progress(on_disk: int, announced: int | None) -> None:
        # Not yt-dlp's max_filesize: it ends without an error, and does not hold for streams in pieces.
        if max(on_disk, announced or 0) > job.max_bytes:
            raise too_large(job.url, FetchLimits(max_bytes=job.max_bytes))

    with ytdlp.ConfinedYoutubeDL(job, refuse=refuse, progress=progress) as downloader:
        info = downloader.extract_info(job.url, ie_key=extractor)
    if not info or info.get("_type", "video") in _LISTS:
        raise NoVideoError("a list of videos, not a video", job.url, "give the addresses of its videos one by one")
    if downloader.images:
        return {"kind": "photos", "images": downloader.images, "left_out": downloader.left_out, "info": described(info)}
    files = [path for done in info.get("requested_downloads") or () for path in done.get("filepaths") or (done["filepath"],)]
    return {"kind": "video", "files": len(files), "info": described(info)}


def _list(job: SiteJob, extractor: str, pipe: IO[str]) -> dict[str, Any]:
    with ytdlp.ConfinedYoutubeDL(job, walks_lists=True) as downloader:
        for item in list_items(downloader, job.url, extractor):
            _send(pipe, {"kind": "item", "info": described_item(item)})
    return {"kind": "end"}


def _refuse(info: dict[str, Any], url: str) -> None:
    if info.get("playlist_index") is not None:
        raise NoVideoError("a list of videos, not a video", url, "give the addresses of its videos one by one")
    if info.get("is_live"):
        raise NoVideoError("a live stream, not a video", url, "wait until there is a recording")
    # "none" is yt-dlp's word for "has none"; a missing value means that it does not know.
    if info.get("vcodec") == "none":
        raise NoVideoError("sound only: a photo post or a slideshow", url, "images are fetched only from posts on TikTok and Instagram")


def _told(error: RumiaiError) -> dict[str, Any]:
    return {
        "kind": "error",
        "error": type(error).__name__,
        "what": error.what[:_MAX_MESSAGE_CHARS],
        "subject": error.subject[:_MAX_MESSAGE_CHARS],
        "hint": error.hint[:_MAX_MESSAGE_CHARS],
        "retry_after_s": error.retry_after_s if isinstance(error, RateLimitedError) else None,
    }


def _send(pipe: IO[str], message: dict[str, Any]) -> None:
    line = json.dumps(message)
    if len(line) >= MAX_ANSWER_BYTES:
        raise ValueError(f"an answer of {len(line)} bytes")
    pipe.write(line + "\n")
    pipe.flush()


if __name__ == "__main__":
    main(sys.argv[1])
