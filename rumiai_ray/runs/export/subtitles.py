"""The transcript as subtitles, SubRip (`.srt`) or WebVTT (`.vtt`), one file per entry in which something was said.

Lines and durations follow Netflix's Timed Text Style Guide: at most two lines of 42 characters, 16 in scripts of wide characters (Chinese,
Korean; Japanese is set in 13 there); no subtitle for less than 5/6 s or more than 7 s
(https://partnerhelp.netflixstudios.com/hc/en-us/articles/215758617, "Timed Text Style Guide: General Requirements").
"""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

import numpy as np

from rumiai_ray.runs.export.document import file_name
from rumiai_ray.runs.export.folder import new_folder
from rumiai_ray.runs.export.video import RowsByVideo
from rumiai_ray.schema.run import Status
from rumiai_ray.schema.whisper import SPEECH_SEGMENTS, WORDS
from rumiai_ray.shown import terminal_safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from rumiai_ray.runs.protocols import RunTables
    from rumiai_ray.schema.table import Row

SubtitleFormat = Literal["srt", "vtt"]

LINES = 2
LINE_COLUMNS = 42
SHORTEST_MS = math.ceil(1000 * 5 / 6)
LONGEST_MS = 7000
_WIDE = 42 / 16
"""Columns that a wide character takes, so that 16 of them fill a line."""

_SPACELESS = r"\u2e80-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6\U00020000-\U0003fffd"
"""Han, kana and their punctuation: a line may be broken between any two of them."""
_NOT_FIRST = r"[、。，．！？…）」』】〉》・ー々：；,.!?:;)\]}”’]"
"""What does not begin a line."""
_ATOM = re.compile(rf"\s*(?:[{_SPACELESS}]{_NOT_FIRST}*|[^\s{_SPACELESS}]+)")
"""One unbreakable piece of a text with the space before it: a word, or one character of a script that is written without spaces."""
_SOUTH_EAST = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f]")
"""Thai, Lao, Burmese and Khmer: written without spaces between words, but a line may not be broken between any two characters."""
_NO_BREAK_AFTER = re.compile("[\u0e40-\u0e44\u0ec0-\u0ec4\u1039\u17d2\u200d]")
"""Vowels that are written before their consonant, and signs that join two characters."""
_NO_BREAK_BEFORE = re.compile("[\u0e2f\u0e30\u0e32\u0e33\u0e45\u0e46\u0eaf\u0eb0\u0eb2\u0eb3\u0ec6\u200d]")
"""Vowels and signs that are written after their consonant and are no combining marks."""
_BLANK_LETTERS = "\u115f\u1160\u3164\uffa0"
"""Letters by their category that show nothing: Hangul fillers."""
_FURTHEST = 2000
"""Characters after the word before within which a segment's next word is looked for. A choice: a segment's text is its words put together
(`whisper.transcript.text_of`), so the next one begins where the last one ends, and is further only in a run that something else wrote.
There the time of a word that is further is not used, and that of its neighbours is interpolated. 10,000 words that are not in a text of
900,000 characters take 0.3 s of CPU to look for, without a limit 6.4 s, which grows with the product of the two."""
(MODEL,) = WORDS.made_by


@dataclass(frozen=True)
class Cue:
    """One subtitle."""

    start_ms: int
    """From the first presented frame, never before it."""
    end_ms: int
    lines: tuple[str, ...]
    """One or two, none of them empty."""


@dataclass(frozen=True)
class _Atom:
    """One unbreakable piece of a segment."""

    text: str
    """With the space before it."""
    start_s: float
    end_s: float


_Timed = tuple[int, int, tuple[str, ...]]
"""Start and end in ms, and the unbreakable pieces of the text."""


def export_subtitles(run: RunTables, directory: Path, kind: SubtitleFormat) -> tuple[list[Path], dict[str, int]]:
    """Write a file of subtitles for each committed entry in which speech was found, named after the entry.

    Args:
        run: the run; nothing but its committed files is read.
        directory: new or empty.
        kind: which of the two formats.

    Returns:
        The files written; and how many entries have none, by reason.

    Raises:
        ConfigError: `directory` is not empty, or the run's tables lack a column.
        StorageError: the run is damaged, or the directory cannot be written.
    """
    segments = RowsByVideo(run.table(SPEECH_SEGMENTS.name, ["video_key", "segment_index", "start_s", "end_s", "text"]))
    words = RowsByVideo(run.table(WORDS.name, ["video_key", "segment_index", "word_index", "start_s", "end_s", "word"]))
    ends = {
        row["video_key"]: row["status"]
        for row in run.table("analyses", ["video_key", "model_name", "status"]).to_pylist()
        if row["model_name"] == MODEL
    }
    without: Counter[str] = Counter()
    with new_folder(directory, "subtitles") as folder:
        for video in run.table("videos", ["video_key", "entry_id"]).to_pylist():
            key = video["video_key"]
            cues = cues_of(segments.of(key), words.of(key))
            if not cues:
                status = ends.get(key, "not run")
                without["no speech" if status in {Status.OK, Status.EMPTY, Status.DEGRADED} else f"{MODEL}: {status}"] += 1
                continue
            with folder.file(f"{file_name(video['entry_id'])}.{kind}") as sink:
                sink.write(_WRITERS[kind](cues).encode())
    return folder.written, dict(without)


