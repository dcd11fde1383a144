"""TikTok, Instagram and YouTube on this machine: a proxy, as a company has one, behind which every host of the world is this server.

yt-dlp's own extractors meet the shapes of pages that the sites have: the product is told `--proxy` and `SSL_CERT_FILE`, and nothing of it
is replaced. For the way without a proxy, which is the default, the sites are served `directly`, and `names_lead_to` makes the system's
resolver of the product's interpreters know where they are.
"""

from __future__ import annotations

import io
import json
import shutil
import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

TIKTOK, SHORT, INSTAGRAM, IMAGES, MUSIC = (
    *("www.tiktok.com", "vm.tiktok.com", "www.instagram.com"),
    *("p16-sign.tiktokcdn.com", "v16-webapp.tiktok.com"),
)
YOUTUBE, YOUTUBE_MEDIA = "www.youtube.com", "rr1---sn-4g5e6nez.googlevideo.com"
HOSTS = (TIKTOK, SHORT, INSTAGRAM, IMAGES, MUSIC, YOUTUBE, YOUTUBE_MEDIA)
POST_ID = "7240568259186019630"
PHOTO_POST = f"https://{TIKTOK}/@someone/photo/{POST_ID}"
VIDEO_POST = f"https://{TIKTOK}/@someone/video/{POST_ID}"
_UNIVERSAL = '<script id="__UNIVERSAL_DATA_FOR_REHYDRATION__" type="application/json">{}</script>'


class _Tunnel(BaseHTTPRequestHandler):
    """A tunnel to any host ends here, in TLS."""

    protocol_version = "HTTP/1.1"
    server: PostSites
    host = ""

    def do_CONNECT(self) -> None:
        self.host = self.path.rpartition(":")[0]
        self.send_response(200)
        self.end_headers()
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def do_GET(self) -> None:
        url = f"https://{self.host}{self.path.partition('?')[0]}"
        self.server.asked.append(url)
        status, body, headers = self.server.answers.get(url, (404, b"gone", {}))
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_GET  # noqa: N815 -- http.server's

    def log_message(self, *_: object) -> None:
        return


class _Site(_Tunnel):
    """The sites themselves, in TLS from the first byte."""

    def setup(self) -> None:
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def do_GET(self) -> None:
        self.host = self.headers["Host"]
        super().do_GET()

    do_HEAD = do_POST = do_GET  # noqa: N815 -- http.server's


