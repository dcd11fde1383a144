"""The posts of a list, page by page as yt-dlp gets them; no post of it is asked for. Runs inside the confined process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rumiai_ray.ingest.outcomes import NoListError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rumiai_ray.ingest.sites.ytdlp import ConfinedYoutubeDL

NO_LIST_HINT = "export the list with a scraper and give its CSV or JSON to `rumiai-ray batch --manifest`"
_REFERENCES = ("url", "url_transparent")
_MAX_REDIRECTS = 5
"""Of a short link, or of a channel's address to that of its videos."""
_MAX_DEPTH = 3
"""Lists in lists: a channel has tabs, the tab of its playlists has playlists."""
_LISTS_OF_EITHER_KIND = ("YoutubeTab",)
"""Keys of extractors that return videos as well, but never where a list of theirs leads to."""


def list_items(downloader: ConfinedYoutubeDL, url: str, extractor: str) -> Iterator[dict[str, Any]]:
    """yt-dlp's description of each post of the list at `url`, as much as the list itself tells.

    Args:
        downloader: that walks lists.
        url: of the list.
        extractor: key of the extractor that takes `url`.

    Raises:
        NoListError: yt-dlp cannot walk it, or it is no list.
        Exception: whatever an extractor raises.
    """
    result = _opened(downloader, url, extractor)
    if result is None or "entries" not in result:
        raise NoListError("a single post, not a list of posts", url, "analyse it with `rumiai-ray URL`")
    yield from _items(downloader, result, _MAX_DEPTH)


def _opened(downloader: ConfinedYoutubeDL, url: str, extractor: str | None) -> Any:
    for _ in range(_MAX_REDIRECTS):
        if extractor is not None and not downloader.get_info_extractor(extractor).working():
            raise NoListError("yt-dlp cannot walk lists of this kind on this site", url, NO_LIST_HINT)
        result = downloader.extract_info(url, download=False, ie_key=extractor, process=False)
        if not result or result.get("_type") not in _REFERENCES:
            return result
        url, extractor = result["url"], result.get("ie_key")
    raise NoListError(f"the address redirects more than {_MAX_REDIRECTS} times", url, "open it in a browser and give the final address")


def _items(downloader: ConfinedYoutubeDL, result: Any, depth: int) -> Iterator[dict[str, Any]]:
    for entry in result["entries"] or ():
        if not isinstance(entry, dict):  # a post that the site names and no longer has
            continue
        if depth and entry.get("_type") == "playlist":
            yield from _items(downloader, entry, depth - 1)
        elif depth and _leads_to_list(downloader, entry):
            below = _opened(downloader, entry["url"], entry["ie_key"])
            if below is not None and "entries" in below:
                yield from _items(downloader, below, depth - 1)
        else:
            yield entry


def _leads_to_list(downloader: ConfinedYoutubeDL, entry: dict[str, Any]) -> bool:
    key = entry.get("ie_key")
    if entry.get("_type") not in _REFERENCES or not key:
        return False
    return key in _LISTS_OF_EITHER_KIND or downloader.get_info_extractor(key).is_single_video(entry["url"]) is False