def cues_of(segments: Iterable[Row], words: Iterable[Row]) -> list[Cue]:
    """Subtitles of a transcript, in order, never two at once.

    A segment is cut into as few subtitles as its length allows, of about the same width. Subtitles that begin within 5/6 s of each other
    become one where both fit. A subtitle that would begin while the one before it has to be shown begins after it.

    Args:
        segments: rows of `speech_segments`.
        words: rows of `words`, whose times say when a part of a segment is spoken.
    """
    spoken: dict[int, list[Row]] = {}
    for word in sorted(words, key=lambda row: row["word_index"]):
        spoken.setdefault(word["segment_index"], []).append(word)
    timed: list[_Timed] = []
    for segment in sorted(segments, key=lambda row: (row["start_s"], row["segment_index"])):
        for atoms in _cut(_atoms(segment, spoken.get(segment["segment_index"], []))):
            if any(_is_visible(character) for atom in atoms for character in atom.text):
                start_ms = max(0, round(atoms[0].start_s * 1000))
                timed.append((start_ms, max(start_ms, round(atoms[-1].end_s * 1000)), tuple(atom.text for atom in atoms)))
    timed.sort(key=lambda cue: cue[0])
    return _one_after_the_other(_merged(timed))


def as_srt(cues: Sequence[Cue]) -> str:
    """The text of a SubRip file. The format cannot escape its own arrow and tags: `-->` is written as →, and `<` as ‹."""
    blocks = (
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n"
        + "\n".join(cue.lines).replace("-->", "→").replace("<", "‹")
        + "\n"
        for number, cue in enumerate(cues, start=1)
    )
    return "\n".join(blocks)


def as_vtt(cues: Sequence[Cue]) -> str:
    """The text of a WebVTT file (W3C), with the three characters escaped that begin a tag, an entity or an arrow."""
    escaped = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
    blocks = (
        f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n" + "\n".join(cue.lines).translate(escaped) + "\n" for cue in cues
    )
    return "WEBVTT\n\n" + "\n".join(blocks)


_WRITERS: dict[SubtitleFormat, Callable[[Sequence[Cue]], str]] = {"srt": as_srt, "vtt": as_vtt}