class PostSites(ThreadingHTTPServer):
    """Answers by URL without its query; remembers what was asked.

    Args:
        folder: for the certificate.
        address: to listen on.
        directly: be the sites, and not the proxy before them.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, folder: Path, address: str = "127.0.0.1", *, directly: bool = False) -> None:
        super().__init__((address, 0), _Site if directly else _Tunnel)
        self.certificate = _certificate(folder)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.certificate)
        self.answers: dict[str, tuple[int, bytes, Mapping[str, str]]] = {}
        self.asked: list[str] = []

    @property
    def proxy(self) -> str:
        """What the product is to be given as its proxy."""
        return f"http://{self.server_address[0]!s}:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Clients that hang up in a handshake are none of a test's business."""

    def serve(self, url: str, body: bytes | str = b"", status: int = 200, headers: Mapping[str, str] | None = None) -> str:
        """Answer `url` so; returns it."""
        self.answers[url] = (status, body.encode() if isinstance(body, str) else body, headers or {})
        return url

    def serve_tiktok(self, status: int = 0, post_id: str = POST_ID, **post: Any) -> None:
        """Serve the page of a post.

        Args:
            status: TikTok's own, 0 for a post that can be seen.
            post_id: the post's; yt-dlp asks for this page, whether the post's address says `video` or `photo`.
            post: parts of `itemStruct`, in place of the usual ones or beside them.
        """
        item = {
            "id": post_id,
            "desc": "Five places #travel",
            "createTime": "1685800000",
            "author": {"uniqueId": "someone", "nickname": "Some One", "id": "1"},
            "stats": {"playCount": 9, "diggCount": 3, "shareCount": 1, "commentCount": 0},
            "video": {"id": "", "height": 0, "width": 0, "duration": 0, "playAddr": ""},
            **post,
        }
        detail = {"statusCode": status, "itemInfo": {"itemStruct": {} if status else item}}
        page = {"__DEFAULT_SCOPE__": {"webapp.video-detail": detail}}
        self.serve(f"https://{TIKTOK}/@someone/video/{post_id}", _UNIVERSAL.format(json.dumps(page)))

    def serve_video_post(self, film: bytes, post_id: str = POST_ID) -> None:
        """Serve a post of a video of TikTok."""
        play = self.serve(f"https://{MUSIC}/video-{post_id}.mp4", film)
        self.serve_tiktok(post_id=post_id, video={"id": post_id, "height": 1280, "width": 720, "duration": 3, "playAddr": play})

    def serve_creator(self, name: str, post_ids: Sequence[str]) -> None:
        """Serve the page of a creator of TikTok and the list of their posts."""
        user = {"userInfo": {"user": {"secUid": "MS4wLjABAAAA" + 64 * "x"}, "stats": {"videoCount": len(post_ids)}, "itemList": [{}]}}
        page = {"__DEFAULT_SCOPE__": {"webapp.user-detail": {**user, "statusCode": 0}}}
        self.serve(f"https://{TIKTOK}/@{name}", _UNIVERSAL.format(json.dumps(page)))
        author = {"uniqueId": "someone", "nickname": "Some One", "id": "1"}
        items = [{"id": one, "desc": f"post {one}", "createTime": "1685800000", "author": author, "video": {}} for one in post_ids]
        self.serve(f"https://{TIKTOK}/api/creator/item_list/", json.dumps({"itemList": items, "hasMorePrevious": False}))

    def serve_tiktok_creator(self, *items: Mapping[str, Any], status: int = 0) -> str:
        """Serve a creator's page and the one page of posts behind it; returns the creator's address.

        Args:
            items: `itemStruct` of the posts, newest first.
            status: TikTok's own of the creator, 0 for one whose posts can be seen.
        """
        user = {"secUid": "MS4wLjABAAAA" + "a" * 64, "uniqueId": "someone", "id": "1"}
        detail = {"statusCode": status, "userInfo": {} if status else {"user": user, "stats": {"videoCount": len(items)}}}
        page = _UNIVERSAL.format(json.dumps({"__DEFAULT_SCOPE__": {"webapp.user-detail": detail}}))
        self.serve(f"https://{TIKTOK}/api/creator/item_list/", json.dumps({"itemList": list(items), "hasMorePrevious": False}))
        return self.serve(f"https://{TIKTOK}/@someone", page)

    def serve_instagram(self, **product: Any) -> str:
        """Serve a post as Instagram answers visitors who are not logged in.

        Args:
            product: parts of its description, in place of the usual ones or beside them.

        Returns:
            Its address.
        """
        user = {"username": "someone", "pk": "1", "full_name": "Some One"}
        post = {"pk": "2900000000000000000", "code": "Ch", "user": user, "caption": {"text": "Two cards #cards"}, "like_count": 4}
        self.serve(f"https://{INSTAGRAM}/", '<script id="__eqmc" type="application/json">{"l": "token"}</script>')
        self.serve(f"https://{INSTAGRAM}/api/v1/web/get_ruling_for_content/", '{"status": "ok"}')
        answer = {"data": {"xig_polaris_media": {"if_not_gated_logged_out": {**post, **product}}}}
        self.serve(f"https://{INSTAGRAM}/api/graphql", json.dumps(answer))
        return f"https://{INSTAGRAM}/p/Chunk8jurwA/"

    def serve_reel(self, pictures: bytes, sound: bytes) -> str:
        """Serve a post of Instagram whose pictures and sound are files of their own, and return its address."""
        urls = [self.serve(f"https://{IMAGES}/{name}", body) for name, body in (("pictures.mp4", pictures), ("sound.m4a", sound))]
        kinds = ('mimeType="video/mp4" codecs="avc1.4d401f" width="720" height="1280"', 'mimeType="audio/mp4" codecs="mp4a.40.2"')
        streams = (f'<Representation id="{len(url)}" bandwidth="90" {kind}><BaseURL>{url}' for kind, url in zip(kinds, urls, strict=True))
        sets = "".join(f"<AdaptationSet>{one}</BaseURL></Representation></AdaptationSet>" for one in streams)
        manifest = f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT3S"><Period>{sets}</Period></MPD>'
        small = {"url": f"https://{IMAGES}/small.mp4", "width": 72, "height": 128}
        return self.serve_instagram(video_versions=[small], video_dash_manifest=manifest)

    def serve_youtube(self, media: bytes = b"", player: Mapping[str, Any] | None = None, rows: Sequence[Any] = ()) -> str:
        """Serve a video's page and what the player's interface answers.

        Args:
            media: the file of the video.
            player: parts of the player's response, in place of the usual ones or beside them.
            rows: `metadataRowContainerRenderer.rows` of the page.

        Returns:
            The video's address.
        """
        video_id = "BGQWPY4IigY"
        file = self.serve(f"https://{YOUTUBE_MEDIA}/videoplayback", media)
        response = {
            "playabilityStatus": {"status": "OK"},
            "videoDetails": {
                "videoId": video_id, "title": "A short", "shortDescription": "With @Friend.Of-Mine", "lengthSeconds": "16",
                "channelId": "UCuAXFkgsw1L7xaCfnd5JJOw", "author": "Some One", "viewCount": "9", "isLiveContent": False,
            },
            "microformat": {"playerMicroformatRenderer": {
                "uploadDate": "2024-05-01T12:00:00+00:00", "isFamilySafe": True, "ownerProfileUrl": "http://www.youtube.com/@someone",
            }},
            "streamingData": {
                "formats": [{
                    "itag": 18, "url": f"{file}?itag=18", "mimeType": 'video/mp4; codecs="avc1.42001E, mp4a.40.2"', "width": 360,
                    "height": 640, "bitrate": 500_000, "fps": 30, "quality": "medium", "qualityLabel": "360p",
                }],
            },
            **(player or {}),
        }  # fmt: skip
        secondary = {"metadataRowContainer": {"metadataRowContainerRenderer": {"rows": list(rows)}}}
        contents = [{"videoSecondaryInfoRenderer": secondary}]
        data = {"contents": {"twoColumnWatchNextResults": {"results": {"results": {"contents": contents}}}}}
        scripts = {"ytInitialPlayerResponse": response, "ytInitialData": data}
        page = "".join(f"<script>var {name} = {json.dumps(value)};</script>" for name, value in scripts.items())
        self.serve(f"https://{YOUTUBE}/watch", page)
        self.serve(f"https://{YOUTUBE}/youtubei/v1/player", json.dumps(response))
        # yt-dlp tries the player of other sites' pages where a video is age-limited.
        client = {"clientName": "WEB_EMBEDDED_PLAYER", "clientVersion": "1.20240501.01.00"}
        self.serve(
            f"https://{YOUTUBE}/embed/{video_id}", f"<script>ytcfg.set({json.dumps({'INNERTUBE_CONTEXT': {'client': client}})});</script>"
        )
        return f"https://{YOUTUBE}/shorts/{video_id}"

    def serve_photo_post(self, images: Sequence[bytes], sound: bytes | None, post_id: str = POST_ID) -> None:
        """Serve a post of images with sound."""
        urls = [self.serve(f"https://{IMAGES}/photo-{number}~image.webp", image) for number, image in enumerate(images, 1)]
        post: dict[str, Any] = {"imagePost": {"title": "", "images": [{"imageURL": {"urlList": [url]}} for url in urls]}}
        music = {"id": "2", "title": "original sound", "authorName": "someone", "duration": 4, "playUrl": ""}
        if sound is not None:
            music["playUrl"] = self.serve(f"https://{MUSIC}/sound.m4a", sound)
        self.serve_tiktok(post_id=post_id, **post, music=music)


