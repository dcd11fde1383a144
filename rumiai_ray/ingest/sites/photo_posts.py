"""Two of yt-dlp's extractors, extended to name the images of a post, which yt-dlp takes for sound or for nothing, and `post_facts`.

An extractor of this module leaves the images in the description under `IMAGES`; `ConfinedYoutubeDL` fetches them. TikTok's are in the
page that yt-dlp reads anyway (`itemStruct.imagePost`), with the post's sound beside them. Of an Instagram post yt-dlp keeps the images as
thumbnails of entries without formats, and no sound.
"""

from __future__ import annotations

import re
from typing import Any

from yt_dlp.extractor import instagram, tiktok
from yt_dlp.utils import ExtractorError, traverse_obj, variadic

from rumiai_ray.ingest.sites.post_facts import instagram_facts, tiktok_facts

IMAGES = "rumiai_images"
"""Key of a description: for each image of the post, in order, the addresses of that image, the best one first."""
VIDEOS_BESIDE = "rumiai_videos_beside"
"""Key of a description: how many videos the post has beside its images."""
_MAX_ADDRESSES = 3
_WEB = re.compile(r"(?:https?:)?//")
_CAPTCHA = re.compile(r"captcha", re.IGNORECASE)
_SOLVABLE = 'id="cs"'
"""In the page of the challenge that yt-dlp solves by computing."""


class TikTokIE(tiktok.TikTokIE):  # type: ignore[misc]  # no types in yt-dlp
    """TikTok's posts. yt-dlp asks for the page of `/video/` whatever the address was; only that page has the images."""

    _VALID_URL = (
        *variadic(tiktok.TikTokIE._VALID_URL),  # noqa: SLF001 -- how an extractor says which addresses it takes
        r"https?://www\.tiktok\.com/@(?P<user_id>[\w.-]+)?/photo/(?P<id>\d+)",
    )

    def _parse_aweme_video_web(self, aweme_detail: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        info: dict[str, Any] = {**super()._parse_aweme_video_web(aweme_detail, *args, **kwargs), **tiktok_facts(aweme_detail)}
        images = [
            _addresses(traverse_obj(image, ("imageURL", "urlList"))) for image in traverse_obj(aweme_detail, ("imagePost", "images", ...))
        ]
        return {**info, IMAGES: images} if any(images) else info

    def _get_universal_data(self, webpage: str, display_id: str) -> Any:
        data = super()._get_universal_data(webpage, display_id)
        if not data and _SOLVABLE not in webpage and _CAPTCHA.search(webpage):
            raise ExtractorError("TikTok shows a captcha in place of the post", expected=True)
        return data


class InstagramIE(instagram.InstagramIE):  # type: ignore[misc]  # no types in yt-dlp
    """Instagram's posts. One without a video is no error."""

    def _extract_product(self, product_info: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        product = product_info[0] if isinstance(product_info, list) and product_info else product_info
        info: dict[str, Any] = {**super()._extract_product(product_info, *args, **kwargs), **instagram_facts(product)}
        if info.get("_type") == "playlist" or info.get("formats") or not info.get("thumbnails"):
            return info
        return {**info, "_type": "playlist", "entries": [info]}  # which the caller does not refuse for having no formats

    def _real_extract(self, url: str) -> dict[str, Any]:
        info: dict[str, Any] = super()._real_extract(url)
        entries = info.get("entries") or ()
        images = [_addresses(_thumbnails(entry)) for entry in entries if not entry.get("formats")]
        if not any(images):
            return info
        post = {name: value for name, value in info.items() if name not in ("_type", "entries", "thumbnails")}
        return {**post, "formats": [], IMAGES: images, VIDEOS_BESIDE: len(entries) - len(images)}


EXTRACTORS = (TikTokIE, InstagramIE)
"""To be used in place of yt-dlp's of the same name."""


def _addresses(found: object) -> list[str]:
    return [one for one in (found if isinstance(found, list) else ()) if isinstance(one, str) and _WEB.match(one)][:_MAX_ADDRESSES]


def _thumbnails(entry: dict[str, Any]) -> list[Any]:
    """Addresses of an entry's picture, the largest first: yt-dlp has it last."""
    return [one.get("url") for one in reversed(entry.get("thumbnails") or ())]
