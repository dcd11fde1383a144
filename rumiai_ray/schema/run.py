"""The tables every run has whatever its models: videos, analyses, dead_letter."""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa

from rumiai_ray.schema.table import Table, column


class Status(StrEnum):
    """How one model ended on one video."""

    OK = "ok"
    """Ran on everything planned and found something."""
    EMPTY = "empty"
    """Ran on everything planned and found nothing."""
    DEGRADED = "degraded"
    """Ran on less than planned; `detail` says what is missing."""
    FAILED = "failed"
    """Gave nothing; `error_class` and `error_message` say why."""
    SKIPPED = "skipped"
    """Was not run; `detail` says why."""


_ENTRY = (
    column("entry_id", pa.string(), "The manifest row's id; unique in the run."),
    column("input", pa.string(), "The path or URL as it was given."),
    column("manifest_line", pa.int64(), "Line of the manifest (Parquet: row), counted from 1; null without a manifest.", nullable=True),
    column(
        "notes",
        pa.list_(pa.string()),
        "What was changed in this row's texts and numbers so that a table can hold them, e.g. a lone surrogate replaced, a text cut to "
        "its limit, a count beyond 64 bits; for a post of images, how many its video shows and which were left out. Empty otherwise.",
    ),
)

_PICTURES = "null where there is no video stream"

