"""Sightings of texts grown into appearances: what was on the screen from when to when, and whether it repeats the speech."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, TypeAlias

from rapidfuzz.fuzz import ratio

from rumiai_ray.insights.calls_to_action import calls_to_action
from rumiai_ray.insights.looks import EPSILON_S, worth
from rumiai_ray.insights.video import SPEECH, TEXTS, AnalysedVideo, most, weighted_median

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rumiai_ray.insights.looks import Look
    from rumiai_ray.insights.thresholds import Thresholds
    from rumiai_ray.schema.table import Row

_SIDES = ("x1", "y1", "x2", "y2")
_LOWER = ("x1", "y1")
_DIGIT_FOR = str.maketrans("olisb", "01158")
"""Letters, in lower case, that a reader takes for digits and digits for them."""
_THIRDS = ("top", "middle", "bottom")
CAPTION = "caption"
"""What repeats the speech, as `text_spans.kind` calls it."""

Words: TypeAlias = tuple[str, ...]
"""A text as `words_of` has it: two readings that differ in case and punctuation alone are one text."""


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation; apostrophes inside a word stay."""
    return re.findall(r"\w+(?:['’]\w+)*", text.casefold())


def words_in(row: Row) -> Words:
    """The words of a row's text."""
    return tuple(words_of(row["text"]))


@dataclass
class _Span:
    """A text that is growing."""

    sightings: list[Row] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    """Of the frame of each sighting."""
    seen_upto: int = -1
    """Readings tried up to the last sighting, as `_tried` counts them."""

    @property
    def last(self) -> Row:
        return self.sightings[-1]

    def add(self, sighting: Row, look: Look, seen_upto: int) -> None:
        self.sightings.append(sighting)
        self.looks.append(look)
        self.seen_upto = seen_upto


@dataclass(frozen=True)
class Texts:
    """The texts of one video."""

    spans: list[Row]
    """Rows of `text_spans`."""
    parts: list[Row]
    """The texts of each shot by itself, as rows of `text_spans` with the `span_index` of the span that they belong to.

    They have neither `kind` nor `speech_overlap`, for these depend on how many of the shots are looked at; `heard_s` is the time whose
    words a part is compared with (`is_caption`), within its own shot.

    A text is left out if its own shot lacks evidence for it: all readings there are below `text_confidence`, or one reading is below
    `single_text_confidence`, in a frame that is not held, and other frames of the shot were read.
    """


def grow(video: AnalysedVideo, thresholds: Thresholds) -> Texts:
    """The texts; none where texts were not read. A sighting is one caption: the lines of a block, joined.

    A sighting goes on with the span that is most like it in words, among those near enough in place and time whose text is like enough;
    each span takes one sighting of a frame. A doubtful reading goes on with a span, but begins none. One missed reading never ends a
    span, however far apart the frames are; a held frame without the text is as many missed readings as it is steps of the grid long.
    """
    looks = video.looks(TEXTS)
    tried = list(accumulate(worth(look.shown_s, video.step_s) for look in looks))
    place = {look.frame_index: at for at, look in enumerate(looks)}
    by_frame: dict[int, list[Row]] = {}
    for caption in captions(video.rows("texts", "frame_index", "text_index")):
        if _letters(caption["text"]):
            by_frame.setdefault(place[caption["frame_index"]], []).append(caption)
    spans = _grown(by_frame, looks, tried, video, thresholds)
    spoken = video.rows("words", "word_index") if video.ran(SPEECH) else None
    rows = [(_row(span, video, spoken, thresholds), span) for span in spans]
    rows.sort(key=lambda pair: (pair[0]["first_seen_s"], pair[0]["y1"], pair[0]["x1"], pair[0]["text"]))
    numbered = [({"span_index": number} | row, span) for number, (row, span) in enumerate(rows)]
    looks_in_shot = Counter(video.shot_at(look.shown_from_s) for look in looks)
    row_of = {id(sighting): row for row, span in numbered for sighting in span.sightings}
    parts = []
    for _, frames in groupby(sorted(by_frame), key=lambda at: video.shot_at(looks[at].shown_from_s)):
        for part in _grown({at: by_frame[at] for at in frames}, looks, tried, video, thresholds):
            if _counts(part, video, looks_in_shot, thresholds):
                row = _row(part, video, None, thresholds)
                from_s, until_s = video.shot_edges_s(row["first_seen_s"])
                around_s = row["start_s"] - thresholds.caption_slack_s, row["end_s"] + thresholds.caption_slack_s
                heard_s = max(around_s[0], from_s), min(around_s[1], until_s)
                parts.append(row_of[id(part.sightings[0])] | row | {"heard_s": heard_s})
    return Texts([row for row, _ in numbered], sorted(parts, key=lambda part: (part["span_index"], part["first_seen_s"])))


