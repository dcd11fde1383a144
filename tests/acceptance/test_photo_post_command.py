"""A post of images through the real command: TikTok is a local server behind the product's proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from post_sites import PHOTO_POST, card, post_sites
from product import analyse
from sound_files import make_sound

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