@lru_cache(2**16)
def columns(text: str) -> float:
    """How much of a line a text takes: a character is one column, a wide one more, a combining mark none."""
    return sum(
        0 if unicodedata.category(character).startswith("M") else _WIDE if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _atoms(segment: Row, words: Iterable[Row]) -> list[_Atom]:
    """The unbreakable pieces of a segment's text with their times, which are interpolated between the times of its words."""
    text = _showable(segment["text"])
    places, times = [0], [segment["start_s"]]
    at = 0
    for word in words:
        heard = _showable(word["word"])
        found = text.find(heard, at, at + _FURTHEST + len(heard)) if heard else -1
        if found >= 0:
            at = found + len(heard)
            places += [found, at]
            times += [word["start_s"], word["end_s"]]
    boundaries = sorted(set(places))
    places.append(max(len(text), 1))
    rising = np.maximum.accumulate([*times, max(segment["end_s"], times[-1])])
    atoms = []
    for piece_with_space in _ATOM.finditer(text):
        for start, part in _words_in(piece_with_space[0], piece_with_space.start(), boundaries):
            for begins, piece in _fitting(part, start):
                ends = begins + len(piece)
                start_s, end_s = np.interp([ends - len(piece.lstrip()), ends], places, rising).tolist()
                atoms.append(_Atom(piece, start_s, end_s))
    return atoms


def _showable(text: str) -> str:
    """A text on one line, without controls and marks of direction."""
    return "".join(character for character in " ".join(text.split()) if terminal_safe(character) == character)


def _is_visible(character: str) -> bool:
    return not character.isspace() and unicodedata.category(character) not in {"Cc", "Cf"} and character not in _BLANK_LETTERS


def _words_in(atom: str, at: int, boundaries: Sequence[int]) -> Iterator[tuple[int, str]]:
    """A piece in a script of South East Asia as Whisper's words, with their places in the text; any other piece as it is."""
    start = 0
    # Only those inside the piece: to go through all of them for each piece would take the square of a text's length.
    for place in range(bisect_right(boundaries, at), bisect_left(boundaries, at + len(atom))):
        end = boundaries[place] - at
        if _SOUTH_EAST.match(atom[end - 1]) and _SOUTH_EAST.match(atom[end]) and _may_break(atom, end):
            yield at + start, atom[start:end]
            start = end
    yield at + start, atom[start:]


def _may_break(text: str, at: int) -> bool:
    """Whether a line may end before a character: never within a grapheme, nor between a vowel and its consonant."""
    is_mark = unicodedata.category(text[at]).startswith("M")
    return not is_mark and not _NO_BREAK_AFTER.match(text[at - 1]) and not _NO_BREAK_BEFORE.match(text[at])


def _fitting(atom: str, at: int) -> list[tuple[int, str]]:
    """A piece and its place in the text; one that no line can hold is cut, where `_may_break` allows a cut."""
    # Widths are added up: to measure the piece anew with each character takes hours for a letter with a million accents.
    widths = [0.0 if character.isspace() else columns(character) for character in atom]
    until = [0.0, *accumulate(widths)]
    pieces: list[tuple[int, str]] = []
    start = allowed = 0
    for end in range(1, len(atom) + 1):
        while until[end] - until[start] > LINE_COLUMNS:
            cut = allowed if allowed > start else end - 1
            pieces.append((at + start, atom[start:cut]))
            start = cut
        if end < len(atom) and _may_break(atom, end):
            allowed = end
    return [*pieces, (at + start, atom[start:])]


def _cut(atoms: list[_Atom]) -> list[list[_Atom]]:
    """A segment as subtitles: as few as full lines need, then with lines as narrow as that number allows, so that no word is left alone."""
    cut = _filled(atoms, LINE_COLUMNS)
    for width in range(LINE_COLUMNS - 1, 0, -1):
        narrower = _filled(atoms, width)
        if len(narrower) > len(cut):
            break
        cut = narrower
    return cut


def _filled(atoms: Iterable[_Atom], width: float) -> list[list[_Atom]]:
    cues: list[list[_Atom]] = []
    for atom in atoms:
        longer = [*cues[-1], atom] if cues else [atom]
        fits = len(_wrapped([one.text for one in longer], width)) <= LINES and (atom.end_s - longer[0].start_s) * 1000 <= LONGEST_MS
        if cues and fits:
            cues[-1] = longer
        else:
            cues.append([atom])
    return cues


def _wrapped(pieces: Iterable[str], width: float) -> list[str]:
    """Pieces as lines of at most `width` columns; a piece that is wider has a line of its own."""
    lines: list[str] = []
    used = 0.0
    for piece in pieces:
        wide = columns(piece)
        if lines and used + wide <= width:
            lines[-1] += piece
            used += wide
        else:
            lines.append(piece.lstrip())
            used = columns(lines[-1])
    return lines


def _lines(pieces: Sequence[str]) -> tuple[str, ...]:
    """A subtitle's unbreakable pieces as lines, as few as there can be, of about the same width."""
    lines = _wrapped(pieces, LINE_COLUMNS)
    for width in range(LINE_COLUMNS - 1, 0, -1):
        narrower = _wrapped(pieces, width)
        if len(narrower) > len(lines):
            break
        lines = narrower
    return tuple(lines)


def _merged(timed: Iterable[_Timed]) -> list[_Timed]:
    merged: list[_Timed] = []
    for start_ms, end_ms, pieces in timed:
        if merged:
            first_ms, last_ms, before = merged[-1]
            both, until_ms = (*before, f" {pieces[0].lstrip()}", *pieces[1:]), max(last_ms, end_ms)
            if start_ms - first_ms < SHORTEST_MS and until_ms - first_ms <= LONGEST_MS and len(_lines(both)) <= LINES:
                merged[-1] = (first_ms, until_ms, both)
                continue
        merged.append((start_ms, end_ms, pieces))
    return merged


def _one_after_the_other(timed: Sequence[_Timed]) -> list[Cue]:
    cues: list[Cue] = []
    for place, (start_ms, end_ms, pieces) in enumerate(timed):
        begins_ms = max(start_ms, cues[-1].end_ms if cues else 0)
        next_ms = timed[place + 1][0] if place + 1 < len(timed) else end_ms + SHORTEST_MS
        ends_ms = max(begins_ms + SHORTEST_MS, min(end_ms, next_ms, begins_ms + LONGEST_MS))
        cues.append(Cue(begins_ms, ends_ms, _lines(pieces)))
    return cues


def _clock(time_ms: int, point: str) -> str:
    seconds, ms = divmod(time_ms, 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02d}:{minute:02d}:{second:02d}{point}{ms:03d}"