VIDEOS = Table(
    "videos",
    5,
    "One committed entry: a manifest row whose video was read, or whose sound where it has no video stream.",
    (
        *_ENTRY,
        column(
            "frame_store", pa.string(), "Where the frames were: in the node's store, in the shared one, in none.", range_="hit|remote|miss"
        ),
        column("frames_key", pa.string(), "Key of the frames in the store: video, sampling spec and decoder."),
        column("size_bytes", pa.int64(), "Size of the video file.", unit="bytes"),
        column("container", pa.string(), "Container format as the demuxer names it."),
        column("video_codec", pa.string(), f"Codec of the decoded video stream; {_PICTURES}.", nullable=True),
        column("audio_codec", pa.string(), "Codec of the decoded audio stream; null where there is none.", nullable=True),
        column(
            "width_px",
            pa.int32(),
            "Width of the first picture as shown, after crop, sample aspect and rotation; later pictures of another size are fitted "
            f"into it, and all boxes are in its pixels; {_PICTURES}.",
            unit="px",
            nullable=True,
        ),
        column("height_px", pa.int32(), f"Height of the first picture as shown; see `width_px`; {_PICTURES}.", unit="px", nullable=True),
        column(
            "rotation_deg",
            pa.int32(),
            f"Rotation the container asks for, clockwise; already applied; {_PICTURES}.",
            unit="°",
            range_="0|90|180|270",
            nullable=True,
        ),
        column(
            "mirrored",
            pa.bool_(),
            f"Whether the container asks for mirroring, left to right before the rotation; already applied; {_PICTURES}.",
            nullable=True,
        ),
        column(
            "video_streams",
            pa.int32(),
            "Moving video streams in the file, cover art not counted; the one that libav thinks best was decoded.",
        ),
        column("audio_streams", pa.int32(), "Audio streams in the file; the default one, or the one that libav thinks best, was decoded."),
        column("video_stream", pa.int32(), f"Which of the `video_streams` was decoded; {_PICTURES}.", range_="0..", nullable=True),
        column("audio_stream", pa.int32(), "Which of the `audio_streams` was decoded; null where none was.", range_="0..", nullable=True),
        column("audio_layout", pa.string(), "Channels of that stream, e.g. mono, stereo, 5.1; null where none was.", nullable=True),
        column(
            "loudness_lufs",
            pa.float64(),
            "Integrated loudness of all sound and channels; null without sound above -70 LUFS, or with less than 0.4 s of it.",
            unit="LUFS",
            range_="> -70",
            source="ITU-R BS.1770-4, EBU R 128",
            nullable=True,
        ),
        column(
            "origin_s",
            pa.float64(),
            "The file's own timestamp of the first presented frame, or of the first sample where there is no video stream: second 0 of all "
            "times in all tables.",
            unit="s",
        ),
        column("repaired_stamps", pa.int64(), "Frames whose timestamp was missing or wrong and was replaced."),
        column(
            "color_transfer",
            pa.string(),
            "Transfer characteristics of the pictures as libav names them; smpte2084 (PQ) and arib-std-b67 (HLG) were turned into SDR; "
            "null where the file does not say.",
            nullable=True,
        ),
        column(
            "duration_s",
            pa.float64(),
            "From the first presented frame to the end of the last one, as decoded. Where the sound goes on for more than 0.25 s after it, "
            "to the end of the sound, as players hold the last picture until then. The length of the sound where there is no video stream.",
            unit="s",
        ),
        column("fps", pa.float64(), "Frames decoded over duration; null for a single frame or none.", unit="1/s", nullable=True),
        column(
            "cadence_fps",
            pa.float64(),
            "Frames per second where pictures follow one another as usual, held ones left out: above `fps` where the frame rate varies; "
            "null for a single frame or none.",
            unit="1/s",
            nullable=True,
        ),
        column("frames_decoded", pa.int64(), "Frames the decoder gave; 0 where there is no video stream."),
        column("frames_sampled", pa.int32(), "Frames on the sampling grid, which the models chose from; 0 where there is no video stream."),
        column("sampling_fps", pa.float64(), f"The sampling grid; {_PICTURES}.", unit="1/s", nullable=True),
        column("audio_duration_s", pa.float64(), "Length of the decoded audio; null where there is none.", unit="s", nullable=True),
        column(
            "media_problems",
            pa.list_(pa.string()),
            "What was wrong with the file and survived, e.g. a truncated end; empty for a sound file.",
        ),
        column("title", pa.string(), "Title at the source; null where unknown.", nullable=True),
        column("description", pa.string(), "Description or caption at the source; null where unknown.", nullable=True),
        column("author", pa.string(), "Author's handle at the source; null where unknown.", nullable=True),
        column("hashtags", pa.list_(pa.string()), "Hashtags at the source, without '#'; null where unknown.", nullable=True),
        column("uploaded_at", pa.timestamp("ms", tz="UTC"), "When it was published; null where unknown.", nullable=True),
        column(
            "view_count",
            pa.int64(),
            "Views when it was fetched, or as the manifest says (see `metadata_source`); null where unknown.",
            nullable=True,
        ),
        column(
            "like_count",
            pa.int64(),
            "Likes when it was fetched, or as the manifest says (see `metadata_source`); null where unknown.",
            nullable=True,
        ),
        column(
            "comment_count",
            pa.int64(),
            "Comments when it was fetched, or as the manifest says (see `metadata_source`); null where unknown.",
            nullable=True,
        ),
        column(
            "share_count",
            pa.int64(),
            "Shares or reposts when it was fetched, or as the manifest says (see `metadata_source`); null where unknown.",
            nullable=True,
        ),
        column(
            "save_count",
            pa.int64(),
            "Saves, bookmarks or favourites when it was fetched, or as the manifest says (see `metadata_source`); null where unknown.",
            nullable=True,
        ),
        column("track", pa.string(), "Title of the sound that the source or the manifest names; null where unknown.", nullable=True),
        column("artists", pa.list_(pa.string()), "Artists of `track`; null where unknown.", nullable=True),
        column(
            "sound_id", pa.string(), "The source's own id of the sound; posts with one sound share it. Null where unknown.", nullable=True
        ),
        column(
            "mentions",
            pa.list_(pa.string()),
            "Handles that the caption mentions, without '@': those that it links to where the source names them, else those in its text; "
            "empty for a caption without handles, null without a caption of the source.",
            nullable=True,
        ),
        column(
            "is_ad",
            pa.bool_(),
            "Whether the source marks the post as an ad or a paid partnership, or the manifest does (see `metadata_source`); null where "
            "neither says.",
            nullable=True,
        ),
        column(
            "subtitle_languages",
            pa.list_(pa.string()),
            "Language tags, as the source writes them, of the post's subtitles that are not known to be automatic; empty where the source "
            "names none, null where it does not say.",
            nullable=True,
        ),
        column(
            "auto_subtitle_languages",
            pa.list_(pa.string()),
            "Language tags, as the source writes them, of subtitles that were recognised or translated by a machine (of YouTube's the "
            "recognised ones); empty where the source names none, null where it does not say.",
            nullable=True,
        ),
        column(
            "stated_language",
            pa.string(),
            "Language tag of the speech as the source states it; the language that was heard is in `speech_segments`. Null where unknown.",
            nullable=True,
        ),
        column(
            "stated_duration_s",
            pa.float64(),
            "Length as the source states it; `duration_s` was measured. Null where unknown, and for a post of images.",
            unit="s",
            nullable=True,
        ),
        column(
            "stated_width_px",
            pa.int32(),
            "Width of the file that was fetched as the source states it; `width_px` was measured. Null where unknown.",
            unit="px",
            nullable=True,
        ),
        column("stated_height_px", pa.int32(), "Height as the source states it; see `stated_width_px`.", unit="px", nullable=True),
        column(
            "metadata_source",
            pa.map_(pa.string(), pa.string()),
            "For each of title, description, author, uploaded_at, the five counts, track, artists, sound_id and is_ad that is not null: "
            "`source` where the source said it when the video was fetched, `manifest` where the source did not and a column of the "
            "manifest did.",
            range_="source|manifest",
        ),
        column("source_url", pa.string(), "Canonical page at the source; null for files.", nullable=True),
        column("columns", pa.map_(pa.string(), pa.string()), "The manifest's further columns for this entry."),
    ),
    # Version 5 added columns, which `absent` names. Its `author` is a handle on Instagram, X and YouTube, too: `corpus` notes that.
    same_since=4,
)

