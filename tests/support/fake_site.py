"""A site of these tests, for the process that runs yt-dlp: `python -m fake_site hosts|fetch` in place of the package's own worker."""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yt_dlp.globals
from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.networking import HEADRequest, Request
from yt_dlp.networking.impersonate import ImpersonateTarget
from yt_dlp.utils import ExtractorError

from rumiai_ray.ingest.sites import worker as _site_worker
from rumiai_ray.ingest.sites import ytdlp

if TYPE_CHECKING:
    from collections.abc import Callable

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
    "language": "ru-RU",
}


def formats_of(kind: str, base: str) -> list[dict[str, Any]]:
    file = {"url": f"{base}/media/{kind}.mp4", "vcodec": "h264", "acodec": "aac", "format_id": "play", "ext": "mp4"}
    silent = {**file, "acodec": "none"}
    listed, other = {**file, "protocol": "m3u8_native"}, base.replace("127.0.0.1", "localhost")
    sound = {"url": f"{base}/media/sound.m4a", "vcodec": "none", "acodec": "aac", "format_id": "audio", "ext": "m4a"}
    special = {
        "no-formats": [],
        "slideshow": [sound],
        "separate": [sound, silent],
        "sizes": [sound, *(_of_size(silent, *size_px) for size_px in ((360, 640), (1080, 1920), (2160, 3840)))],
        "tall-and-whole": [sound, _of_size(silent, 1080, 1920), _of_size(file, 360, 640)],
        "huge-only": [sound, _of_size(silent, 2160, 3840)],
        "page-for-sound": [{**sound, "url": f"{base}/media/page.m4a"}, silent],
        "silent": [silent],
        "good": [sound, file],
        "hls": [{**listed, "url": f"{base}/media/list.m3u8"}],
        "ftp": [{**file, "url": f"ftp{base.removeprefix('http')}/media/ftp.mp4", "protocol": "http"}],
        "elsewhere": [{**file, "url": f"{other}/media/elsewhere.mp4"}],
        "elsewhere-list": [{**listed, "url": f"{other}/media/there.m3u8"}],
        "elsewhere-fragment": [{**listed, "url": f"{base}/media/here.m3u8"}],
        "elsewhere-page": [{**file, "url": f"{base}/media/page.mp4"}],
        "local-file": [{**file, "url": "file:///etc/hostname"}],
        "inside": [{**file, "url": "http://169.254.169.254/latest/meta-data"}],
    }
    return special.get(kind, [file])


def _of_size(file: dict[str, Any], width: int, height: int) -> dict[str, Any]:
    url = file["url"].replace(".mp4", f"-{width}.mp4")
    return {**file, "url": url, "width": width, "height": height, "format_id": f"{width}/../p"}


class FakeSiteIE(InfoExtractor):  # type: ignore[misc]  # no types in yt-dlp
    """A site with one post of every kind; the kind is in the address."""

    IE_NAME = "fakesite"
    _VALID_URL = r"https?://(?:127\.0\.0\.1|localhost)(?::\d+)?/(?:post/(?P<id>[\w-]+)|backtrack/(?:a+)+$)"

    def _real_extract(self, url: str) -> Any:  # noqa: C901, PLR0912 -- one branch for each kind
        kind = self._match_id(url)
        base = url.partition("/post/")[0]
        post = {"id": "../../escape", "title": "T", "webpage_url": f"{base}/post/canonical", "formats": formats_of(kind, base)}
        if kind in PROBLEMS:
            raise PROBLEMS[kind]
        if kind == "private":
            self.raise_login_required("You do not have permission to view this post. Log into an account that has access")
        if kind == "page":
            self._download_webpage(f"{base}/page", kind)
        if kind == "elsewhere-page":
            self._download_webpage(f"{base.replace('127.0.0.1', 'localhost')}/elsewhere-page", kind)
        if kind == "title":
            post["title"] = post["description"] = self._download_webpage(f"{base}/page", kind)
        if kind == "escapes":
            post["title"] = json.dumps(escapes(int(base.rpartition(":")[2])))
        if kind.startswith("handler-"):
            post["title"] = json.dumps(self._through(kind.removeprefix("handler-"), base))
        if kind == "browser":
            self._download_webpage(f"{base}/page", kind, impersonate=True)
        if kind == "spin":
            while True:
                pass
        if kind == "crash":
            ctypes.string_at(0)
        if kind == "threads":
            threading.Thread(target=threading.Event().wait).start()
        if kind == "short":
            return self.url_result(self._request_webpage(HEADRequest(f"{base}/short"), kind).url)
        if kind == "list":
            return self.playlist_result([self.url_result(f"{base}/post/good"), self.url_result(f"{base}/post/silent")], "list", "List")
        if kind == "carousel":
            return self.playlist_result([post, post], "carousel", "Carousel")
        return {**post, **(SAID if kind == "good" else {}), "is_live": kind == "live"}

    def _through(self, key: str, base: str) -> list[int]:
        """Statuses of requests through one of yt-dlp's handlers: as it is, and as an extractor may ask to avoid a proxy."""
        handler = self._downloader._request_director.handlers[key]
        extensions = {"impersonate": ImpersonateTarget()} if key == "CurlCFFI" else {}
        requests = [
            Request(f"{base}/page", extensions=dict(extensions)),
            Request(f"{base}/page", extensions=dict(extensions), proxies={"all": None}),
            Request(f"{base}/page", extensions=dict(extensions), proxies={"no": "127.0.0.1", "all": "http://127.0.0.1:1"}),
        ]
        statuses = []
        for request in requests:
            handler.validate(request)
            statuses.append(handler.send(request).status)
        return statuses


