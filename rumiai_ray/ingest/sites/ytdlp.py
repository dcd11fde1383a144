"""yt-dlp, set up so that nothing on this machine but our arguments decides what it does, and so that it can run confined.

Importing this module imports yt-dlp and, where it is installed, curl_cffi: 0.4 s of CPU and 65 MB of address space. Only the process of
`worker` does.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import mimetypes
import os
import ssl
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yt_dlp.globals
from yt_dlp import YoutubeDL
from yt_dlp.extractor import gen_extractor_classes
from yt_dlp.extractor.common import UnsupportedURLIE
from yt_dlp.networking import Request
from yt_dlp.networking.exceptions import HTTPError
from yt_dlp.utils import DownloadError, variadic

from rumiai_ray.errors import InputError, MediaError
from rumiai_ray.ingest.location import locate
from rumiai_ray.ingest.outcomes import NoVideoError
from rumiai_ray.ingest.saving import IMAGE_NAMES, MAX_IMAGE_BYTES, MAX_IMAGES, NAME, PICTURES_NAME, SOUND_NAME
from rumiai_ray.ingest.sites.errors import causes
from rumiai_ray.ingest.sites.hosts import SiteHosts, literals_of
from rumiai_ray.ingest.sites.photo_posts import EXTRACTORS, IMAGES, VIDEOS_BESIDE
from rumiai_ray.logs import swallowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rumiai_ray.ingest.sites.job import SiteJob

_log = logging.getLogger(__name__)

_FORMAT = "/".join(f"bv*[protocol^={by}]+ba[protocol^={by}]/b[protocol^={by}]" for by in ("http", "m3u8"))
"""The best pictures, with the best sound where these have none; then the best file with both. Where a post's files all lack the same one,
the best of those, so that a silent video is taken (and a slideshow's music, which the worker refuses)."""

# Plugins are code in the user's configuration directories and on sys.path, loaded when the first YoutubeDL is made.
yt_dlp.globals.plugin_dirs.value = []

gen_extractor_classes()  # fills the table, which is empty until then: no address would be recognised
yt_dlp.globals.extractors.value.update({site.__name__: site for site in EXTRACTORS})

_LATE_MODULES = """
_asyncio _bisect _blake2 _bz2 _contextvars _csv _ctypes _datetime _decimal _elementtree _hashlib _heapq _json _lzma _md5
_multibytecodec _opcode _pickle _posixsubprocess _queue _random _sha1 _sha2 _sha256 _sha3 _sha512 _socket _ssl _statistics _struct _typing
_uuid _zoneinfo array binascii cmath fcntl grp math mmap pyexpat select syslog termios unicodedata zlib
_codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw
encodings.idna encodings.punycode encodings.latin_1 encodings.ascii encodings.utf_8_sig encodings.cp1252 stringprep
charset_normalizer.md
"""
"""Extension modules of the standard library that an extractor may import, and codecs: what is not loaded before the confinement cannot
map its code afterwards. Names that a version of Python does not have are left out."""
_PACKAGES = ("yt_dlp", "certifi", "curl_cffi", "requests", "urllib3", "idna", "charset_normalizer", "yt_dlp_ejs")
"""Whose files may be read inside: extractors are imported when they are used."""
_MAX_PAGE_BYTES = 128 * 2**20
"""Largest page, decompressed. Pages of the known sites have 5 MB at most."""
_BLOCK_BYTES = 2**20
_GONE = (400, 401, 403, 404, 410, 451)
"""HTTP statuses that say the same at every attempt: an image or a post's sound that answers so is left out. Others end the attempt, which
is made again."""
_ZONES = Path("/usr/share/zoneinfo")


def known_sites() -> list[Any]:
    """yt-dlp's extractor classes, those of `photo_posts` among them, but for the generic one, which would follow any page and guess."""
    return [site for site in gen_extractor_classes() if site.IE_NAME != "generic" and getattr(site, "_ENABLED", True)]


def site_hosts() -> SiteHosts:
    """The literals of all extractors' patterns. Takes 0.8 s of CPU."""
    literals = {site.__name__: literals_of(variadic(site._VALID_URL)) for site in known_sites() if site._VALID_URL}  # noqa: SLF001
    return SiteHosts({name: known for name, known in literals.items() if known.host or known.url or known.always})


def extractor_of(url: str, hosts: SiteHosts) -> str | None:
    """The key of the extractor that takes `url`, or None. Patterns are matched of those only that the host allows."""
    sites = yt_dlp.globals.extractors.value
    return next((sites[name].ie_key() for name in hosts.candidates(url) if name in sites and sites[name].suitable(url)), None)


def import_everything() -> None:
    """Load what a confined process could not load any more: extension modules, codecs, OpenSSL's configuration, the extractors' table."""
    for name in _LATE_MODULES.split():
        with swallowed(_log, f"importing {name}, which is optional", ImportError):
            importlib.import_module(name)
    mimetypes.init(files=[])  # its own table: the files it would look for are out of reach
    ssl.create_default_context()
    known_sites()


def readable_trees(ca_bundle: str | None) -> tuple[str, ...]:
    """Files and directories that yt-dlp reads while it works."""
    packages = [spec.submodule_search_locations or [] for name in _PACKAGES if (spec := importlib.util.find_spec(name))]
    wanted = [
        sysconfig.get_path("stdlib"),
        *(place for places in packages for place in places),
        str(Path(__file__).parents[2]),
        str(_ZONES),
        *([ca_bundle] if ca_bundle else []),
        *_certificates_of_directory(os.environ.get("SSL_CERT_DIR")),
    ]
    return tuple(dict.fromkeys(path for path in wanted if os.path.exists(path)))  # noqa: PTH110 -- strings


def _certificates_of_directory(directory: str | None) -> Iterable[str]:
    """The directory and the files that links in it lead to: Debian's lead to another directory."""
    if not directory:
        return ()
    with swallowed(_log, f"listing the certificates in {directory}", OSError):
        return (directory, *(str(path.resolve()) for path in Path(directory).iterdir() if path.is_symlink()))
    return ()


class _Logger:
    """yt-dlp's chatter, for users who turn debugging on. Its errors are raised, too."""

    def debug(self, message: str) -> None:
        _log.debug("%s", message)

    warning = error = info = debug


def _bounded(response: Any) -> Any:
    """The response, whose `read` without a size takes blocks: curl_cffi's reader would copy all it has with each few kilobytes."""
    read_block = response.read

    def read(amt: int | None = None) -> bytes:
        if amt is not None and amt >= 0:
            block: bytes = read_block(amt)
            return block
        blocks, size_bytes = [], 0
        while block := read_block(_BLOCK_BYTES):
            blocks.append(block)
            size_bytes += len(block)
            if size_bytes > _MAX_PAGE_BYTES:
                what = f"the site sent a page larger than {_MAX_PAGE_BYTES // 2**20} MB"
                raise MediaError(what, str(response.url), "open the URL in a browser to see what it serves")
        return b"".join(blocks)

    response.read = read
    return response


def _is_web_address(address: str) -> bool:
    """Whether a site's address of an image is one that can be asked for at all."""
    try:
        return locate(address).kind == "web" and not any(map(str.isspace, urlsplit(address).netloc))
    except InputError as error:
        _log.debug("no valid address of an image: %s", error)
        return False


def _through_the_proxy(handler: Any, proxy: str) -> Any:
    """A class of request handler whose every request goes through `proxy`, whatever an extractor or a description says."""

    def send(self: Any, request: Any) -> Any:
        try:
            return _bounded(handler.send(self, request))
        except HTTPError as error:
            _bounded(error.response)  # extractors read the pages of errors, too
            raise

    def proxies(self: Any, request: Any) -> dict[str, str]:  # noqa: ARG001 -- yt-dlp's signature
        return {"all": proxy}

    def validate(self: Any, request: Any) -> None:
        request.proxies = {"all": proxy}
        handler._validate(self, request)  # noqa: SLF001 -- the method that this one extends

    members: dict[str, Any] = {"_get_proxies": proxies, "_validate": validate, "send": send}
    if handler.RH_KEY == "Urllib":
        # no ftp, which connects by itself, and no file
        members["_SUPPORTED_URL_SCHEMES"] = ("http", "https", "data")
    return type(handler.__name__, (handler,), members)


class ConfinedYoutubeDL(YoutubeDL):  # type: ignore[misc]  # no types in yt-dlp
    """A YoutubeDL that writes to one folder, keeps no state and sends every request through one proxy.

    Args:
        job: says where, through what, and how much.
        refuse: called with the description of a post, its format chosen, before anything of it is downloaded; raises to refuse.
        progress: called with the bytes on disk and the bytes announced (or None) after every block; raises to stop. Both are sums
            over the files of a post.
        walks_lists: an address that names both a post and a list means the list, and a list's pages that fail are asked for again, for
            the reader of a list has its first rows already.
    """

    def __init__(
        self,
        job: SiteJob,
        *,
        refuse: Callable[[dict[str, Any]], None] = lambda _: None,
        progress: Callable[[int, int | None], None] = lambda *_: None,
        walks_lists: bool = False,
    ) -> None:
        self._job = job
        self._refuse = refuse
        self._done_bytes = 0
        """Of a post's files before the one that is being downloaded."""
        self._is_part = False
        self.images = 0
        """How many the post has; 0 where it is none of images."""
        self.left_out: list[str] = []
        """What of a post of images was not fetched, in words."""

        def match_filter(info: dict[str, Any], *, incomplete: bool) -> None:
            if not incomplete and not self._is_part:
                refuse(info)

        self._progress = progress

        def hook(state: dict[str, Any]) -> None:
            if state["status"] == "downloading":
                announced = state.get("total_bytes")
                progress(
                    self._done_bytes + (state.get("downloaded_bytes") or 0), None if announced is None else self._done_bytes + announced
                )

        super().__init__(
            {
                **_FIXED,
                **(_OF_LISTS if walks_lists else {}),
                "outtmpl": {"default": NAME},
                "paths": {"home": job.folder},
                # the largest picture whose shorter side is no longer, else the smallest one
                "format_sort": [f"res:{job.resolution_px}"],
                "proxy": job.proxy,
                "socket_timeout": job.stall_s,
                # In memory: yt-dlp writes cookies back on close, and several workers share one file.
                "cookiefile": None if job.cookies is None else io.StringIO(job.cookies),
                # certifi's list, as yt-dlp has it, but for a company that has its own
                "compat_opts": {"no-certifi"} if job.ca_bundle or os.environ.get("SSL_CERT_DIR") else set(),
                # HLS streams of some kinds are handed to ffmpeg, which opens connections of its own. It must not be found.
                "ffmpeg_location": str(Path(job.folder) / "no-ffmpeg"),
                "match_filter": match_filter,
                "progress_hooks": [hook],
            },
            auto_init=False,
        )
        # By hand: yt-dlp takes 80 ms to do it where one extractor is to be left out.
        for extractor in (*known_sites(), UnsupportedURLIE()):
            self.add_info_extractor(extractor)

    def extract_info(self, url: str, download: bool = True, ie_key: str | None = None, *args: Any, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 -- yt-dlp's signature
        """As yt-dlp does it, but an address without a chosen extractor, as short links end in, is not matched with all patterns."""
        return super().extract_info(url, download, ie_key or extractor_of(url, self._job.hosts) or "UnsupportedURL", *args, **kwargs)

    def process_info(self, info: dict[str, Any]) -> None:
        """As yt-dlp does it, but a post's pictures and sound in two files are each left under a name of ours.

        yt-dlp itself gives up on them without ffmpeg, which it must not find.
        """
        parts = info.pop("requested_formats", None)
        if parts is None:
            super().process_info(info)
            return
        self._refuse(info)
        self._is_part = True
        info["filepaths"] = []
        for part in parts:
            name = SOUND_NAME if part.get("vcodec") == "none" else PICTURES_NAME
            self.params["outtmpl"]["default"] = name
            super().process_info({**info, **part})
            path = Path(self._job.folder, name)
            self._done_bytes += path.stat().st_size
            info["filepaths"].append(str(path))

    def process_video_result(self, info_dict: dict[str, Any], download: bool = True) -> Any:  # noqa: FBT001, FBT002 -- yt-dlp's signature
        """As yt-dlp does it, but of a post of images each is fetched, and the best sound that comes with them, if there is any.

        A post of images that the site itself offers as a video is taken as that video.
        """
        images = info_dict.get(IMAGES)
        formats = info_dict.get("formats") or []
        if not images or any(one.get("vcodec") != "none" for one in formats):
            return super().process_video_result(info_dict, download)
        self._refuse({**info_dict, "vcodec": None})
        self._is_part = True
        self.images = len(images)
        info = info_dict
        if formats:
            self.params["outtmpl"]["default"] = SOUND_NAME
            try:
                info = super().process_video_result(info_dict, download)
                self._done_bytes += Path(self._job.folder, SOUND_NAME).stat().st_size
            except DownloadError as error:
                gone = next((link for link in causes(error) if isinstance(link, HTTPError) and link.status in _GONE), None)
                if gone is None:
                    raise
                self.left_out.append(f"the sound is left out: HTTP status {gone.status}")
        self.left_out += self._fetch_images(images, info_dict.get("http_headers") or {})
        if beside := info_dict.get(VIDEOS_BESIDE):
            self.left_out.append(f"{beside} of the post's {beside + len(images)} parts are videos, left out")
        return info

    def _fetch_images(self, images: list[list[str]], headers: dict[str, str]) -> list[str]:
        """Fetch each image into the folder; returns what was left out, in words."""
        notes, refused = [], []
        for number, (addresses, name) in enumerate(zip(images, IMAGE_NAMES, strict=False), 1):
            why = "the site names no address"
            for address in addresses:
                if not _is_web_address(address):
                    why = "its address is not valid"
                    continue
                try:
                    with self.urlopen(Request(address, headers=headers)) as response:
                        is_whole = self._save_image(response, Path(self._job.folder, name))
                except HTTPError as error:
                    if error.status not in _GONE:
                        raise
                    refused.append(error)
                    why = f"HTTP status {error.status}"
                    continue
                if is_whole:
                    break
                why = f"it is larger than {MAX_IMAGE_BYTES // 2**20} MB"
            else:
                notes.append(f"image {number} is left out: {why}")
        if len(images) > MAX_IMAGES:
            notes.append(f"images {MAX_IMAGES + 1} to {len(images)} are left out: {MAX_IMAGES} are taken at most")
        if not any(Path(self._job.folder, name).exists() for name in IMAGE_NAMES):
            raise refused[0] if refused else NoVideoError(notes[0], self._job.url, "open it in a browser to see what it is")
        return notes

    def _save_image(self, response: Any, path: Path) -> bool:
        """Write what comes to a file; False, and no file, where it is too much."""
        size_bytes = 0
        with path.open("wb") as file:
            while block := response.read(_BLOCK_BYTES):
                size_bytes += len(block)
                if size_bytes > MAX_IMAGE_BYTES:
                    break
                self._progress(self._done_bytes + size_bytes, None)
                file.write(block)
        self._done_bytes += size_bytes
        if size_bytes > MAX_IMAGE_BYTES:
            path.unlink()
        return size_bytes <= MAX_IMAGE_BYTES

    def build_request_director(self, handlers: Iterable[Any], preferences: object = None) -> Any:
        """With each of yt-dlp's handlers bound to the proxy; those that cannot use one (WebSockets) are left out."""
        bound = [
            _through_the_proxy(handler, self._job.proxy)
            for handler in handlers
            if "http" in (handler._SUPPORTED_PROXY_SCHEMES or ()) and (self._job.impersonate or handler.RH_KEY != "CurlCFFI")  # noqa: SLF001 -- yt-dlp's declaration
        ]
        return super().build_request_director(bound, preferences)


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
_OF_LISTS: dict[str, Any] = {"noplaylist": False, "playlist_items": None, "extractor_retries": 3}