_NAMES = """
import socket

_lookup = socket.getaddrinfo


def getaddrinfo(host, port, *rest, **named):
    if host not in {hosts}:
        return _lookup(host, port, *rest, **named)
    with open({asked!r}, "a") as note:
        note.write(host + "\\n")
    return _lookup("127.0.0.1", {port}, *rest, **named)


socket.getaddrinfo = getaddrinfo
"""


def names_lead_to(sites: PostSites, folder: Path) -> Path:
    """Make a module in `folder` that each Python imports at its start which has it in PYTHONPATH: names of the sites lead to `sites`.

    Returns:
        The file with the names that were looked up, one a line.
    """
    asked = folder / "looked-up.txt"
    asked.touch()
    (folder / "sitecustomize.py").write_text(_NAMES.format(hosts=set(HOSTS), asked=str(asked), port=sites.server_port))
    return asked


@contextmanager
def post_sites(folder: Path, address: str = "127.0.0.1", *, directly: bool = False) -> Iterator[PostSites]:
    """The sites, as long as the context is open; for the arguments see `PostSites`."""
    server = PostSites(folder, address, directly=directly)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _certificate(folder: Path) -> Path:
    """A certificate for all of `HOSTS`, with its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    path, key = folder / "sites.pem", folder / "sites.key"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={TIKTOK}"]
    names = ["-addext", "subjectAltName=" + ",".join(f"DNS:{host}" for host in HOSTS)]
    subprocess.run([openssl, "req", *kind, *names, "-keyout", key, "-out", path], check=True, capture_output=True)
    path.write_bytes(key.read_bytes() + path.read_bytes())
    return path


def card(text: str, size_px: tuple[int, int] = (720, 1280), colour: str = "white", picture_format: str = "WEBP", **options: Any) -> bytes:
    """An image with one large line of text in its middle."""
    image = Image.new("RGB", size_px, colour)
    font = ImageFont.load_default(size=min(size_px) // 8)
    ImageDraw.Draw(image).text((size_px[0] / 2, size_px[1] / 2), text, fill="black", font=font, anchor="mm")
    buffer = io.BytesIO()
    image.save(buffer, picture_format, **options)
    return buffer.getvalue()
