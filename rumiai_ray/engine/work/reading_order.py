"""The order in which a wave of entries is read, and how it is divided among readers, so that the last reader ends soon after the others.

A reader takes a block of entries and reads them one after the other. Two things would leave it alone at work at the end of a run: a long
video that is begun last, and a long video with others behind it in its block. So the longest come first, a block holds only as much as
keeps the readers even, and blocks become smaller towards the end of a wave. Graham (1969): with the longest first, list scheduling
ends within 4/3 of the optimum.
"""

from __future__ import annotations

import logging
import math
import os
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rumiai_ray.errors import InputError
from rumiai_ray.ingest.location import locate
from rumiai_ray.ingest.manifest.names import by_folded_name
from rumiai_ray.ingest.rules import ANYTHING
from rumiai_ray.logs import swallowed
from rumiai_ray.storage import in_parallel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.ingest.rules import InputRules

_LOG = logging.getLogger(__name__)

LENGTH_COLUMNS = ("duration", "duration_s", "duration_seconds", "video_duration", "length_s", "videometa.duration")
"""Names of manifest columns with a video's length, compared as `folded`; the first that can be read counts."""
_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,3}):(\d{1,2})(?:\.\d+)?", re.ASCII)
_SECONDS = re.compile(r"\d{1,7}(?:\.\d{1,9})?", re.ASCII)
_BYTES_PER_S = 250_000
"""2 Mbit/s, about what short videos of 720 to 1080 lines have: makes seconds of a size, to be compared with those of a column."""
_MOST_S = 86_400.0
_PARTS = 4
"""Blocks a reader would get of what is left, by number and by length: the more, the more even, and the more often Ray is asked."""


@dataclass(frozen=True)
class _Expected:
    entry: Entry
    length_s: float | None


def expected_length_s(entry: Entry, rules: InputRules = ANYTHING) -> float | None:
    """Seconds of video that an entry is expected to have: what its manifest says, else by the size of a local file; None where unknown.

    A file that `rules` do not let the entry name is not looked at.
    """
    texts = by_folded_name(entry.columns)
    for name in LENGTH_COLUMNS:
        length_s = _seconds(texts.get(name, ""))
        if length_s is not None:
            return min(length_s, _MOST_S)
    # No such file on this machine, nothing that names one, or one that must not be named: the entry reader reports what is wrong with it.
    with swallowed(_LOG, f"looking at the size of entry {entry.entry_id}", InputError, OSError, ValueError):
        location = locate(entry.location or entry.input)
        if location.kind == "file":
            return min(os.stat(rules.checked(location)).st_size / _BYTES_PER_S, _MOST_S)  # noqa: PTH116 -- a path may be any text
    return None


def _seconds(text: str) -> float | None:
    """Of `12`, `12.5`, `1:02` or `0:01:02`; None for anything else, and for nothing, which exports write where they do not know."""
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        return (3600 * int(clock[1] or 0) + 60 * int(clock[2]) + int(clock[3])) or None
    return (float(text) or None) if _SECONDS.fullmatch(text) else None


def blocks_of(entries: Sequence[Entry], readers: int, most: int, rules: InputRules = ANYTHING) -> list[list[Entry]]:
    """The blocks of one wave, in the order in which they are to be taken.

    First one short entry for each reader, so that results come early; then the longest first; entries of unknown length last, in the order
    given. Nothing is known of any: the order given.

    Args:
        entries: of the wave.
        readers: blocks that are read at a time.
        most: entries in a block.
        rules: what an entry may name.
    """
    lengths = in_parallel(partial(expected_length_s, rules=rules), entries)
    expected = [_Expected(entry, length_s) for entry, length_s in zip(entries, lengths, strict=True)]
    known = [one for one in expected if one.length_s is not None]
    short = sorted(known, key=_length_s)[:readers] if len(known) > readers else []
    first = set(map(id, short))
    rest = sorted((one for one in known if id(one) not in first), key=lambda one: -_length_s(one))
    unknown = [one for one in expected if one.length_s is None]
    return [*([one.entry] for one in short), *_divided([*rest, *unknown], readers, most)]


def _divided(ordered: Sequence[_Expected], readers: int, most: int) -> list[list[Entry]]:
    left_s = math.fsum(map(_length_s, ordered))
    blocks: list[list[Entry]] = []
    at = 0
    while at < len(ordered):
        count = max(1, min(most, (len(ordered) - at) // (_PARTS * readers)))
        share_s = left_s / (_PARTS * readers)
        end, block_s = at, 0.0
        while end < min(at + count, len(ordered)) and (end == at or block_s + _length_s(ordered[end]) <= share_s):
            block_s += _length_s(ordered[end])
            end += 1
        blocks.append([one.entry for one in ordered[at:end]])
        left_s = max(left_s - block_s, 0.0)
        at = end
    return blocks


def _length_s(one: _Expected) -> float:
    return one.length_s or 0.0
