"""Which entries of which runs are a video's or a creator's, so that they can be forgotten."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING
from urllib.parse import unquote

from rumiai_ray.errors import ConfigError
from rumiai_ray.ingest.given import given_author
from rumiai_ray.runs.forget import Doomed, Selected, earlier, entry_file, remembered, remembered_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from rumiai_ray.runs.reader import Run

_KEY = re.compile(r"[0-9a-f]{64}")
_SHORTEST = 8
"""Hexadecimal digits of a key that are enough to name a video, if only one of the runs' videos begins so."""
_HANDLE = re.compile(r"://[^/?#]+/@([^/?#]+)")
"""Where sites put a creator's handle into addresses: https://www.tiktok.com/@name/video/1."""
_NAMED = 5


@dataclass(frozen=True)
class Known:
    """What a run knows of one of its entries."""

    entry_id: str
    input: str
    video_key: str | None
    """None where the video was not read."""
    authors: frozenset[str]
    """Names of the creator, as `author_name` makes them; none where nobody said."""
    committed: bool


@dataclass(frozen=True)
class ForgetChoice:
    """What is to be forgotten."""

    selected: Selected
    doomed: Mapping[int, Doomed]
    """By the run's place among the runs; a run without anything to forget is absent."""
    kept: Mapping[int, int]
    """Videos of the runs that another creator's entry has too, byte for byte, and whose rows stay for that entry; by the run's place."""
    videos: frozenset[str]
    """Keys of the videos that no entry of these runs has any more, and whose stored frames go. Videos of the frame store that were
    forgotten before are among them: a process may have read their frames at that time."""


def author_name(text: str) -> str:
    """A creator's name as names are compared: `@Name` and `name` are one, and so are an é of one code point and one of two."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text.strip().removeprefix("@")).casefold())


def choose(
    runs: Sequence[Run], *, video: str | None = None, author: str | None = None, stored: Collection[str] = frozenset()
) -> ForgetChoice:
    """Find what is a video's or a creator's.

    A video is known by its key; entries that could not be read, or have not been yet, belong to it if their input is that of one of its
    entries. A creator is known by the column `author` of the videos, by the author that the manifest gave, and by the handle in an
    address; videos without an author belong to them if their bytes are those of a video of theirs. A video that one of the runs has
    forgotten before, because the same was asked for, is one of theirs in the other runs as well: that time may have been broken off.

    Args:
        runs: the runs to look in, none of which may change meanwhile.
        video: key of a video, or its beginning.
        author: name of a creator.
        stored: keys of the videos in the frame store.

    Raises:
        ConfigError: neither a run nor the frame store has such a video or creator, and no run has forgotten it; or the beginning of a
            key is that of several.
        StorageError: a run is damaged.
    """
    known = [_entries(run) for run in runs]
    everything = [entry for entries in known for entry in entries]
    if video is not None:
        selected = Selected("video", _whole_key(video, everything))
        hits = {entry for entry in everything if entry.video_key == selected.text}
    else:
        selected = Selected("author", author_name(author or ""))
        hits = {entry for entry in everything if selected.text in entry.authors}
    if not hits and selected.text not in stored and all(earlier(run, selected) is None for run in runs):
        raise _unknown(selected, everything)
    before = [remembered_of(run, selected) for run in runs]
    seen = {entry.video_key for entry in everything if entry.video_key is not None} | set(stored)
    keys = {entry.video_key for entry in hits if entry.video_key is not None}
    keys |= {key for key in seen if any(("video", key) in names for names in before)}
    inputs = {entry.input for entry in hits}
    inputs |= {text for text in {entry.input for entry in everything} if any(("input", text) in names for names in before)}

    def goes(entry: Known) -> bool:
        same_bytes = entry.video_key in keys and not entry.authors
        return entry in hits or same_bytes or (not entry.committed and entry.input in inputs)

    doomed: dict[int, Doomed] = {}
    kept: dict[int, int] = {}
    staying: set[str] = set()
    for place, entries in enumerate(known):
        gone = [entry for entry in entries if goes(entry)]
        stays = {entry.video_key for entry in entries if entry.committed and not goes(entry)}
        videos = {entry.video_key for entry in gone if entry.committed and entry.video_key is not None}
        staying |= {key for key in stays if key is not None}
        if shared := len(videos & stays):
            kept[place] = shared
        found = Doomed(frozenset(entry.entry_id for entry in gone), frozenset(videos - stays), frozenset(entry.input for entry in gone))
        if found:
            doomed[place] = found
    # The frames of a video that was forgotten before are looked for again: that time may have been broken off, or had another store.
    named = {selected.text} if selected.kind == "video" else set()
    return ForgetChoice(selected, doomed, kept, frozenset((keys | named) - staying))


def _entries(run: Run) -> list[Known]:
    """All entries of a run: committed, dead-lettered, and those that are not analysed yet."""
    gone = remembered(run)  # named by the copy of the entries only where a forgetting was broken off
    given = {entry.entry_id: entry for entry in entry_file(run) or () if ("entry", entry.entry_id) not in gone}
    found: list[Known] = []
    for table, committed in (("videos", True), ("dead_letter", False)):
        for row in run.table(table).to_pylist():
            entry = given.pop(row["entry_id"], None)
            names = _authors(row.get("author"), None if entry is None else given_author(entry.columns), row["input"])
            found.append(Known(row["entry_id"], row["input"], row["video_key"], names, committed))
    for entry in given.values():
        names = _authors(given_author(entry.columns), entry.input)
        found.append(Known(entry.entry_id, entry.input, None, names, committed=False))
    return found


def _authors(*texts: str | None) -> frozenset[str]:
    """Names among what a run says of an entry; of the last text, which is the input, the handle in it."""
    *names, address = texts
    handle = _HANDLE.search(address or "")
    found = [author_name(name) for name in names if name] + ([author_name(unquote(handle[1]))] if handle else [])
    return frozenset(name for name in found if name)


def _whole_key(text: str, entries: Iterable[Known]) -> str:
    """The key that is meant."""
    key = text.strip().lower()
    if _KEY.fullmatch(key):
        return key
    if not re.fullmatch(rf"[0-9a-f]{{{_SHORTEST},64}}", key):
        hint = f"give the `video_key` of its row in `videos`, at least the first {_SHORTEST} of its 64 hexadecimal digits"
        raise ConfigError("not a video's key", repr(text), hint)
    begun = sorted({entry.video_key for entry in entries if entry.video_key is not None and entry.video_key.startswith(key)})
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise ConfigError(
            f"{len(begun)} videos have keys that begin like this", repr(text), f"give more digits of one: {', '.join(begun[:_NAMED])}"
        )
    raise ConfigError(
        "no video of these runs has a key that begins like this", repr(text), "give the whole key, or name the runs that have it"
    )


def _unknown(selected: Selected, entries: Iterable[Known]) -> ConfigError:
    if selected.kind == "video":
        hint = 'look it up: `rumiai-ray corpus query RUNS "SELECT video_key, input, author FROM entries"`'
        return ConfigError("no run has a video of this key", selected.text, hint)
    names = sorted({name for entry in entries for name in entry.authors})
    near = get_close_matches(selected.text, names, n=_NAMED, cutoff=0.6) or names[:_NAMED]
    hint = f"the runs have, among others, {', '.join(near)}" if near else "the runs name no creators: forget by --video KEY"
    return ConfigError("no run has a video of this creator", repr(selected.text), hint)
