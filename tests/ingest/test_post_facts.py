"""What a platform says of a post beside its title and counts: sound, saves, ads, mentions, subtitles, length and size as stated."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from post_sites import VIDEO_POST, card
from rumiai_ray.ingest.sites.job import described
from rumiai_ray.ingest.sites.lists import post_of
from rumiai_ray.ingest.sites.metadata import metadata_from
from rumiai_ray.ingest.sites.photo_posts import InstagramIE, TikTokIE
from rumiai_ray.ingest.sites.post_facts import (
    AUTOMATIC_SUBTITLES,
    IS_AD,
    MENTIONS,
    SOUND_ID,
    SUBTITLES,
    instagram_facts,
    tiktok_facts,
)
from sound_files import make_sound

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from post_sites import PostSites
    from rumiai_ray.ingest.fetch import FetchedVideo, FetchLimits
    from rumiai_ray.ingest.video import VideoMetadata

    Got = Callable[..., AbstractContextManager[FetchedVideo]]

FILM = b"\0\0\0\x20ftypisom" + bytes(50_000)


@pytest.fixture
def limits(sites: PostSites, limits: FetchLimits) -> FetchLimits:
    """One attempt, through the proxy behind which the sites are."""
    return dataclasses.replace(limits, proxy=sites.proxy, attempts=1)


def said_of(got: Got, url: str) -> VideoMetadata:
    with got(url) as video:
        return video.metadata


def serve_tiktok_video(sites: PostSites, **post: Any) -> None:
    """A post of TikTok's with a video, as its page describes it."""
    url = sites.serve("https://v16-webapp.tiktok.com/video.mp4", FILM)
    sites.serve_tiktok(
        **{
            "desc": "Duet with @Some Friend #duet",
            "stats": {"playCount": 9, "diggCount": 3, "shareCount": 1, "commentCount": 0, "collectCount": "12"},
            "statsV2": {"collectCount": "12"},
            "music": {"id": "6956990112127585029", "title": "Build a Btch", "authorName": "Bella Poarch & sub urban", "duration": 30},
            "isAd": False,
            "textExtra": [
                {"start": 10, "end": 22, "type": 0, "userUniqueId": "some.friend", "userId": "2", "hashtagName": ""},
                {"start": 23, "end": 28, "type": 1, "userUniqueId": "", "hashtagName": "duet"},
            ],
            "video": {
                "height": 1024,
                "width": 576,
                "duration": 13,
                "playAddr": url,
                "subtitleInfos": [
                    {"LanguageCodeName": "eng-US", "Url": "https://v16-webapp.tiktok.com/1", "Format": "webvtt", "Source": "ASR"},
                    {"LanguageCodeName": "deu-DE", "Url": "https://v16-webapp.tiktok.com/2", "Format": "webvtt", "Source": "MT"},
                    {"LanguageCodeName": "spa-ES", "Url": "https://v16-webapp.tiktok.com/3", "Format": "creator_caption", "Source": "LC"},
                ],
            },
            **post,
        }
    )


def test_tiktok_names_sound_saves_ad_mentions_subtitles_length_and_size(sites: PostSites, got: Got) -> None:
    serve_tiktok_video(sites)
    said = said_of(got, VIDEO_POST)
    assert (said.track, said.artists) == ("Build a Btch", ("Bella Poarch", "sub urban"))
    assert (said.sound_id, said.save_count, said.is_ad) == ("6956990112127585029", 12, None)
    assert said.mentions == ("some.friend",), "the handle that the page links to, not the name that the caption shows"
    assert (said.subtitle_languages, said.auto_subtitle_languages) == (("spa-ES",), ("eng-US", "deu-DE"))
    assert (said.stated_duration_s, said.stated_width_px, said.stated_height_px) == (13, 576, 1024)
    assert said.notes == ()


def test_the_author_is_a_handle_on_every_platform(sites: PostSites, got: Got) -> None:
    serve_tiktok_video(sites)
    clip = sites.serve("https://p16-sign.tiktokcdn.com/clip.mp4", FILM)
    reel = sites.serve_instagram(video_versions=[{"url": clip, "width": 720, "height": 1280}])
    assert [said_of(got, url).author for url in (VIDEO_POST, reel, sites.serve_youtube(FILM))] == ["someone"] * 3


