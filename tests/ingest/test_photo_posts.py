"""Posts of images: each is fetched, and a video of stills with the post's sound is made of them."""

from __future__ import annotations

import dataclasses
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from decoded import decoded
from post_sites import IMAGES, INSTAGRAM, MUSIC, PHOTO_POST, SHORT, TIKTOK
from quadrants import colour_at, colours_in, quadrants
from rumiai_ray.errors import InputError, MediaError, RumiaiError, TransientError
from rumiai_ray.ingest.outcomes import BlockedError, NoVideoError, PrivateError, RemovedError
from rumiai_ray.ingest.saving import MAX_IMAGE_BYTES
from rumiai_ray.ingest.sites import joining
from rumiai_ray.ingest.sites.photo_posts import IMAGES as FOUND
from rumiai_ray.ingest.sites.photo_posts import TikTokIE
from sound_files import make_sound

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from post_sites import PostSites
    from rumiai_ray.ingest.fetch import FetchedVideo, FetchLimits

    Got = Callable[..., AbstractContextManager[FetchedVideo]]

pillow_heif.register_heif_opener()

SIZE_PX = (96, 160)


@pytest.fixture
def limits(sites: PostSites, limits: FetchLimits) -> FetchLimits:
    """One attempt, through the proxy behind which the sites are."""
    return dataclasses.replace(limits, proxy=sites.proxy, attempts=1)


@pytest.fixture
def sound(tmp_path: Path) -> bytes:
    """A tone of four seconds."""
    return make_sound(tmp_path / "sound.m4a", 4.0).read_bytes()


