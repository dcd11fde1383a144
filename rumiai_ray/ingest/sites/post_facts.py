"""What a post's page says and yt-dlp leaves out: the id of its sound, whether it is an ad, whom it mentions, its subtitles.

The extractors of `photo_posts` add these facts to yt-dlp's description under the keys below. A page is a stranger's: any key may hold
anything, and what has another type is left out.
"""

from __future__ import annotations

from typing import Any

SOUND_ID = "rumiai_sound_id"
"""The site's own id of the sound; a text."""
IS_AD = "rumiai_is_ad"
"""Whether the site marks the post as an ad or a paid partnership; a boolean."""
MENTIONS = "rumiai_mentions"
"""Handles of those whom the caption links to; a list of texts."""
SUBTITLES = "rumiai_subtitles"
"""Languages of subtitles that are not known to be automatic; a list of texts, empty where the page names none."""
AUTOMATIC_SUBTITLES = "rumiai_automatic_subtitles"
"""Languages of subtitles that were recognised or translated by a machine; a list of texts, empty where the page names none."""

_BY_A_MACHINE = ("ASR", "MT")
"""TikTok's names for speech recognition and machine translation."""


def tiktok_facts(item: object) -> dict[str, Any]:
    """The facts in a TikTok page's `itemStruct`."""
    # A post with the label of a paid partnership may have `isAd` false: only true says something.
    facts: dict[str, Any] = {SOUND_ID: _id(_at(item, "music", "id")), IS_AD: _at(item, "isAd") is True or None}
    handles = [_text(_at(link, "userUniqueId")) for link in _list(_at(item, "textExtra"))]
    facts[MENTIONS] = [handle for handle in handles if handle] or None
    tracks = _at(item, "video", "subtitleInfos")
    if isinstance(tracks, list):
        automatic = [_at(track, "Source") in _BY_A_MACHINE for track in tracks]
        languages = [_text(_at(track, "LanguageCodeName")) for track in tracks]
        named = list(zip(languages, automatic, strict=True))
        facts[SUBTITLES] = [language for language, machine in named if language and not machine]
        facts[AUTOMATIC_SUBTITLES] = [language for language, machine in named if language and machine]
    return {name: fact for name, fact in facts.items() if fact is not None}


def instagram_facts(product: object) -> dict[str, Any]:
    """The facts in Instagram's description of a post: the above, and `track` and `artists`, which yt-dlp does not read there."""
    songs = [_at(product, place, "music_info", "music_asset_info") for place in ("clips_metadata", "music_metadata")]
    sounds = [(_text(_at(song, "display_artist")), _text(_at(song, "title")), _id(_at(song, "audio_cluster_id"))) for song in songs]
    original = _at(product, "clips_metadata", "original_sound_info")
    by_author, name = _text(_at(original, "ig_artist", "username")), _text(_at(original, "original_audio_title"))
    sounds.append((by_author, name, _id(_at(original, "audio_asset_id"))))
    artist, track, sound_id = next((sound for sound in sounds if any(sound)), (None, None, None))
    facts = {
        SOUND_ID: sound_id,
        IS_AD: _boolean(_at(product, "is_paid_partnership")),
        "track": track,
        "artists": [artist] if artist else None,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _at(value: object, *path: str) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _id(value: object) -> str | None:
    """An id as text. Pages have ids as texts or as numbers; 0 and "0" stand for none."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**64 else _text(value)
    return None if text == "0" else text