@pytest.mark.parametrize(
    ("info", "handle"),
    [
        ({"extractor_key": "Twitter", "uploader": "Some One", "uploader_id": "someone"}, "someone"),
        ({"ie_key": "Youtube", "uploader": "Some One", "uploader_id": "@someone"}, "someone"),
        ({"extractor_key": "Youtube", "uploader": "Some One", "channel": "Some One"}, "Some One"),
        ({"extractor_key": ["Youtube"], "uploader": "someone", "uploader_id": "7"}, "someone"),
        ({"extractor_key": "Instagram", "channel": " ", "uploader": "", "uploader_id": " @someone\n"}, "someone"),
        ({"uploader": " "}, None),
        ({"uploader": "@"}, None),
        ({}, None),
    ],
)
def test_the_author_of_a_post_and_of_an_item_of_a_list_is_the_same(info: dict[str, Any], handle: str | None) -> None:
    url = "https://h.example/p/1"
    listed = post_of({"url": url, **info})
    assert listed is not None
    assert metadata_from(info, url).author == listed.author == handle


def test_what_a_page_does_not_say_is_unknown_and_what_it_says_is_none_is_none(sites: PostSites, got: Got) -> None:
    url = sites.serve("https://v16-webapp.tiktok.com/video.mp4", FILM)
    serve_tiktok_video(sites, music={}, isAd=True, stats={}, textExtra=[], video={"playAddr": url, "subtitleInfos": []}, desc="plain")
    said = said_of(got, VIDEO_POST)
    assert (said.track, said.artists, said.sound_id, said.save_count, said.stated_duration_s) == (None,) * 5
    assert (said.stated_width_px, said.stated_height_px) == (None, None)
    assert (said.is_ad, said.mentions, said.subtitle_languages, said.auto_subtitle_languages) == (True, (), (), ())


def test_a_photo_post_has_a_sound_and_no_stated_length(sites: PostSites, got: Got, tmp_path: Path) -> None:
    sites.serve_photo_post([card("ONE")], make_sound(tmp_path / "sound.m4a", 4.0).read_bytes())
    said = said_of(got, VIDEO_POST)
    assert (said.track, said.artists, said.sound_id) == ("original sound", ("someone",), "2")
    assert said.stated_duration_s is None, "the page states the length of the sound"
    assert (said.subtitle_languages, said.is_ad) == (None, None)


REEL = {"video_versions": [{"url": "https://p16-sign.tiktokcdn.com/reel.mp4", "width": 720, "height": 1280}], "video_duration": 5.016}
MUSIC = {"audio_cluster_id": "512", "id": "513", "title": "Where Is My Mind?", "display_artist": "Pixies"}
ORIGINAL = {"audio_asset_id": 77, "original_audio_title": "Original audio", "ig_artist": {"username": "someone"}}


@pytest.mark.parametrize(
    ("sound", "named"),
    [
        ({"music_info": {"music_asset_info": MUSIC}, "original_sound_info": None}, ("Where Is My Mind?", ("Pixies",), "512")),
        ({"music_info": None, "original_sound_info": ORIGINAL}, ("Original audio", ("someone",), "77")),
        ({"music_info": {"music_asset_info": {}}, "original_sound_info": ORIGINAL}, ("Original audio", ("someone",), "77")),
        ({"music_info": {"music_asset_info": {"title": None}}, "original_sound_info": ORIGINAL}, ("Original audio", ("someone",), "77")),
        (None, (None, None, None)),
    ],
)
def test_a_reel_names_its_sound_paid_partnership_mentions_length_and_size(
    sites: PostSites, got: Got, sound: object, named: tuple[object, ...]
) -> None:
    sites.serve("https://p16-sign.tiktokcdn.com/reel.mp4", FILM)
    url = sites.serve_instagram(**REEL, clips_metadata=sound, is_paid_partnership=True, caption={"text": "With @a.b_c. Mail: me@x.org"})
    said = said_of(got, url)
    assert (said.track, said.artists, said.sound_id) == named
    assert (said.is_ad, said.mentions) == (True, ("a.b_c",))
    assert (said.stated_duration_s, said.stated_width_px, said.stated_height_px) == (5.016, 720, 1280)
    assert (said.save_count, said.subtitle_languages) == (None, None)