def _grown(
    by_frame: Mapping[int, Sequence[Row]], looks: Sequence[Look], tried: Sequence[int], video: AnalysedVideo, thresholds: Thresholds
) -> list[_Span]:
    """Spans of these sightings; see `grow`.

    Args:
        by_frame: sightings, by their frame's place among `looks`.
        looks: of all frames that were read.
        tried: readings up to each look, itself included.
        video: what else is known of the video.
        thresholds: what is near and alike enough.
    """
    spans: list[_Span] = []
    open_: list[_Span] = []
    for at, sightings in sorted(by_frame.items()):
        look, before = looks[at], tried[at - 1] if at else 0
        oldest_s = look.shown_from_s - thresholds.text_gap_s - EPSILON_S
        open_ = [span for span in open_ if before - span.seen_upto <= 1 or span.looks[-1].end_s >= oldest_s]
        for sighting, span in _pairs(sightings, open_, video, thresholds):
            span.add(sighting, look, tried[at])
        taken = {id(span.last) for span in open_}
        fresh = [sighting for sighting in sightings if id(sighting) not in taken and sighting["confidence"] >= thresholds.text_confidence]
        open_ += [_Span([sighting], [look], tried[at]) for sighting in fresh]
        spans += open_[len(open_) - len(fresh) :]
    return spans


def _counts(span: _Span, video: AnalysedVideo, looks_in_shot: Mapping[int | None, int], thresholds: Thresholds) -> bool:
    """Whether there is evidence for a text: two frames, a held frame, the only frame of a shot, or a confident reading."""
    if sum(worth(look.shown_s, video.step_s) for look in span.looks) > 1:
        return True
    only_look = looks_in_shot[video.shot_at(span.looks[0].shown_from_s)] == 1
    return only_look or span.last["confidence"] >= thresholds.single_text_confidence


def _pairs(sightings: Sequence[Row], spans: Sequence[_Span], video: AnalysedVideo, thresholds: Thresholds) -> list[tuple[Row, _Span]]:
    """Sightings of one frame with the spans they go on with, the most alike first."""
    reach_px = thresholds.text_move * math.hypot(*video.picture_px)
    candidates = []
    for number, sighting in enumerate(sightings):
        for at, span in enumerate(spans):
            alike = ratio(_letters(sighting["text"]), _letters(span.last["text"])) / 100
            away_px = _distance_px(sighting, span.last)
            if _numbers(sighting["text"]) == _numbers(span.last["text"]) and alike >= thresholds.text_similarity and away_px <= reach_px:
                candidates.append((-alike, away_px, at, number))
    pairs, spans_taken, sightings_taken = [], set(), set()
    for _, _, at, number in sorted(candidates):
        if at not in spans_taken and number not in sightings_taken:
            spans_taken.add(at)
            sightings_taken.add(number)
            pairs.append((sightings[number], spans[at]))
    return pairs


def captions(rows: Iterable[Row]) -> list[Row]:
    """Rows of `texts` with the lines of each block joined: one row per caption, in the hull of its lines.

    The confidence is that of the lines, weighed by their length. Lines that were found and not read are left out.

    Args:
        rows: in order of frame and `text_index`.
    """
    blocks: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        if row["text"] is not None:
            blocks.setdefault((row["frame_index"], row["block_index"]), []).append(row)
    return [_joined(lines) for lines in blocks.values()]


