"""Table of text spans: sightings of `texts` grown into appearances."""

from __future__ import annotations

import pyarrow as pa

from rumiai_ray.schema.table import Table, box, column

TEXT_SPANS = Table(
    "text_spans",
    3,
    "One appearance of a text on the screen: sightings alike in words and place and equal in numbers, without a longer gap. The lines of "
    "a caption are one text.",
    (
        column("span_index", pa.int32(), "The span's number within the video, by first sighting, then from top to bottom.", range_="0.."),
        column("text", pa.string(), "The reading that was seen for the longest time, of equals the most confident.", source="texts.text"),
        column(
            "start_s",
            pa.float64(),
            "When the frame of the first sighting is first shown; the start of the shot where no frame of the shot was looked at before.",
            unit="s",
        ),
        column(
            "end_s",
            pa.float64(),
            "When the next frame that was looked at is shown, or the shot or the video ends; not part of the span.",
            unit="s",
        ),
        column("first_seen_s", pa.float64(), "When the frame of the first sighting is first shown.", unit="s"),
        column("last_seen_s", pa.float64(), "When the frame of the last sighting is first shown.", unit="s"),
        column("seen_until_s", pa.float64(), "Until when the frame of the last sighting is shown; never beyond a cut.", unit="s"),
        column("sightings", pa.int32(), "Frames in which it was read.", range_="1.."),
        column("confidence", pa.float32(), "The best confidence among its sightings.", range_="0..1", source="texts.confidence"),
        *box("text, median over its time"),
        column(
            "position",
            pa.string(),
            "Third of the picture's height that holds the middle of the box.",
            range_="top|middle|bottom",
        ),
        column("area_share", pa.float32(), "Area of the box over the area of the picture.", range_="0..1"),
        column(
            "kind",
            pa.string(),
            "`caption` where it repeats what is being said, else `overlay`; null where speech was not analysed.",
            range_="caption|overlay",
            source="speech_overlap, insights.caption_overlap",
            nullable=True,
        ),
        column(
            "speech_overlap",
            pa.float32(),
            "Share of its words that are spoken between `start_s` and `end_s`, give or take `insights.caption_slack_s`; "
            "null where speech was not analysed, or the text has no word.",
            range_="0..1",
            source="words",
            nullable=True,
        ),
        column(
            "is_call_to_action",
            pa.bool_(),
            "Asks the viewer to do something: one of its readings holds one of `insights.call_to_action` as whole words, or, in "
            "scripts without spaces, inside a sentence.",
        ),
    ),
    key=("video_key", "span_index"),
    made_by=("ocr",),
)

TABLES = (TEXT_SPANS,)