def caption_track(language: str, kind: str | None = None) -> dict[str, Any]:
    vss_id = f"a.{language}" if kind else f".{language}"
    url = f"https://www.youtube.com/api/timedtext?v=BGQWPY4IigY&lang={language}"
    track = {"baseUrl": url, "name": {"simpleText": language}, "vssId": vss_id, "languageCode": language, "isTranslatable": True}
    return track | ({"kind": kind} if kind else {})


def test_youtube_names_the_song_and_tells_automatic_captions_apart(sites: PostSites, got: Got) -> None:
    translations = [{"languageCode": code, "languageName": {"simpleText": code}} for code in ("en", "de", "fr")]
    tracks = {"captionTracks": [caption_track("pt-BR"), caption_track("en", "asr")], "translationLanguages": translations}
    rows = [
        {"metadataRowRenderer": {"title": {"simpleText": title}, "contents": [{"simpleText": text}]}}
        for title, text in (("Song", "Burn Out"), ("Artist", "The Cinematic Orchestra"))
    ]
    url = sites.serve_youtube(FILM, {"captions": {"playerCaptionsTracklistRenderer": tracks}}, rows)
    said = said_of(got, url)
    assert (said.track, said.artists) == ("Burn Out", ("The Cinematic Orchestra",))
    assert (said.subtitle_languages, said.auto_subtitle_languages) == (("pt-BR",), ("en",))
    assert (said.stated_duration_s, said.stated_width_px, said.stated_height_px) == (16, 360, 640)
    assert (said.mentions, said.language, said.view_count) == (("Friend.Of-Mine",), "en", 9)
    assert (said.save_count, said.sound_id, said.is_ad) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "handles"),
    [
        ("@a, @b! (@c) @a", ("a", "b", "c")),
        ("me@example.com and https://www.tiktok.com/@x", ()),
        ("@@x @ y @.z", ()),
        ("謝謝@alice！", ("alice",)),
        ("@aliceさんの動画", ("alice",)),
        ("@alice-style and @b_.c...", ("alice", "b_.c")),
        ("see https://x.com/?u=@bob, https://x.com/?a=1&@bob and https://x.com/?@bob", ()),
        ("@кто-то @héllo @a.bé @he\u0301llo josé@example.com jose\u0301@example.com", ()),
        ("@" * 100_000 + "@a" + "." * 100_000, ()),
        ("", ()),
    ],
)
def test_handles_in_a_caption_are_its_mentions(text: str, handles: tuple[str, ...]) -> None:
    for site in ({}, {"extractor_key": "TikTok"}, {"extractor_key": ["Youtube"]}):
        assert metadata_from({"description": text, **site}, "u").mentions == handles


@pytest.mark.parametrize("key", ["extractor_key", "ie_key"])
@pytest.mark.parametrize(
    ("text", "handles"),
    [
        ("@кто-то @名前.", ("кто-то", "名前")),
        ("謝謝@alice-b！", ("alice-b",)),
        ("me@example.com https://x.com/?u=@bob https://www.youtube.com/@x", ()),
    ],
)
def test_handles_of_youtube_are_in_any_script(key: str, text: str, handles: tuple[str, ...]) -> None:
    assert metadata_from({"description": text, key: "Youtube"}, "u").mentions == handles


@pytest.mark.parametrize(
    ("info", "hashtags", "mentions"),
    [
        ({}, None, None),
        ({"title": "Video by alice", "extractor_key": "Instagram"}, None, None),
        ({"title": "Video by @alice #1", "extractor_key": "Instagram"}, None, None),
        ({"title": "Story by #alice", "extractor_key": "InstagramStory"}, None, None),
        ({"title": "TikTok video #7123", "extractor_key": "TikTok"}, None, None),
        ({"title": "TikTok video #7123", "description": "", "extractor_key": "TikTok"}, (), ()),
        ({"title": "youtube video #x", "ie_key": "Youtube"}, None, None),
        ({"title": "A short #one with @bob", "extractor_key": "Youtube"}, ("one",), None),
        ({"title": "A short #one with @bob", "description": " ", "extractor_key": "Youtube"}, ("one",), ()),
        ({"title": "A short #one", "description": "With @bob", "extractor_key": "Youtube"}, (), ("bob",)),
    ],
)
def test_what_no_caption_says_is_not_read_from_an_invented_title(info: dict[str, Any], hashtags: object, mentions: object) -> None:
    said = metadata_from(info, "u")
    assert (said.hashtags, said.mentions) == (hashtags, mentions)


