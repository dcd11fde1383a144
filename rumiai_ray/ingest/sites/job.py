"""What the parent asks of the processes that run yt-dlp and that make one file of its files, and what may come back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from rumiai_ray.ingest.sites.hosts import Literals, SiteHosts
from rumiai_ray.ingest.sites.post_facts import AUTOMATIC_SUBTITLES, IS_AD, MENTIONS, SOUND_ID, SUBTITLES

MAX_ANSWER_BYTES = 8 * 2**20
"""Longest line of answer the parent reads. The process has been fed with strangers' bytes."""
_MAX_TEXT_CHARS = 300_000
"""Longest text of a post that is passed on; platforms allow 10,000 characters at most."""
_MAX_TAGS = 2000
_MAX_TAG_CHARS = 1000
_MAX_NOTES = 200
_MAX_NOTE_CHARS = 300
_MAX_NUMBER = 2.0**80
_TEXTS = ("title", "description", "uploader", "uploader_id", "channel", "extractor_key", "webpage_url", "language", "track", SOUND_ID)
_NUMBERS = (
    *("timestamp", "view_count", "like_count", "comment_count", "repost_count", "save_count"),
    *("duration", "width", "height"),
)
_BOOLEANS = (IS_AD,)
_LISTS = ("tags", "artists", MENTIONS, SUBTITLES, AUTOMATIC_SUBTITLES)
_TRACKS = ("subtitles", "automatic_captions")
"""Of these yt-dlp has a dict by language, of which the languages are passed on."""
_LISTED_TEXTS = ("id", "url", "webpage_url", "title", "uploader", "uploader_id", "channel", "extractor_key", "ie_key", "upload_date")
_LISTED_NUMBERS = ("timestamp", "duration", "view_count", "like_count", "comment_count", "repost_count")
_MAX_LISTED_CHARS = 10_000


@dataclass(frozen=True)
class SiteJob:
    """One post to fetch, or list to walk; travels as JSON on standard input, where no other process can read the password in `proxy`."""

    url: str
    hosts: SiteHosts
    folder: str
    """Absolute; the only place that can be written."""
    output_fd: int
    """Of the pipe for the answer."""
    parent_pid: int
    proxy: str = field(repr=False)
    """URL of the checking proxy, with its password."""
    proxy_port: int
    cookies: str | None = field(repr=False)
    """Content of a cookies file in Netscape format."""
    max_bytes: int
    stall_s: float
    memory_bytes: int
    cpu_s: float
    impersonate: bool
    resolution_px: int
    """See `FetchLimits.resolution_px`."""
    ca_bundle: str | None
    """File of trusted certificate authorities in place of the usual ones."""

    def to_json(self) -> str:
        """What `from_json` reads."""
        return json.dumps({**asdict(self), "hosts": hosts_to_json(self.hosts)})

    @classmethod
    def from_json(cls, text: str) -> SiteJob:
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "hosts": hosts_from_json(fields["hosts"])})


@dataclass(frozen=True)
class JoinJob:
    """Two files to put together; travels as JSON on standard input."""

    pictures_fd: int
    """Of the file with the pictures, open for reading."""
    sound_fd: int
    """Of the file with the sound, open for reading."""
    output_fd: int
    """Of the empty file that holds both afterwards, open for writing."""
    parent_pid: int
    max_bytes: int
    """Of the output."""
    memory_bytes: int
    cpu_s: float

    def to_json(self) -> str:
        """What `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> JoinJob:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class SlideShowJob:
    """Images to make a video of; travels as JSON on standard input."""

    images: dict[int, int]
    """Descriptor of each image, open for reading, by its place in the post, from 1."""
    sound_fd: int | None
    """Of the file with the sound, open for reading; None for a silent video."""
    output_fd: int
    """Of the empty file that holds the video afterwards, open for writing."""
    parent_pid: int
    max_bytes: int
    """Of the output."""
    memory_bytes: int
    cpu_s: float

    def to_json(self) -> str:
        """What `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SlideShowJob:
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "images": {int(place): descriptor for place, descriptor in fields["images"].items()}})


def described_notes(notes: object) -> tuple[str, ...]:
    """What a process says it left out, bounded in number and size."""
    return tuple(note[:_MAX_NOTE_CHARS] for note in notes[:_MAX_NOTES] if isinstance(note, str)) if isinstance(notes, list) else ()


def hosts_to_json(hosts: SiteHosts) -> dict[str, Any]:
    """What `hosts_from_json` reads."""
    return {name: [known.host, known.url, known.always] for name, known in hosts.literals.items()}


def hosts_from_json(values: dict[str, Any]) -> SiteHosts:
    """Read what `hosts_to_json` wrote."""
    return SiteHosts({name: Literals(tuple(host), tuple(url), always) for name, (host, url, always) in values.items()})


def described(info: object) -> dict[str, Any]:
    """What `site_metadata` needs of a post's description, bounded in size: texts are cut, values of another type left out.

    The sender applies this lest a title of 60 MB travels; the receiver, because the sender may have been taken over.
    """
    if not isinstance(info, dict):
        return {}
    kept: dict[str, Any] = {name: info[name][:_MAX_TEXT_CHARS] for name in _TEXTS if isinstance(info.get(name), str)}
    kept |= {name: info[name] for name in _NUMBERS if _is_number(info.get(name))}
    kept |= {name: info[name] for name in _BOOLEANS if isinstance(info.get(name), bool)}
    # A receiver finds a list where a sender found a dict.
    lists = {name: info.get(name) for name in _LISTS} | {
        name: list(tracks) if isinstance(tracks := info.get(name), dict) else tracks for name in _TRACKS
    }
    for name, texts in lists.items():
        if isinstance(texts, list | tuple):
            kept[name] = [text[:_MAX_TAG_CHARS] for text in texts[:_MAX_TAGS] if isinstance(text, str)]
    return kept


def described_item(info: object) -> dict[str, Any]:
    """What a row of a list needs of an item's description; bounded, and applied twice, as `described` is."""
    if not isinstance(info, dict):
        return {}
    kept: dict[str, Any] = {name: info[name][:_MAX_LISTED_CHARS] for name in _LISTED_TEXTS if isinstance(info.get(name), str)}
    return kept | {name: info[name] for name in _LISTED_NUMBERS if _is_number(info.get(name))}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MAX_NUMBER  # which no NaN is
