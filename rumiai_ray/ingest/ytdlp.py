"""yt-dlp, set up so that nothing on this machine but our arguments decides what it does, over our own checked sockets.

Importing this module imports yt-dlp, which takes about 1.5 s: import it where it is needed.
"""

from __future__ import annotations

import io
import logging
import urllib.request
from functools import partial
from typing import TYPE_CHECKING, Any

import yt_dlp.globals
from yt_dlp import YoutubeDL
from yt_dlp.extractor import gen_extractor_classes
from yt_dlp.extractor.common import UnsupportedURLIE
from yt_dlp.networking._urllib import HTTPHandler, RedirectHandler, UrllibRH

from rumiai_ray.errors import InputError
from rumiai_ray.ingest.network import Connection, SecureConnection
from rumiai_ray.ingest.saving import NAME

if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable
    from pathlib import Path

    from rumiai_ray.ingest.limits import FetchLimits
    from rumiai_ray.ingest.network import Network

_log = logging.getLogger(__name__)

_FORMAT = "b[protocol^=http]/b[protocol^=m3u8]"
"""The best file with picture and sound; where a post's files all lack the same one, the best of those, so that a silent video is
taken (and a slideshow's music, which `sites` refuses). Picture and sound in separate files are not: to join them takes ffmpeg on
downloaded data, outside the decoder's limits."""

# Plugins are code in the user's configuration directories and on sys.path, loaded when the first YoutubeDL is made.
yt_dlp.globals.plugin_dirs.value = []


def known_sites() -> list[Any]:
    """yt-dlp's extractor classes but for the generic one, which would follow any page to any address and guess."""
    return [site for site in gen_extractor_classes() if site.IE_NAME != "generic" and getattr(site, "_ENABLED", True)]


class _Logger:
    """yt-dlp's chatter, for whoever turns debugging on. Its errors are raised, too."""

    def debug(self, message: str) -> None:
        _log.debug("%s", message)

    warning = error = info = debug


class _Handler(HTTPHandler):  # type: ignore[misc]  # no types in yt-dlp
    """Opens connections through a `Network`."""

    def __init__(self, network: Network, context: Any) -> None:
        super().__init__(context=context)
        self._network = network

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        response: http.client.HTTPResponse = self.do_open(partial(Connection, network=self._network), req)
        return response

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        opened = self.do_open(partial(SecureConnection, network=self._network), req, context=self._context)
        response: http.client.HTTPResponse = opened
        return response


class GuardedRH(UrllibRH):  # type: ignore[misc]  # no types in yt-dlp; it wants the suffix
    """yt-dlp's urllib handler without proxies, ftp and file, with checked addresses after every redirect."""

    _SUPPORTED_URL_SCHEMES = ("http", "https", "data")

    def __init__(self, *, network: Network, **options: Any) -> None:
        super().__init__(**options)
        self._network = network

    def _create_instance(self, proxies: Any, cookiejar: Any, legacy_ssl_support: Any = None) -> urllib.request.OpenerDirector:  # noqa: ARG002 -- its signature
        opener = urllib.request.OpenerDirector()
        for handler in (
            _Handler(self._network, self._make_sslcontext(legacy_ssl_support=legacy_ssl_support)),
            urllib.request.HTTPCookieProcessor(cookiejar),
            urllib.request.DataHandler(),
            urllib.request.UnknownHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            RedirectHandler(),
        ):
            opener.add_handler(handler)
        opener.addheaders = []
        return opener


class GuardedYoutubeDL(YoutubeDL):  # type: ignore[misc]  # no types in yt-dlp
    """A YoutubeDL whose every connection goes through a `Network`.

    Args:
        folder: everything is written here, the video under `saving.NAME`.
        network: for the connections.
        limits: for the cookies file and the socket timeout.
        refuse: called with the description of a post, its format chosen, before anything of it is downloaded; raises to refuse.
        progress: called with the bytes on disk and the bytes announced (or None) after every block; raises to stop.

    Raises:
        InputError: the cookies file cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        network: Network,
        limits: FetchLimits,
        *,
        refuse: Callable[[dict[str, Any]], None],
        progress: Callable[[int, int | None], None],
    ) -> None:
        self._network = network

        def match_filter(info: dict[str, Any], *, incomplete: bool) -> None:
            if not incomplete:
                refuse(info)

        def hook(state: dict[str, Any]) -> None:
            if state["status"] == "downloading":
                progress(state.get("downloaded_bytes") or 0, state.get("total_bytes"))

        super().__init__(
            {
                **_FIXED,
                "outtmpl": {"default": NAME},
                "paths": {"home": str(folder)},
                "socket_timeout": limits.stall_s,
                "cookiefile": _cookies(limits.cookies_file),
                # HLS streams of some kinds are handed to ffmpeg, which opens connections of its own. It must not be found.
                "ffmpeg_location": str(folder / "no-ffmpeg"),
                "match_filter": match_filter,
                "progress_hooks": [hook],
            },
            auto_init=False,
        )
        # By hand: yt-dlp takes 80 ms to do it where one extractor is to be left out.
        for extractor in (*known_sites(), UnsupportedURLIE()):
            self.add_info_extractor(extractor)

    def build_request_director(self, handlers: object, preferences: object = None) -> Any:  # noqa: ARG002 -- its signature
        """With one handler only: each of yt-dlp's own makes unchecked connections."""
        return super().build_request_director([partial(GuardedRH, network=self._network)], preferences)


_FIXED: dict[str, Any] = {
    "format": _FORMAT,
    "logger": _Logger(),
    "quiet": True,
    "noprogress": True,
    "color": "never",
    "noplaylist": True,
    # Where it is a list after all: its first item's name only, enough to see that it is one.
    "playlist_items": "1",
    "lazy_playlist": True,
    "extract_flat": "in_playlist",
    "cachedir": False,
    "usenetrc": False,
    "enable_file_urls": False,
    "proxy": "",
    "geo_bypass": False,
    "external_downloader": "native",
    "js_runtimes": {},
    "postprocessors": [],
    "fixup": "never",
    "updatetime": False,
    "continuedl": False,
    "overwrites": True,
    # Attempts are counted in one place, `retry`; and a missing piece must not leave a hole in the video.
    "retries": 0,
    "fragment_retries": 0,
    "file_access_retries": 0,
    "extractor_retries": 0,
    "skip_unavailable_fragments": False,
}


def _cookies(path: Path | None) -> io.StringIO | None:
    """A copy in memory: yt-dlp writes the cookies back on close, and several workers share one file."""
    if path is None:
        return None
    try:
        return io.StringIO(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the cookies file cannot be read: {error}", str(path), "export the cookies in Netscape format") from error
