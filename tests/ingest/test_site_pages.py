"""YouTube's refusals and TikTok's and YouTube's lists, as the sites' pages have them, through yt-dlp's own extractors."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from command_line import run_main
from post_sites import POST_ID, YOUTUBE
from rumiai_ray.errors import RumiaiError
from rumiai_ray.ingest.outcomes import BlockedError, PrivateError, RemovedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from command_line import Ended
    from post_sites import PostSites
    from rumiai_ray.ingest.fetch import FetchedVideo, FetchLimits

    Got = Callable[..., AbstractContextManager[FetchedVideo]]
    List = Callable[..., Ended]


@pytest.fixture
def limits(sites: PostSites, limits: FetchLimits) -> FetchLimits:
    """One attempt, through the proxy behind which the sites are."""
    return dataclasses.replace(limits, proxy=sites.proxy, attempts=1)


@pytest.fixture
def listed(sites: PostSites, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> List:
    """`rumiai-ray list` behind the proxy of the sites."""

    def call(*arguments: str) -> Ended:
        return run_main(("list", *arguments, "--proxy", sites.proxy), monkeypatch, capsys)

    return call


def refusal(status: str, reason: str, subreason: str = "") -> dict[str, Any]:
    """What YouTube's player says in place of a video."""
    renderer = {"reason": {"simpleText": reason}, **({"subreason": {"simpleText": subreason}} if subreason else {})}
    return {"status": status, "reason": reason, "errorScreen": {"playerErrorMessageRenderer": renderer}}


REFUSALS: dict[str, tuple[dict[str, Any], type[RumiaiError]]] = {
    "age-limited": (
        {
            **refusal("LOGIN_REQUIRED", "Sign in to confirm your age", "This video may be inappropriate for some users."),
            "desktopLegacyAgeGateReason": 1,
        },
        PrivateError,
    ),
    "private": (refusal("LOGIN_REQUIRED", "Private video", "Sign in if you've been granted access to this video"), PrivateError),
    "members only": (refusal("UNPLAYABLE", "Join this channel to get access to members-only content"), PrivateError),
    "removed": (refusal("ERROR", "Video unavailable", "This video has been removed by the uploader"), RemovedError),
    "bot check": (refusal("LOGIN_REQUIRED", "Sign in to confirm you\u2019re not a bot"), BlockedError),
    "country": (refusal("UNPLAYABLE", "Video unavailable", "The uploader has not made this video available in your country"), RemovedError),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_each_refusal_of_youtube_has_its_own_error(sites: PostSites, got: Got, kind: str) -> None:
    said, error = REFUSALS[kind]
    url = sites.serve_youtube(b"", {"playabilityStatus": said, "streamingData": {}})
    with pytest.raises(RumiaiError) as caught, got(url):
        pass
    assert type(caught.value) is error
    assert caught.value.subject == url
    assert ("cookies file" in caught.value.hint) == (error is not RemovedError)


def item(number: int, **said: Any) -> dict[str, Any]:
    """A post of a TikTok creator as its list has it."""
    stats = {"playCount": 9, "diggCount": 0, "shareCount": 1, "commentCount": 2, "collectCount": 3}
    author = {"uniqueId": "someone", "nickname": "Some One", "id": "1"}
    post_id = str(int(POST_ID) - number)
    return {"id": post_id, "desc": f"Post {number} #tag", "createTime": 1685800000 - number, "author": author, "stats": stats} | said


def test_a_creator_of_tiktok_is_listed_as_a_manifest(sites: PostSites, listed: List) -> None:
    posts = [item(0, video={"duration": 13}, music={"title": "Song", "duration": 30}), item(1, imagePost={"images": []}), item(2, stats={})]
    ended = listed(sites.serve_tiktok_creator(*posts))
    assert ended.code == 0, ended.err
    rows = list(csv.DictReader(io.StringIO(ended.out)))
    assert [row["url"] for row in rows] == [f"https://www.tiktok.com/@someone/video/{int(POST_ID) - number}" for number in range(3)]
    assert rows[0] == {
        "url": f"https://www.tiktok.com/@someone/video/{POST_ID}",
        "id": f"'{POST_ID}",
        "author": "someone",
        "title": "Post 0 #tag",
        "posted_at": "2023-06-03T13:46:40+00:00",
        "posted_on": "2023-06-03",
        "duration_s": "13.0",
        "view_count": "9",
        "like_count": "0",
        "comment_count": "2",
        "share_count": "1",
    }
    assert (rows[2]["view_count"], rows[2]["like_count"]) == ("", ""), "unknown is not zero"
    assert not [url for url in sites.asked if "/video/" in url], "no post is asked for"


def test_a_private_creator_of_tiktok_is_refused_with_what_to_do(sites: PostSites, listed: List) -> None:
    ended = listed(sites.serve_tiktok_creator(status=10222))
    assert (ended.code != 0, ended.out) == (True, "")
    assert "account is private" in ended.err
    assert "cookies file" in ended.err


def test_the_shorts_of_a_youtube_channel_are_listed(sites: PostSites, listed: List) -> None:
    shorts = [
        {
            "entityId": f"shorts-shelf-item-{video_id}",
            "onTap": {"innertubeCommand": {"reelWatchEndpoint": {"videoId": video_id}}},
            "overlayMetadata": {"primaryText": {"content": title}, "secondaryText": {"content": "1.2K views"}},
        }
        for video_id, title in (("BGQWPY4IigY", "One"), ("dQw4w9WgXcQ", "Two"))
    ]
    grid = {"contents": [{"richItemRenderer": {"content": {"shortsLockupViewModel": short}}} for short in shorts]}
    url = f"https://{YOUTUBE}/@someone/shorts"
    endpoint = {"commandMetadata": {"webCommandMetadata": {"url": "/@someone/shorts"}}}
    tab = {"tabRenderer": {"endpoint": endpoint, "title": "Shorts", "selected": True, "content": {"richGridRenderer": grid}}}
    metadata = {"channelMetadataRenderer": {"title": "Some One", "externalId": "UCuAXFkgsw1L7xaCfnd5JJOw", "channelUrl": url}}
    data = {"contents": {"twoColumnBrowseResultsRenderer": {"tabs": [tab]}}, "metadata": metadata}
    sites.serve(url, f"<script>var ytInitialData = {json.dumps(data)};</script>")
    ended = listed(url)
    assert ended.code == 0, ended.err
    rows = list(csv.DictReader(io.StringIO(ended.out)))
    assert [(row["url"], row["id"], row["title"], row["view_count"]) for row in rows] == [
        ("https://www.youtube.com/shorts/BGQWPY4IigY", "BGQWPY4IigY", "One", "1200"),
        ("https://www.youtube.com/shorts/dQw4w9WgXcQ", "dQw4w9WgXcQ", "Two", "1200"),
    ]
