"""Table of the timeline: everything per second, for plotting."""

from __future__ import annotations

import pyarrow as pa

from rumiai_ray.schema.emotion import EMOTIONS
from rumiai_ray.schema.framing import SECOND, SHOT_SIZE_RANGE, SHOT_TYPE_RANGE
from rumiai_ray.schema.table import Table, column

_FACES = "null where mediapipe looked at no frame of it"
_TEXTS = "null where ocr was not analysed"
_SHOTS = "null where shots were not analysed"
_SPEECH = "null where speech was not analysed"
_SOUND = "null where there is no sound in it"
_EMOTIONS = "null where there is no expression in it"


def _share(name: str, definition: str, source: str) -> pa.Field[pa.DataType]:
    return column(name, pa.float64(), definition, range_="0..1", source=source, nullable=True)


def _names(name: str, definition: str, source: str) -> pa.Field[pa.DataType]:
    return column(name, pa.list_(pa.field("item", pa.string(), nullable=False)), definition, source=source, nullable=True)


TIMELINE = Table(
    "timeline",
    4,
    "One second of a video: what is seen, read, said, heard and felt in it. A frame is in it where it is on the screen during the second; "
    "shares and means are over time. A stretch of 50 ms of sound is in the second that holds its middle. "
    "Lists are empty for nothing, null where none looked.",
    (
        *SECOND,
        # Cuts
        column("shot_index", pa.int32(), f"The shot that is on when it begins; {_SHOTS}.", range_="0..", source="shots", nullable=True),
        column("cuts", pa.int32(), f"Cuts in it; one at its start is in it; {_SHOTS}.", range_="0..", source="shots", nullable=True),
        # People
        column(
            "people",
            pa.int32(),
            "The most people seen at once; null where no frame of it was looked at.",
            range_="0..",
            source="person_framing_seconds",
            nullable=True,
        ),
        _share("face_visibility_rate", f"Share of its time with a face; {_FACES}.", "person_framing_seconds"),
        _share(
            "average_face_size", f"Mean share of the picture of the largest face; null without one, {_FACES}.", "person_framing_seconds"
        ),
        column(
            "shot_size",
            pa.string(),
            f"The shot size that is shown for the longest time; {_FACES}.",
            range_=SHOT_SIZE_RANGE,
            source="person_framing_seconds",
            nullable=True,
        ),
        column(
            "shot_type", pa.string(), f"The shot type that is shown for the longest time; {_FACES}.", range_=SHOT_TYPE_RANGE, nullable=True
        ),
        _share(
            "eye_contact_rate", f"Share of its time with gaze that is at the camera; null without gaze, {_FACES}.", "person_framing_seconds"
        ),
        _names("gestures", f"Gestures in it, each once, in the order of the alphabet; {_FACES}.", "gestures"),
        # Objects
        _names(
            "objects",
            "Labels of what is seen, each once, in the order of the alphabet; null where yolo looked at no frame of it.",
            "objects",
        ),
        column(
            "object_count",
            pa.int32(),
            "The most boxes in one frame; null where yolo looked at no frame of it.",
            range_="0..",
            source="objects",
            nullable=True,
        ),
        # Expression of the largest face
        column(
            "dominant_emotion",
            pa.string(),
            f"The emotion with the highest mean probability; {_EMOTIONS}.",
            range_="|".join(EMOTIONS),
            source="emotions",
            nullable=True,
        ),
        column(
            "expression_frames",
            pa.int32(),
            "Frames on the screen in it with an expression of the largest face; null where emotion was not analysed.",
            range_="0..",
            source="emotions",
            nullable=True,
        ),
        *(_share(name, f"Mean probability of {name} over time; {_EMOTIONS}.", "emotions") for name in EMOTIONS),
        # Text
        _names("texts", f"Texts on the screen, from top to bottom; {_TEXTS}.", "text_spans"),
        _share(
            "text_coverage",
            f"Share of it with any text on the screen, of the time that frames speak for; {_TEXTS}, or no frame speaks for it.",
            "text_spans",
        ),
        # Speech
        column("speech", pa.string(), f"The words that begin in it; empty where none does, {_SPEECH}.", source="words", nullable=True),
        column("word_count", pa.int32(), f"Words that begin in it; {_SPEECH}.", range_="0..", source="words", nullable=True),
        _share("speech_coverage", f"Share of it inside a stretch of speech; {_SPEECH}.", "speech_segments"),
        # Sound
        _share("energy_level", f"Root mean square of the sound, full scale = 1; {_SOUND}.", "audio_energy.rms"),
        column(
            "loudness_dbfs",
            pa.float64(),
            f"20 log10(`energy_level`); {_SOUND}.",
            unit="dB re full scale",
            range_="-90..0",
            source="audio_energy.rms",
            nullable=True,
        ),
        _share("silence_share", f"Share of the sound's time that is silent; {_SOUND}.", "audio_energy.is_silent"),
        column(
            "pitch_hz",
            pa.float64(),
            "Median pitch of its voiced stretches; null without one.",
            unit="Hz",
            range_="> 0",
            source="audio_energy.pitch_hz",
            nullable=True,
        ),
    ),
    key=("video_key", "second"),
)

TABLES = (TIMELINE,)