def encoded(colours: str, picture_format: str, size_px: tuple[int, int] = SIZE_PX, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(quadrants(*size_px, colours)).save(buffer, picture_format, **options)
    return buffer.getvalue()


PLAIN = [encoded(colours, "WEBP", quality=95) for colours in ("RGBW", "GBWR", "BWRG")]


def test_a_photo_post_is_a_video_of_stills_with_its_sound(sites: PostSites, got: Got, sound: bytes) -> None:
    sites.serve_photo_post(PLAIN, sound)
    with got(PHOTO_POST) as video:
        assert [path.name for path in video.path.parent.iterdir()] == ["video"]
        whole, said = decoded(video.path), video.metadata
    assert whole.facts.problems == ()
    assert (whole.facts.width_px, whole.facts.height_px) == SIZE_PX
    assert [colours_in(picture) for picture in whole.pictures] == ["RGBW", "GBWR", "BWRG"]
    assert [frame.time_s for frame in whole.frames] == [0, 3, 6]
    assert whole.facts.is_slide_show
    assert whole.facts.duration_s == pytest.approx(9, abs=0.01)
    assert whole.facts.audio_codec == "aac"
    assert whole.rms(0.2, 3.8) == pytest.approx(0.35, abs=0.03)
    assert said.notes == ("photo post: 3 images, shown for 3 s each",)
    assert (said.author, said.description, said.hashtags, said.view_count) == ("someone", "Five places #travel", ("travel",), 9)
    assert said.source_url == PHOTO_POST


def test_the_last_image_stays_until_the_sound_ends(sites: PostSites, got: Got, tmp_path: Path) -> None:
    sites.serve_photo_post(PLAIN[:2], make_sound(tmp_path / "long.mp3", 20.0).read_bytes())
    with got(PHOTO_POST) as video:
        whole = decoded(video.path)
    assert [frame.time_s for frame in whole.frames] == [0, 3]
    assert whole.facts.duration_s == pytest.approx(20, abs=0.1)
    assert (whole.facts.audio_codec, whole.facts.problems) == ("mp3", ())


def test_a_post_of_one_image_without_sound_is_silent(sites: PostSites, got: Got) -> None:
    sites.serve_photo_post(PLAIN[:1], None)
    with got(PHOTO_POST) as video:
        whole, notes = decoded(video.path), video.metadata.notes
    assert (whole.facts.frames_decoded, whole.facts.duration_s, whole.facts.audio_codec) == (1, 3, None)
    assert notes == ("photo post: 1 image, shown for 3 s, without sound",)


def test_the_same_post_is_the_same_video(sites: PostSites, got: Got, sound: bytes) -> None:
    sites.serve_photo_post(PLAIN, sound)
    keys = set()
    for address in (PHOTO_POST, PHOTO_POST.replace("/photo/", "/video/"), f"{PHOTO_POST}?is_from_webapp=1"):
        with got(address) as video:
            keys.add(video.video_key)
    assert len(keys) == 1


def test_a_short_link_leads_to_a_photo_post(sites: PostSites, got: Got, sound: bytes) -> None:
    sites.serve_photo_post(PLAIN, sound)
    short = sites.serve(f"https://{SHORT}/ZMabc123/", status=301, headers={"Location": f"{PHOTO_POST}?_r=1"})
    sites.serve(PHOTO_POST)
    with got(short) as video:
        assert video.metadata.notes == ("photo post: 3 images, shown for 3 s each",)


def test_every_format_that_sites_serve_is_decoded_upright_and_on_white(sites: PostSites, got: Got) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned clockwise
    on_its_side = io.BytesIO()
    Image.fromarray(np.rot90(quadrants(*SIZE_PX))).save(on_its_side, "JPEG", quality=95, exif=turned)
    clear = io.BytesIO()
    Image.new("RGBA", SIZE_PX, (0, 0, 0, 0)).save(clear, "PNG")
    images = [
        *(encoded("RGBW", picture_format) for picture_format in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF")),
        on_its_side.getvalue(),
        clear.getvalue(),
    ]
    sites.serve_photo_post(images, None)
    with got(PHOTO_POST) as video:
        whole, notes = decoded(video.path), video.metadata.notes
    assert notes == ("photo post: 8 images, shown for 3 s each, without sound",)
    assert [colours_in(picture) for picture in whole.pictures] == ["RGBW"] * 7 + ["WWWW"]


def test_images_of_all_shapes_are_fitted_whole_into_one_canvas(sites: PostSites, got: Got) -> None:
    sites.serve_photo_post([encoded("RGBW", "PNG", size) for size in ((96, 160), (160, 96), (20, 20), (4000, 500))], None)
    with got(PHOTO_POST) as video:
        whole = decoded(video.path)
    assert (whole.facts.width_px, whole.facts.height_px) == (1920, 240)
    for picture, share in zip(whole.pictures, (144 / 1920, 400 / 1920, 240 / 1920, 1.0), strict=True):
        assert colour_at(picture, 0.5 - 0.4 * share, 0.1) == "R"
        assert colour_at(picture, 0.5 + 0.4 * share, 0.9) == "W"
        if share < 1:
            assert {colour_at(picture, 0.5 - 0.6 * share, 0.5), colour_at(picture, 0.5 + 0.6 * share, 0.5)} == {"K"}


def _bomb(side_px: int) -> bytes:
    """A small file with a large picture. One bit a pixel: with 24, each process that imports this module took two seconds to make it."""
    buffer = io.BytesIO()
    Image.new("1", (side_px, side_px), 1).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


BAD: dict[str, tuple[bytes, str]] = {
    "cut": (PLAIN[0][: len(PLAIN[0]) // 2], "it cannot be decoded"),
    "page": (b"<!DOCTYPE html><html>", "the file is not a picture"),
    "empty": (b"", "the file is not a picture"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "the file is not a picture"),
    "bomb": (_bomb(12_000), "12000×12000 is more than"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_image_among_good_ones_is_left_out_and_named(sites: PostSites, got: Got, sound: bytes, kind: str) -> None:
    bad, why = BAD[kind]
    sites.serve_photo_post([PLAIN[0], bad, PLAIN[2]], sound)
    with got(PHOTO_POST) as video:
        whole, notes = decoded(video.path), video.metadata.notes
    assert [colours_in(picture) for picture in whole.pictures] == ["RGBW", "BWRG"]
    assert notes[0] == "photo post: 2 of 3 images, shown for 3 s each"
    assert notes[1].startswith(f"photo post: image 2 is left out: {why}")
    assert len(notes) == 2


def test_an_image_that_is_gone_is_left_out_and_named(sites: PostSites, got: Got, sound: bytes) -> None:
    sites.serve_photo_post(PLAIN, sound)
    sites.serve(f"https://{IMAGES}/photo-1~image.webp", status=403)
    with got(PHOTO_POST) as video:
        whole, notes = decoded(video.path), video.metadata.notes
    assert [colours_in(picture) for picture in whole.pictures] == ["GBWR", "BWRG"]
    assert notes == (
        "photo post: 2 of 3 images, shown for 3 s each",
        "photo post: image 1 is left out: HTTP status 403",
    )


@pytest.mark.parametrize("address", ["https://[::1", "https://", "https://h.example:99999/x.webp", "https://x y/z"])
def test_an_image_without_a_valid_address_is_left_out_and_named(sites: PostSites, got: Got, address: str) -> None:
    good = sites.serve(f"https://{IMAGES}/good.webp", PLAIN[0])
    images = [{"imageURL": {"urlList": [one]}} for one in (good, address)]
    sites.serve_tiktok(imagePost={"images": images}, music={"playUrl": ""})
    with got(PHOTO_POST) as video:
        assert "photo post: image 2 is left out: its address is not valid" in video.metadata.notes


def test_sound_that_is_gone_costs_no_image_and_is_told(sites: PostSites, got: Got, sound: bytes) -> None:
    sites.serve_photo_post(PLAIN, sound)
    sites.serve(f"https://{MUSIC}/sound.m4a", status=403)
    with got(PHOTO_POST) as video:
        whole, notes = decoded(video.path), video.metadata.notes
    assert (whole.facts.frames_decoded, whole.facts.audio_codec) == (3, None)
    assert notes == ("photo post: 3 images, shown for 3 s each, without sound", "photo post: the sound is left out: HTTP status 403")


def test_sound_that_fails_for_now_is_tried_again(sites: PostSites, got: Got, sound: bytes) -> None:
    sites.serve_photo_post(PLAIN, sound)
    sites.serve(f"https://{MUSIC}/sound.m4a", status=503)
    with pytest.raises(TransientError), got(PHOTO_POST):
        pass


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just("https://a.example/1.webp"),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.sampled_from(["images", "imageURL", "urlList", "x"]), one, max_size=3),
    max_leaves=12,
)


@settings(max_examples=200)
@given(ANYTHING)
def test_whatever_a_page_says_of_images_the_addresses_are_those_of_the_web(said: object) -> None:
    info = TikTokIE()._parse_aweme_video_web({"id": "1", "imagePost": said}, "https://www.tiktok.com/@/video/1", "1", extract_flat=True)
    for addresses in info.get(FOUND, []):
        assert len(addresses) <= 3
        assert all(address.startswith(("https://", "http://", "//")) for address in addresses)


def test_a_further_address_of_an_image_is_tried_where_the_first_is_gone(sites: PostSites, got: Got) -> None:
    good = sites.serve(f"https://{IMAGES}/second.jpeg", PLAIN[0])
    gone = f"https://{IMAGES}/first.webp"
    sites.serve_tiktok(imagePost={"images": [{"imageURL": {"urlList": [gone, good]}}, {"imageURL": None}]})
    with got(PHOTO_POST) as video:
        assert video.metadata.notes[1:] == ("photo post: image 2 is left out: the site names no address",)
    assert [url for url in sites.asked if IMAGES in url] == [gone, good]


def test_a_passing_fault_of_an_images_host_is_outlasted_and_costs_no_image(sites: PostSites, got: Got, limits: FetchLimits) -> None:
    sites.serve_photo_post(PLAIN, None)
    broken = sites.serve(f"https://{IMAGES}/photo-2~image.webp", status=503)
    with pytest.raises(TransientError), got(PHOTO_POST, dataclasses.replace(limits, attempts=2)):
        pass
    assert sites.asked.count(broken) == 2


def test_an_image_that_breaks_off_is_tried_again(sites: PostSites, got: Got) -> None:
    sites.serve_photo_post(PLAIN, None)
    sites.serve(
        f"https://{IMAGES}/photo-2~image.webp", PLAIN[1][:50], headers={"Content-Length": str(len(PLAIN[1])), "Connection": "close"}
    )
    with pytest.raises(TransientError), got(PHOTO_POST):
        pass


def test_a_post_whose_every_image_is_bad_is_refused_by_the_first_reason(sites: PostSites, got: Got, sound: bytes) -> None:
    sites.serve_photo_post([b"nothing", b"nothing either"], sound)
    with (
        pytest.raises(MediaError, match="none of 2 images can be decoded; image 1 is left out: the file is not a picture"),
        got(PHOTO_POST),
    ):
        pass
    sites.serve(f"https://{IMAGES}/photo-1~image.webp", status=404)
    sites.serve(f"https://{IMAGES}/photo-2~image.webp", status=404)
    with pytest.raises(RemovedError), got(PHOTO_POST):
        pass


def test_no_more_than_a_hundred_images_are_fetched(sites: PostSites, got: Got) -> None:
    sites.serve_photo_post([encoded("RGBW", "PNG", (8, 8))] * 103, None)
    with got(PHOTO_POST) as video:
        notes = video.metadata.notes
    assert notes == (
        "photo post: 100 of 103 images, shown for 3 s each, without sound",
        "photo post: images 101 to 103 are left out: 100 are taken at most",
    )
    assert len([url for url in sites.asked if IMAGES in url]) == 100


def test_the_size_limit_is_over_images_and_sound_together(sites: PostSites, got: Got, limits: FetchLimits, sound: bytes) -> None:
    sites.serve_photo_post(PLAIN, sound)
    limit = dataclasses.replace(limits, max_bytes=len(sound) + len(PLAIN[0]) + 1)
    with pytest.raises(MediaError, match="larger than"), got(PHOTO_POST, limit):
        pass


def test_an_image_at_an_inside_address_refuses_the_post(sites: PostSites, got: Got, limits: FetchLimits) -> None:
    for inside in ("http://169.254.169.254/latest/meta-data", "https://10.0.0.1/a.webp"):
        sites.serve_photo_post(PLAIN[:1], None)
        sites.serve_tiktok(
            imagePost={"images": [{"imageURL": {"urlList": [url]}} for url in (f"https://{IMAGES}/photo-1~image.webp", inside)]}
        )
        strict = dataclasses.replace(limits, allow_private_hosts=False)
        with pytest.raises(InputError, match="not on the public internet"), got(PHOTO_POST, strict):
            pass


def test_an_image_that_never_ends_is_left_out_and_named(sites: PostSites, got: Got) -> None:
    sites.serve_photo_post([PLAIN[0], PLAIN[1] + bytes(MAX_IMAGE_BYTES)], None)
    with got(PHOTO_POST) as video:
        assert video.metadata.notes[1:] == ("photo post: image 2 is left out: it is larger than 32 MB",)


PROGRAMS: dict[str, tuple[str, type[RumiaiError], str]] = {
    "counts more images than there are": ('print(\'{"kind": "joined", "shown": 7}\')', MediaError, "sent an invalid message"),
    "says nothing of images": ('print(\'{"kind": "joined"}\')', MediaError, "sent an invalid message"),
    "says that it failed": ('print(\'{"kind": "error", "what": "so there"}\')', MediaError, "a post of images: so there"),
    "dies": ("import os; os.kill(os.getpid(), 9)", TransientError, "killed with SIGKILL"),
    "talks": ("import sys\nwhile True:\n    sys.stdout.write('x' * 4096)", MediaError, "sent too many messages"),
}


@pytest.mark.parametrize("how", PROGRAMS)
def test_a_process_that_images_have_taken_over_costs_the_post(
    sites: PostSites, got: Got, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    program, error, what = PROGRAMS[how]
    (tmp_path / "bad_show.py").write_text(program)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(joining, "_SLIDE_SHOW_WORKER", "bad_show")
    sites.serve_photo_post(PLAIN, None)
    with pytest.raises(error, match=what), got(PHOTO_POST):
        pass


def test_the_process_that_decodes_images_is_confined_before_it_reads_a_byte(
    sites: PostSites, got: Got, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "spying_show.py").write_text(
        "import socket\nfrom rumiai_ray.ingest.sites import slide_show_worker\n"
        "def reach_out(*_):\n    try:\n        socket.socket()\n"
        "    except PermissionError:\n        raise ValueError('confined') from None\n"
        "slide_show_worker.show = reach_out\nslide_show_worker.main()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(joining, "_SLIDE_SHOW_WORKER", "spying_show")
    sites.serve_photo_post(PLAIN, None)
    with pytest.raises(MediaError, match="ValueError: confined"), got(PHOTO_POST):
        pass


def test_a_file_of_this_machine_is_no_address_of_an_image(sites: PostSites, got: Got) -> None:
    sites.serve_tiktok(imagePost={"images": [{"imageURL": {"urlList": ["file:///etc/hostname", "ftp://x/y", 7]}}]})
    with pytest.raises(RumiaiError), got(PHOTO_POST):
        pass


def test_a_video_that_the_site_made_of_the_images_is_taken_as_it_is(sites: PostSites, got: Got, tmp_path: Path) -> None:
    film = make_sound(tmp_path / "post.mp4", 1.0).read_bytes()
    play = sites.serve(f"https://{IMAGES}/film.mp4", film)
    sites.serve_tiktok(
        imagePost={"images": [{"imageURL": {"urlList": [f"https://{IMAGES}/photo-1~image.webp"]}}]},
        video={"id": "1", "height": 1024, "width": 576, "duration": 5, "playAddr": play},
    )
    with got(PHOTO_POST) as video:
        assert video.path.read_bytes() == film
        assert video.metadata.notes == ()


def instagram(sites: PostSites, *media: dict[str, Any]) -> str:
    """Serve a post of Instagram that has this media; returns its address."""
    return sites.serve_instagram(**({"carousel_media": list(media)} if len(media) > 1 else media[0]))


def photo(sites: PostSites, name: str, image: bytes) -> dict[str, Any]:
    large, small = (sites.serve(f"https://{IMAGES}/{name}-{size}.jpg", image) for size in ("1080", "320"))
    return {"pk": "29", "image_versions2": {"candidates": [{"url": large, "width": 1080}, {"url": small, "width": 320}]}}


def test_an_instagram_carousel_of_images_is_a_silent_video_of_the_largest_ones(sites: PostSites, got: Got) -> None:
    url = instagram(sites, photo(sites, "a", PLAIN[0]), photo(sites, "b", PLAIN[1]))
    with got(url) as video:
        whole, said = decoded(video.path), video.metadata
    assert [colours_in(picture) for picture in whole.pictures] == ["RGBW", "GBWR"]
    assert said.notes == ("photo post: 2 images, shown for 3 s each, without sound",)
    assert (said.description, said.like_count) == ("Two cards #cards", 4)
    assert [url for url in sites.asked if IMAGES in url] == [f"https://{IMAGES}/{name}-1080.jpg" for name in "ab"]


def test_a_single_photo_of_instagram_is_a_photo_post(sites: PostSites, got: Got) -> None:
    with got(instagram(sites, photo(sites, "a", PLAIN[0]))) as video:
        assert video.metadata.notes == ("photo post: 1 image, shown for 3 s, without sound",)


def test_videos_among_the_images_of_a_carousel_are_left_out_and_told(sites: PostSites, got: Got) -> None:
    clip = {"pk": "30", "video_versions": [{"url": f"https://{IMAGES}/clip.mp4", "width": 720}]}
    with got(instagram(sites, photo(sites, "a", PLAIN[0]), clip, photo(sites, "b", PLAIN[1]))) as video:
        notes = video.metadata.notes
    assert notes == (
        "photo post: 2 images, shown for 3 s each, without sound",
        "photo post: 1 of the post's 3 parts are videos, left out",
    )


def test_a_carousel_of_videos_is_still_a_list(sites: PostSites, got: Got) -> None:
    clips = [{"pk": str(number), "video_versions": [{"url": f"https://{IMAGES}/{number}.mp4"}]} for number in (30, 31)]
    with pytest.raises(NoVideoError, match="a list of videos"), got(instagram(sites, *clips)):
        pass


def test_instagrams_login_wall_is_a_refusal_that_asks_for_cookies(sites: PostSites, got: Got) -> None:
    sites.serve(f"https://{INSTAGRAM}/", '<script id="__eqmc" type="application/json">{"l": "token"}</script>')
    sites.serve(f"https://{INSTAGRAM}/api/graphql", '{"data": {}}')
    sites.serve(f"https://{INSTAGRAM}/p/Chunk8jurwA", status=302, headers={"Location": f"https://{INSTAGRAM}/accounts/login/"})
    sites.serve(f"https://{INSTAGRAM}/accounts/login/", "<html>Log in</html>")
    with pytest.raises(PrivateError) as caught, got(f"https://{INSTAGRAM}/p/Chunk8jurwA/"):
        pass
    assert "cookies file" in caught.value.hint


CAPTCHAS = {
    "plain": "<html><title>Security Check</title><body><div id='captcha_container'></div></body></html>",
    "in place of the data": "<html><script>window.__captcha = {}</script><div class='tiktok-captcha'>Verify to continue</div></html>",
}


@pytest.mark.parametrize("kind", CAPTCHAS)
def test_a_captcha_is_a_refusal_that_says_what_to_do(sites: PostSites, got: Got, kind: str) -> None:
    sites.serve_tiktok()
    (page,) = sites.answers
    sites.serve(page, CAPTCHAS[kind])
    with pytest.raises(BlockedError, match="TikTok shows a captcha") as caught, got(PHOTO_POST):
        pass
    assert "another network" in caught.value.hint
    assert "cookies file" in caught.value.hint


def test_tiktoks_login_wall_is_a_refusal_that_asks_for_cookies(sites: PostSites, got: Got) -> None:
    sites.serve_tiktok()
    (page,) = sites.answers
    sites.serve(page, status=302, headers={"Location": f"https://{TIKTOK}/login?redirect_url=x"})
    sites.serve(f"https://{TIKTOK}/login", "<html>Log in</html>")
    with pytest.raises(PrivateError) as caught, got(PHOTO_POST):
        pass
    assert "cookies file" in caught.value.hint


@pytest.mark.parametrize(("status", "error"), [(10216, PrivateError), (10222, PrivateError), (10204, BlockedError), (100004, RemovedError)])
def test_a_tiktok_post_that_cannot_be_seen_is_refused_by_its_reason(
    sites: PostSites, got: Got, status: int, error: type[RumiaiError]
) -> None:
    sites.serve_tiktok(status)
    with pytest.raises(error) as caught, got(PHOTO_POST):
        pass
    assert caught.value.hint


def test_an_expired_short_link_is_no_video(sites: PostSites, got: Got) -> None:
    short = sites.serve(f"https://{SHORT}/ZMgone/", status=301, headers={"Location": f"https://{TIKTOK}/?_r=1"})
    sites.serve(f"https://{TIKTOK}/", "<html>")
    with pytest.raises(NoVideoError, match="Unsupported URL") as caught, got(short):
        pass
    assert "expired short link" in caught.value.hint
