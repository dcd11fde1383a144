"""A site of these tests, for the process that runs yt-dlp: `python -m fake_site hosts|fetch` in place of the package's own worker."""

from __future__ import annotations

import sys
from typing import Any

import yt_dlp.globals
from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.networking import HEADRequest
from yt_dlp.utils import ExtractorError

from rumiai_ray.ingest.sites import worker as _site_worker
from rumiai_ray.ingest.sites import ytdlp

PROBLEMS = {
    "blocked": ExtractorError("Your IP address is blocked from accessing this post", expected=True),
    "removed": ExtractorError("Video not available, status code 10211", expected=True),
    "broken": AttributeError("'NoneType' object has no attribute 'get'"),
    "keyerror": KeyError("itemStruct"),
}

SAID = {
    "title": "Tag #one",
    "description": "Dance #one #два #one!",
    "uploader": "someone",
    "timestamp": 1571246252,
    "view_count": 5,
    "like_count": 0,
    "repost_count": 2,
}


def formats_of(kind: str, base: str) -> list[dict[str, Any]]:
    file = {"url": f"{base}/media/{kind}.mp4", "vcodec": "h264", "acodec": "aac", "format_id": "play", "ext": "mp4"}
    silent = {**file, "acodec": "none"}
    sound = {"url": f"{base}/media/sound.m4a", "vcodec": "none", "acodec": "aac", "format_id": "audio", "ext": "m4a"}
    special = {
        "no-formats": [],
        "slideshow": [sound],
        "separate": [sound, silent],
        "silent": [silent],
        "good": [sound, file],
        "hls": [{**file, "url": f"{base}/media/list.m3u8", "protocol": "m3u8_native"}],
        "local-file": [{**file, "url": "file:///etc/hostname"}],
        "inside": [{**file, "url": "http://169.254.169.254/latest/meta-data"}],
    }
    return special.get(kind, [file])


class FakeSiteIE(InfoExtractor):  # type: ignore[misc]  # no types in yt-dlp
    """A site with one post of every kind; the kind is in the address."""

    IE_NAME = "fakesite"
    _VALID_URL = r"https?://(?:127\.0\.0\.1|localhost)(?::\d+)?/post/(?P<id>[\w-]+)"

    def _real_extract(self, url: str) -> Any:
        kind = self._match_id(url)
        base = url.partition("/post/")[0]
        post = {"id": "../../escape", "title": "T", "webpage_url": f"{base}/post/canonical", "formats": formats_of(kind, base)}
        if kind in PROBLEMS:
            raise PROBLEMS[kind]
        if kind == "private":
            self.raise_login_required("You do not have permission to view this post. Log into an account that has access")
        if kind == "page":
            self._download_webpage(f"{base}/page", kind)
        if kind == "short":
            return self.url_result(self._request_webpage(HEADRequest(f"{base}/short"), kind).url)
        if kind == "list":
            return self.playlist_result([self.url_result(f"{base}/post/good"), self.url_result(f"{base}/post/silent")], "list", "List")
        if kind == "carousel":
            return self.playlist_result([post, post], "carousel", "Carousel")
        return {**post, **(SAID if kind == "good" else {}), "is_live": kind == "live"}


def main() -> None:
    ytdlp.known_sites()  # fills the table of extractors
    yt_dlp.globals.extractors.value["FakeSiteIE"] = FakeSiteIE
    _site_worker.main(sys.argv[1])


if __name__ == "__main__":
    main()
