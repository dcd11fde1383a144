"""The yt-dlp path, over an extractor that exists in these tests only and serves its media from the local server."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rumiai_ray.errors import InputError, MediaError, RumiaiError, TransientError
from rumiai_ray.ingest import addresses
from rumiai_ray.ingest.fetch import FetchLimits
from rumiai_ray.ingest.outcomes import BlockedError, ExtractorBrokenError, NoVideoError, PrivateError, RemovedError
from rumiai_ray.ingest.sites import fetch as sites
from rumiai_ray.ingest.sites import process as _site_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from rumiai_ray.ingest.fetch import FetchedVideo
    from tests.ingest.conftest import Request, Site

    Got = Callable[..., AbstractContextManager[FetchedVideo]]

FILM = b"\0\0\0\x20ftypisom" + bytes(50_000)


@pytest.fixture(autouse=True)
def fake_site(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    monkeypatch.setattr(_site_process, "WORKER", "fake_site")
    site.answers.clear()
    for kind in ("good", "silent", "page", "carousel"):
        site.serve(f"/media/{kind}.mp4", body=FILM)


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("https://www.tiktok.com/@leenabhushan/video/6748451240264420610", True),
        ("https://vm.tiktok.com/ZTR45GpSF/", True),
        ("https://vt.tiktok.com/ZSe4FqkKd", True),
        ("https://www.instagram.com/reel/CDUMkliABpa/", True),
        ("https://www.youtube.com/shorts/BGQWPY4IigY", True),
        ("https://cdn.example.com/clips/a.mp4", False),
        ("https://bucket.s3.amazonaws.com/a.mp4?X-Amz-Signature=1", False),
        ("http://localhost:9000/video/1", False),
    ],
)
def test_yt_dlp_is_asked_for_posts_and_not_for_files(url: str, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 -- a table
    monkeypatch.setattr(_site_process, "WORKER", "rumiai_ray.ingest.sites.worker")
    assert sites.knows(url) is known


def test_a_post_gives_its_video_and_what_the_site_says_about_it(site: Site, got: Got) -> None:
    with got(site.url("/post/good")) as video:
        assert video.path.read_bytes() == FILM
        path, said = video.path, video.metadata
    assert not path.exists()
    assert (said.title, said.description, said.author) == ("Tag #one", "Dance #one #два #one!", "someone")
    assert said.hashtags == ("one", "два")
    assert said.uploaded_at == datetime(2019, 10, 16, 17, 17, 32, tzinfo=UTC)
    assert (said.view_count, said.like_count, said.share_count) == (5, 0, 2)
    assert said.language == "ru-RU"
    assert said.comment_count is None, "unknown is not zero"
    assert said.source_url == site.url("/post/canonical")
    assert "/media/sound.m4a" not in site.requests


def test_a_short_link_is_followed_to_its_post(site: Site, got: Got) -> None:
    site.serve("/post/good", body=b"<html>")
    site.serve("/short", 302, Location=site.url("/post/good"))
    with got(site.url("/post/short")) as video:
        assert video.metadata.author == "someone"


def test_a_short_link_that_has_expired_is_no_video(site: Site, got: Got) -> None:
    site.serve("/home", body=b"<html>")
    site.serve("/short", 302, Location=site.url("/home"))
    with pytest.raises(NoVideoError, match="Unsupported URL"), got(site.url("/post/short")):
        pass


def test_a_short_link_to_an_inside_address_is_refused(site: Site, got: Got, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    monkeypatch.setattr(addresses, "own_addresses", frozenset)
    site.serve("/short", 302, Location="http://169.254.169.254/latest/meta-data")
    with pytest.raises(InputError, match=r"169\.254\.169\.254 is not on the public internet"), got(site.url("/post/short"), FetchLimits()):
        pass


def test_media_at_an_inside_address_are_refused(site: Site, got: Got, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    monkeypatch.setattr(addresses, "own_addresses", frozenset)
    with pytest.raises(InputError, match="not on the public internet"), got(site.url("/post/inside"), FetchLimits()):
        pass


def test_a_site_on_this_machine_is_refused_by_default(site: Site, got: Got) -> None:
    with pytest.raises(InputError, match="not on the public internet"), got(site.url("/post/page"), FetchLimits()):
        pass
    assert site.requests == []


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("private", PrivateError),
        ("blocked", BlockedError),
        ("removed", RemovedError),
        ("no-formats", NoVideoError),
        ("slideshow", NoVideoError),
        ("live", NoVideoError),
        ("list", NoVideoError),
        ("carousel", NoVideoError),
        ("broken", ExtractorBrokenError),
        ("keyerror", ExtractorBrokenError),
        ("missing-media", RemovedError),
    ],
)
def test_every_bad_end_has_its_own_error(site: Site, got: Got, kind: str, error: type[RumiaiError]) -> None:
    url = site.url(f"/post/{kind}")
    with pytest.raises(error) as caught, got(url):
        pass
    assert type(caught.value) is error
    assert caught.value.subject == url
    assert caught.value.hint
    assert not [path for path in site.requests if path.startswith("/media/") and kind != "missing-media"]


def test_a_local_file_is_never_read_for_a_site(site: Site, got: Got) -> None:
    with pytest.raises(RumiaiError), got(site.url("/post/local-file")):
        pass


def test_a_post_that_really_is_silent_is_taken(site: Site, got: Got) -> None:
    with got(site.url("/post/silent")) as video:
        assert video.size_bytes == len(FILM)


@pytest.mark.parametrize(
    ("status", "error", "asked"), [(404, RemovedError, 1), (403, BlockedError, 1), (429, TransientError, 3), (500, TransientError, 3)]
)
def test_a_sites_http_status_counts(site: Site, got: Got, status: int, error: type[RumiaiError], asked: int) -> None:
    site.serve("/page", status, b"no")
    with pytest.raises(error), got(site.url("/post/page")):
        pass
    assert site.requests == ["/page"] * asked


def test_a_passing_fault_of_a_site_is_outlasted(site: Site, got: Got) -> None:
    statuses = iter([500, 429])
    site.on("/page", lambda request: request.send(next(statuses, 200), b"<html>"))
    with got(site.url("/post/page")) as video:
        assert video.size_bytes == len(FILM)


def test_media_that_break_off_are_tried_again_from_the_start(site: Site, got: Got) -> None:
    def truncated(request: Request) -> None:
        request.start(Content_Length=str(len(FILM)))
        request.wfile.write(FILM[:1000])

    site.on("/media/x.mp4", truncated)
    with pytest.raises(TransientError), got(site.url("/post/x")):
        pass
    assert site.requests == ["/media/x.mp4"] * 3


def test_an_html_page_for_media_is_no_video(site: Site, got: Got) -> None:
    site.serve("/media/x.mp4", body=b"<!DOCTYPE html>")
    with pytest.raises(NoVideoError, match="an HTML page"), got(site.url("/post/x")):
        pass


def test_media_over_the_limit_are_refused(site: Site, got: Got, limits: FetchLimits) -> None:
    small = dataclasses.replace(limits, max_bytes=1000)
    with pytest.raises(MediaError, match="larger than"), got(site.url("/post/good"), small):
        pass


def test_a_stream_in_pieces_is_joined_natively(site: Site, got: Got) -> None:
    pieces = [b"G" + bytes(187), b"G" + bytes(375)]
    for number, piece in enumerate(pieces):
        site.serve(f"/media/{number}.ts", body=piece)
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1,", "0.ts", "#EXTINF:1,", "1.ts", "#EXT-X-ENDLIST", ""]
    site.serve("/media/list.m3u8", body="\n".join(lines).encode())
    with got(site.url("/post/hls")) as video:
        assert video.path.read_bytes() == b"".join(pieces)
    site.serve("/media/1.ts", 404, b"")
    with pytest.raises(RumiaiError), got(site.url("/post/hls")):
        pass


def test_slow_media_end_with_the_total_time(site: Site, got: Got, limits: FetchLimits) -> None:
    def drip(request: Request) -> None:
        request.start(Content_Length="1000000")
        while not request.server.ended.wait(0.02):
            request.wfile.write(b"\0")

    site.on("/media/x.mp4", drip)
    with pytest.raises(TransientError, match="not done after"), got(site.url("/post/x"), dataclasses.replace(limits, total_s=6)):
        pass


def test_a_cookies_file_is_used_and_never_written(site: Site, got: Got, limits: FetchLimits, tmp_path: Path) -> None:
    cookies = tmp_path / "cookies.txt"
    cookies.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t4000000000\tsid\tsecret\n")
    before, seen = cookies.read_bytes(), []

    def answer(request: Request) -> None:
        seen.append(request.headers.get("Cookie"))
        request.send(200, b"<html>", Set_Cookie="new=1")

    site.on("/page", answer)
    with got(site.url("/post/page"), dataclasses.replace(limits, cookies_file=cookies)):
        pass
    assert seen == ["sid=secret"]
    assert cookies.read_bytes() == before
    with (
        pytest.raises(InputError, match="cookies file"),
        got(site.url("/post/good"), dataclasses.replace(limits, cookies_file=tmp_path / "no")),
    ):
        pass


def test_the_users_configuration_plugins_and_environment_are_ignored(site: Site, tmp_path: Path) -> None:
    """A config file that runs a command, a plugin that writes a file, a netrc, a proxy: none of them may have any effect."""
    home, work = tmp_path / "home", tmp_path / "work"
    trace = tmp_path / "trace"
    work.mkdir()
    config = home / ".config" / "yt-dlp" / "config"
    plugin = home / ".config" / "yt-dlp" / "plugins" / "evil" / "yt_dlp_plugins" / "extractor" / "evil.py"
    on_path = home / "lib" / "yt_dlp_plugins" / "extractor" / "evil.py"
    for path in (config, plugin, on_path):
        path.parent.mkdir(parents=True)
    config.write_text(f"--exec 'touch {trace}'\n--write-info-json\n-o {trace}\n--proxy http://127.0.0.1:1\n")
    for path in (plugin, on_path):
        path.write_text(f"open({str(trace)!r}, 'w').close()\n")
    program = textwrap.dedent(
        """
        import sys, pathlib
        sys.path.insert(0, sys.argv[3])
        from rumiai_ray.ingest.sites import process as _site_process
        _site_process.WORKER = "fake_site"
        from rumiai_ray.ingest.entries import entries_from_inputs
        from rumiai_ray.ingest.fetch import FetchLimits, fetch
        limits = FetchLimits(allow_private_hosts=True)
        with fetch(entries_from_inputs([sys.argv[1]])[0], limits, pathlib.Path(sys.argv[2])) as video:
            print(video.size_bytes, sorted(path.name for path in video.path.parent.iterdir()))
        """
    )
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("YTDLP")},
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "PYTHONPATH": os.pathsep.join([str(home / "lib"), *sys.path]),
        "http_proxy": "http://127.0.0.1:1",
    }
    here = str(Path(__file__).parents[1] / "support")
    ran = subprocess.run(
        [sys.executable, "-c", program, site.url("/post/good"), work, here],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == f"{len(FILM)} ['video']\n", ran.stderr
    assert not trace.exists()
    assert list(work.iterdir()) == []
    assert sorted(path.name for path in home.iterdir()) == [".config", "lib"], "no cache was written"
