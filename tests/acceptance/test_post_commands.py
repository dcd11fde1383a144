"""Posts through the real command: TikTok and Instagram are a local server behind the product's proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from post_sites import MUSIC, PHOTO_POST, TIKTOK, VIDEO_POST, card, names_lead_to, post_sites
from product import ROOT, analyse
from sound_files import make_sound
from synthetic_clips import WIDTH_PX, make_clip

if TYPE_CHECKING:
    from pathlib import Path

WORDS = ("COFFEE", "BREAD", "CHEESE", "APPLES")


@pytest.mark.usefixtures("weights")
def test_each_image_of_a_photo_post_is_a_shot_and_every_text_is_read(tmp_path: Path) -> None:
    with post_sites(tmp_path) as sites:
        sites.serve_photo_post([card(word) for word in WORDS], make_sound(tmp_path / "sound.m4a", 14.0).read_bytes())
        ran = analyse(tmp_path, [PHOTO_POST], "--models", "ocr,shots,sound", "--proxy", sites.proxy, SSL_CERT_FILE=str(sites.certificate))
    assert ran.code == 0, ran.stderr
    (video,) = ran.document["videos"]
    assert {name: one["status"] for name, one in video["models"].items()} == {"ocr": "ok", "shots": "ok", "sound": "ok"}
    (row,) = ran.run.table("videos").to_pylist()
    assert row["notes"] == ["photo post: 4 images, shown for 3 s each"]
    assert (row["author"], row["frames_sampled"], row["audio_codec"]) == ("someone", 4, "aac")
    assert row["duration_s"] == pytest.approx(14, abs=0.1)
    assert [shot["start_s"] for shot in ran.run.table("shots").to_pylist()] == [0, 3, 6, 9]
    read = {(text["time_s"], text["text"].upper()) for text in ran.run.table("texts").to_pylist()}
    assert read == {(3.0 * place, word) for place, word in enumerate(WORDS)}
    assert len(ran.run.table("audio_energy").to_pylist()) > 100


SIGNALS = ("--models", "shots,sound")


def test_a_video_post_is_analysed_with_what_the_platform_says_of_it(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", [number / 25 for number in range(75)], sound_from_to_s=[(0, 3)]).read_bytes()
    with post_sites(tmp_path) as sites:
        sites.serve_video_post(film)
        ran = analyse(tmp_path, [VIDEO_POST], *SIGNALS, "--proxy", sites.proxy, SSL_CERT_FILE=str(sites.certificate))
    assert ran.code == 0, ran.stderr
    (row,) = ran.run.table("videos").to_pylist()
    assert (row["author"], row["view_count"], row["like_count"]) == ("someone", 9, 3)
    assert (row["title"], row["notes"]) == ("Five places #travel", [])
    assert row["duration_s"] == pytest.approx(3, abs=0.05)
    assert len(ran.run.table("audio_energy").to_pylist()) > 50


def test_pictures_and_sound_that_a_platform_serves_as_two_files_are_one_video(tmp_path: Path) -> None:
    pictures = make_clip(tmp_path / "pictures.mp4", [number / 25 for number in range(75)]).read_bytes()
    sound = make_sound(tmp_path / "sound.m4a", 3.0).read_bytes()
    with post_sites(tmp_path) as sites:
        address = sites.serve_reel(pictures, sound)
        ran = analyse(tmp_path, [address], *SIGNALS, "--proxy", sites.proxy, SSL_CERT_FILE=str(sites.certificate))
        assert [url.rpartition("/")[2] for url in sites.asked[-2:]] == ["pictures.mp4", "sound.m4a"]
    assert ran.code == 0, ran.stderr
    (row,) = ran.run.table("videos").to_pylist()
    assert (row["author"], row["audio_codec"], row["width_px"]) == ("someone", "aac", WIDTH_PX)
    assert row["duration_s"] == pytest.approx(3, abs=0.1)
    assert {video["status"] for video in ran.document["videos"]} == {"complete"}
    assert len(ran.run.table("audio_energy").to_pylist()) > 50


@pytest.mark.parametrize("allowed", [True, False])
def test_without_a_proxy_names_are_looked_up_and_checked_here_and_the_post_is_got_from_its_site(tmp_path: Path, allowed: bool) -> None:  # noqa: FBT001 -- a parameter
    film = make_clip(tmp_path / "film.mp4", [number / 25 for number in range(75)], sound_from_to_s=[(0, 3)]).read_bytes()
    names = tmp_path / "names"
    names.mkdir()
    with post_sites(tmp_path, directly=True) as sites:
        looked_up = names_lead_to(sites, names)
        sites.serve_video_post(film)
        variables = {"SSL_CERT_FILE": str(sites.certificate), "PYTHONPATH": f"{names}:{ROOT}"}
        ran = analyse(tmp_path, [VIDEO_POST], *SIGNALS, *(["--limits-private-hosts"] if allowed else []), **variables)
    asked = set(looked_up.read_text(encoding="utf-8").split())
    if not allowed:
        assert ran.code == 1
        assert "the host's address 127.0.0.1 is not on the public internet" in ran.stderr
        assert (asked, sites.asked) == ({TIKTOK}, [])
        return
    assert ran.code == 0, ran.stderr
    assert asked == {TIKTOK, MUSIC}
    (row,) = ran.run.table("videos").to_pylist()
    assert (row["author"], row["view_count"]) == ("someone", 9)
    assert row["duration_s"] == pytest.approx(3, abs=0.05)