@pytest.mark.parametrize(
    ("info", "subtitles", "automatic"),
    [
        ({"subtitles": ["en", "de-orig"]}, ("en", "de-orig"), None),
        ({"automatic_captions": {"en": [], "de-orig": [], "de": []}}, None, ("de",)),
        ({"automatic_captions": ["-orig", "en"], "subtitles": ["-orig", " ", ""]}, ("-orig",), ("en",)),
        ({"automatic_captions": ["-orig"]}, None, None),
    ],
)
def test_only_automatic_captions_are_told_from_translated_ones(info: dict[str, Any], subtitles: object, automatic: object) -> None:
    said = metadata_from(info, "u")
    assert (said.subtitle_languages, said.auto_subtitle_languages) == (subtitles, automatic)


@pytest.mark.parametrize("language", ["", " ", "\n"])
def test_a_blank_language_is_none(language: str) -> None:
    assert metadata_from({"language": language}, "u").language is None


@pytest.mark.parametrize(("marked", "is_ad"), [(True, True), (False, None), ("yes", None), (1, None), (None, None)])
def test_a_post_that_tiktok_did_not_sell_may_still_be_a_paid_partnership(marked: object, *, is_ad: bool | None) -> None:
    assert metadata_from(described(tiktok_facts({"isAd": marked})), "u").is_ad is is_ad


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 2**63, 10**400, "12", True, [], 0.5])
def test_a_length_or_size_that_no_table_can_hold_is_left_out_and_noted(value: object) -> None:
    said = metadata_from({"duration": value, "width": value, "height": value}, "u")
    assert (said.stated_width_px, said.stated_height_px) == (None, None)
    assert any(note.startswith("width: ") for note in said.notes)
    assert said.stated_duration_s == (0.5 if value == 0.5 else None)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(), one, max_size=3),
    max_leaves=6,
)
KEYS = (
    *("track", "artists", "save_count", "duration", "width", "height", "subtitles", "automatic_captions", "description", "title"),
    *(SOUND_ID, IS_AD, MENTIONS, SUBTITLES, AUTOMATIC_SUBTITLES),
)


def check(said: VideoMetadata) -> None:
    """Everything is of its type, and UTF-8 can hold it."""
    texts = [said.track, said.sound_id, *said.notes]
    for listed in (said.artists, said.mentions, said.subtitle_languages, said.auto_subtitle_languages):
        assert listed is None or isinstance(listed, tuple)
        texts += listed or ()
    for text in texts:
        assert text is None or (text.strip() and text.encode())
    assert said.artists != ()
    assert said.is_ad in {None, True, False}
    assert said.save_count is None or 0 <= said.save_count < 2**63
    assert said.stated_duration_s is None or 0 < said.stated_duration_s <= 1e7
    for size_px in (said.stated_width_px, said.stated_height_px):
        assert size_px is None or 0 < size_px < 2**31


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, ANYTHING)))
def test_whatever_a_site_says_is_fit_for_a_table(info: dict[str, Any]) -> None:
    check(metadata_from(info, "u"))
    sent = json.loads(json.dumps(described(info)))
    assert described(sent) == described(info), "the receiver leaves as it is what the sender has bounded"
    check(metadata_from(sent, "u"))


PAGE_KEYS = (
    *("music", "id", "isAd", "textExtra", "userUniqueId", "video", "subtitleInfos", "Source", "LanguageCodeName"),
    *("clips_metadata", "music_info", "music_asset_info", "original_sound_info", "ig_artist", "username", "title", "display_artist"),
)
PAGES = st.recursive(
    ANYTHING,
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.sampled_from(PAGE_KEYS), one, max_size=6),
    max_leaves=20,
)


@given(PAGES)
def test_whatever_a_page_says_its_facts_are_fit_for_a_table(page: object) -> None:
    for facts in (tiktok_facts(page), instagram_facts(page)):
        check(metadata_from(described(facts), "u"))


def test_the_extractors_of_posts_are_ours() -> None:
    assert {extractor.__module__ for extractor in (TikTokIE, InstagramIE)} == {"rumiai_ray.ingest.sites.photo_posts"}