ANALYSES = Table(
    "analyses",
    4,
    "How one model ended on one video, and what exactly computed its rows.",
    (
        column("model_name", pa.string(), "The model family, e.g. mediapipe, or the signal, e.g. shots."),
        column("model_version", pa.string(), "Version of the library that ran it."),
        column("backend", pa.string(), "What ran: library and network, e.g. ultralytics/yolo11n-openvino-int8."),
        column("stand_in", pa.bool_(), "A declared stand-in for the family's flagship ran."),
        column(
            "weights_sha256", pa.string(), "SHA-256 of the weights file; of the sorted list of digests where there are several, or none."
        ),
        column("device", pa.string(), "Device it ran on.", range_="cpu|cuda:N"),
        column("precision", pa.string(), "Arithmetic, e.g. fp32, fp16, int8."),
        column("settings", pa.string(), "The model's settings as JSON."),
        column("status", pa.string(), "How it ended.", range_="|".join(Status)),
        column(
            "detail",
            pa.string(),
            "Why it was skipped or degraded, what it had to do otherwise at no loss, or what it counted, e.g. unreadable texts; "
            "null where none of these.",
            nullable=True,
        ),
        column("rows", pa.int64(), "Rows it gave, over all its tables but those that are parts of others (`face_landmarks`, …)."),
        column(
            "frames_planned",
            pa.int32(),
            "Frames its sampling policy picked, all decoded ones for shots; null for models of sound and where it was skipped.",
            nullable=True,
        ),
        column("frames_analyzed", pa.int32(), "Frames it answered for; null for models of sound and where it was skipped.", nullable=True),
        column(
            "frames_seen",
            pa.list_(pa.int32()),
            "The `frame_index` of every sampled frame it answered for; null for models of sound, for shots and where it was skipped.",
            nullable=True,
        ),
        column("audio_analyzed_s", pa.float64(), "Audio it answered for; null for frame models.", unit="s", nullable=True),
        column(
            "processing_time_s",
            pa.float64(),
            "Time inside the model, summed over its calls; null where it never answered.",
            unit="s",
            nullable=True,
        ),
        column("attempts", pa.int32(), "The most attempts any of its calls took; 0 where it was skipped."),
        column("error_class", pa.string(), "Class of the failure; null otherwise.", nullable=True),
        column("error_message", pa.string(), "Message of the failure; null otherwise.", nullable=True),
    ),
    key=("video_key", "model_name"),
)

DEAD_LETTER = Table(
    "dead_letter",
    2,
    "One entry that could not be read or assembled.",
    (
        column("video_key", pa.string(), "SHA-256 of the video's bytes; null where they were never got.", nullable=True),
        *_ENTRY,
        column("stage", pa.string(), "Where it ended.", range_="ingest|frames|assemble"),
        column("error_class", pa.string(), "Class of the failure."),
        column("error_message", pa.string(), "Message of the failure."),
        column("attempts", pa.int32(), "Attempts made."),
        column("traceback_sha256", pa.string(), "Digest of the last traceback: equal digests are one and the same cause."),
        column("retryable", pa.bool_(), "Whether a retry can help without anybody changing anything."),
    ),
    key=("entry_id",),
)

TABLES = (VIDEOS, ANALYSES, DEAD_LETTER)