def _joined(lines: Sequence[Row]) -> Row:
    if len(lines) == 1:
        return lines[0]
    lengths = [len(line["text"]) for line in lines]
    confidence = sum(line["confidence"] * length for line, length in zip(lines, lengths, strict=True)) / sum(lengths)
    hull = {side: (min if side in _LOWER else max)(line[side] for line in lines) for side in _SIDES}
    return {**lines[0], "text": " ".join(line["text"] for line in lines), "confidence": confidence, **hull}


def _numbers(text: str) -> list[str]:
    """The numbers in a text: where they differ, texts differ, however alike the rest. A counter is many texts.

    A letter that looks like a digit counts as one inside a number, since readers confuse them.
    """
    words = (word.translate(_DIGIT_FOR) if any(map(str.isdecimal, word)) else word for word in words_of(text))
    return [word for word in words if word.isdecimal()]


def _letters(text: str) -> str:
    return " ".join(words_of(text))


def _distance_px(one: Row, other: Row) -> float:
    x = (one["x1"] + one["x2"] - other["x1"] - other["x2"]) / 2
    y = (one["y1"] + one["y2"] - other["y1"] - other["y2"]) / 2
    return math.hypot(x, y)


def is_caption(parts: Sequence[Row], spoken: Sequence[Row], thresholds: Thresholds) -> bool:
    """Whether parts with the same text, of one or several shots, are together a caption: a sentence may go on over quick cuts."""
    overlap = _speech_overlap(parts[0]["text"], [part["heard_s"] for part in parts], spoken)
    return _kind(overlap, thresholds) == CAPTION


def _row(span: _Span, video: AnalysedVideo, spoken: Sequence[Row] | None, thresholds: Thresholds) -> Row:
    sightings = list(zip(span.sightings, (look.length_s for look in span.looks), strict=True))
    start_s, end_s = span.looks[0].start_s, span.looks[-1].end_s
    best: dict[str, float] = {}
    shown_s: dict[str, float] = {}
    for sighting, length_s in sightings:
        reading = sighting["text"]
        best[reading] = max(best.get(reading, 0.0), sighting["confidence"])
        shown_s[reading] = shown_s.get(reading, 0.0) + length_s
    text = most(shown_s, sorted(best, key=lambda reading: (best[reading], reading), reverse=True))
    box = {side: weighted_median((sighting[side], length_s) for sighting, length_s in sightings) for side in _SIDES}
    overlap = _speech_overlap(text, [(start_s - thresholds.caption_slack_s, end_s + thresholds.caption_slack_s)], spoken)
    middle = (box["y1"] + box["y2"]) / 2 / video.picture_px[1]
    return {
        "text": text,
        "start_s": start_s,
        "end_s": end_s,
        "first_seen_s": span.looks[0].shown_from_s,
        "last_seen_s": span.looks[-1].shown_from_s,
        "seen_until_s": span.looks[-1].shown_until_s,
        "sightings": len(sightings),
        "confidence": max(best.values()),
        **box,
        "position": _THIRDS[min(int(middle * len(_THIRDS)), len(_THIRDS) - 1)],
        "area_share": video.area_share(box),
        "kind": None if spoken is None else _kind(overlap, thresholds),
        "speech_overlap": overlap,
        "is_call_to_action": any(calls_to_action(reading, thresholds.call_to_action) for reading in best),
    }


def _kind(overlap: float | None, thresholds: Thresholds) -> str:
    return CAPTION if overlap is not None and overlap >= thresholds.caption_overlap else "overlay"


def _speech_overlap(text: str, times_s: Sequence[tuple[float, float]], spoken: Sequence[Row] | None) -> float | None:
    """Share of the text's words that are spoken, each as often as it stands there, in times [start, end); None where that is not known."""
    wanted = Counter(words_of(text))
    if spoken is None or not wanted:
        return None
    parts = [
        row["word"]
        for row in spoken
        if any(row["start_s"] < end_s - EPSILON_S and row["end_s"] > start_s + EPSILON_S for start_s, end_s in times_s)
    ]
    heard = Counter(word for part in parts for word in words_of(part))
    return (wanted & heard).total() / wanted.total()