class FakeListIE(InfoExtractor):  # type: ignore[misc]
    """Lists of that site; `/list/<kind>` reads pages of JSON from `/pages/<kind>/1`, …, until one is empty."""

    IE_NAME = "fakesite:list"
    _VALID_URL = r"https?://(?:127\.0\.0\.1|localhost)(?::\d+)?/list/(?P<id>[\w-]+)"
    _RETURN_TYPE = "playlist"

    def _real_extract(self, url: str) -> Any:
        kind = self._match_id(url)
        base = url.partition("/list/")[0]
        if kind == "tabs":
            below = [self.url_result(f"{base}/list/{name}", FakeListIE) for name in ("one", "two")]
            return self.playlist_result([*below, self.playlist_result([self.url_result(f"{base}/post/inner")])], kind)
        if kind == "short":
            return self.url_result(f"{base}/list/one", FakeListIE)
        if kind == "loop":
            return self.url_result(url, FakeListIE)
        if kind == "to-a-post":
            return self.url_result(f"{base}/post/good", FakeSiteIE)
        if kind == "private":
            self.raise_login_required("This user's account is private")
        return self.playlist_result(self._pages(base, kind), kind, kind)

    def _pages(self, base: str, kind: str) -> Any:
        for number in itertools.count(1):
            for retry in self.RetryManager():
                try:
                    page = self._download_json(f"{base}/pages/{kind}/{number}", kind)
                except ExtractorError as error:
                    retry.error = error
            if not page:
                return
            for item in page:
                yield self.url_result(**item) if isinstance(item, dict) and item.pop("reference", True) else item


class FakeTagIE(FakeListIE):
    """Lists that yt-dlp declares broken."""

    IE_NAME = "fakesite:tag"
    _VALID_URL = r"https?://(?:127\.0\.0\.1|localhost)(?::\d+)?/tag/(?P<id>[\w-]+)"
    _WORKING = False


def escapes(port: int) -> dict[str, str]:
    """What comes of each attempt to get out."""
    attempts: dict[str, Callable[[], object]] = {
        "connect": lambda: socket.create_connection(("127.0.0.1", port), 5),
        "datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "name": lambda: socket.getaddrinfo("example.com", 80),
        "fork": os.fork,
        "exec": lambda: subprocess.run(["/bin/true"], check=True),
        "environment of the parent": Path(f"/proc/{os.getppid()}/environ").read_bytes,
        "passwords": Path("/etc/passwd").read_bytes,
        "directory": Path("d").mkdir,
        "files elsewhere": lambda: Path("../elsewhere").write_bytes(b""),
        "kill": lambda: os.kill(os.getppid(), 0),
        "new session": os.setsid,
    }
    found = {}
    for name, attempt in attempts.items():
        try:
            attempt()
            found[name] = "done"
        except OSError as error:
            found[name] = type(error).__name__
    found["environment"] = " ".join(sorted(os.environ))
    return found


def main() -> None:
    ytdlp.known_sites()  # fills the table of extractors
    yt_dlp.globals.extractors.value.update({site.__name__: site for site in (FakeSiteIE, FakeListIE, FakeTagIE)})
    _site_worker.main(sys.argv[1])


if __name__ == "__main__":
    main()
