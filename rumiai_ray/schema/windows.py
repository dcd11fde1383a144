"""Table of windows: the figures that models are trained on, for the beginning, the middle and the end of a video, and for all of it."""

from __future__ import annotations

import pyarrow as pa

from rumiai_ray.schema.emotion import EMOTIONS
from rumiai_ray.schema.framing import EVIDENCE, NOT_MEASURED
from rumiai_ray.schema.table import Table, column

WHOLE = "video"
HOOK = "hook"
CLOSING = "closing"
MIDDLE = "middle"

_FACES = "null where mediapipe was not analysed"
_TEXTS = "null where ocr was not analysed"
_SHOTS = "null where shots were not analysed"
_OBJECTS = "null where yolo was not analysed"
_SPEECH = "null where speech was not analysed"
_SOUND = "null where there is no sound"
_EMOTIONS = "null where no face's expression was read"
_SHOWN = (
    "a text is in the window where it is shown between its first and last sighting in one shot, and a text that is read in one frame only "
    "counts from `insights.single_text_confidence` on"
)
_IN_SHOT = "as `text_spans.kind`, but told from the words said in those shots of the window alone that show the text"
_NEGATIVE = "anger, disgust, fear or sadness"


def _count(name: str, definition: str, source: str) -> pa.Field[pa.DataType]:
    return column(name, pa.int32(), definition, range_="0..", source=source, nullable=True)


def _rate(name: str, definition: str, source: str, range_: str = "0..1") -> pa.Field[pa.DataType]:
    return column(name, pa.float64(), definition, range_=range_, source=source, nullable=True)


def _value(name: str, definition: str, unit: str, source: str) -> pa.Field[pa.DataType]:
    return column(name, pa.float64(), definition, unit=unit, range_="≥ 0", source=source, nullable=True)


WINDOWS = Table(
    "windows",
    5,
    "One stretch of a video: its hook, a part of its middle, its closing, or all of it (`video`). Windows are half open: what is at "
    "`start_s` is in, what is at `end_s` is not. A frame is in a window where it is on the screen during the window; shares and means are "
    "over the time of the window that its frames speak for. A stretch of 50 ms of sound is in the window that holds its middle.",
    (
        column(
            "window_index", pa.int32(), "The window's number within the video, in time order; the whole video comes last.", range_="0.."
        ),
        column(
            "name",
            pa.string(),
            "The first `insights.hook_s` seconds, the last `insights.closing_s`, what is between them in equal parts, and the whole video. "
            "A video that is shorter than the hook and `insights.shortest_window_s` has only a hook; one too short for a "
            "middle has a hook and a closing.",
            range_=f"{HOOK}|{MIDDLE}_1..{MIDDLE}_5|{CLOSING}|{WHOLE}",
        ),
        column("start_s", pa.float64(), "Its start.", unit="s"),
        column("end_s", pa.float64(), "Its end, not part of it.", unit="s"),
        # Faces and people
        _rate(
            "average_face_size", f"Mean share of the picture of the largest face, over the time with a face; {_FACES} or no face.", "faces"
        ),
        _count("face_frames", f"Frames on the screen in it in which faces were looked for; {_FACES}.", "analyses.frames_seen"),
        _rate("face_visibility_rate", f"Share of the time with a face, where faces were looked for; {_FACES}.", "faces"),
        _count("gaze_frames", f"Of `face_frames` those with gaze of the largest face; {_FACES}.", "gaze"),
        _rate(
            "eye_contact_rate",
            f"Share of the time with gaze of the largest face in which it looks at the camera; {_FACES} or no gaze.",
            "gaze",
        ),
        column(
            "gaze_variance",
            pa.float64(),
            f"Variance over time of the direction of the largest face's gaze, across and along added; {_FACES} or one look only.",
            unit="°²",
            range_="≥ 0",
            source="gaze",
            nullable=True,
        ),
        _count(
            "gesture_count",
            "Gestures made: runs of one gesture of one hand in one shot, counted once however long; a gesture in one frame counts from "
            f"`insights.single_confidence` on; {_FACES}, or no frame of it was analysed.",
            "gestures",
        ),
        _count(
            "person_count",
            "Tracks of persons with a sighting in the window, each counted once; where more are seen at once in a frame, so many (in a "
            f"still nothing has a track); {EVIDENCE}; {_OBJECTS}, or no frame of it was analysed.",
            "tracks, objects",
        ),
        _count("object_count", f"The same of every other label, added up; {_OBJECTS}, or no frame of it was analysed.", "tracks, objects"),
        _count("object_frames", f"Frames on the screen in it in which objects were looked for; {_OBJECTS}.", "analyses.frames_seen"),
        # Expression of the largest face
        _count(
            "expression_frames",
            "Frames on the screen in it with an expression of a face that counts, of which the largest is taken: one seen in one frame "
            f"of a shot, and no face of `faces` there, counts as those do ({EVIDENCE}); null where emotion was not analysed.",
            "emotions",
        ),
        column(
            "dominant_emotion",
            pa.string(),
            f"The emotion that is dominant for the longest time, of equals the first in the order of `emotions`; {_EMOTIONS}.",
            range_="|".join(EMOTIONS),
            source="emotions",
            nullable=True,
        ),
        _rate(
            "emotional_valence",
            f"Time where happiness is dominant less that where {_NEGATIVE} is, over the time with an expression; {_EMOTIONS}.",
            "emotions",
            "-1..1",
        ),
        _rate("emotion_consistency", f"Share of the time with an expression that has the dominant one; {_EMOTIONS}.", "emotions"),
        *(
            _rate(f"{name}_share", f"Share of the time with an expression where {name} is dominant; {_EMOTIONS}.", "emotions")
            for name in EMOTIONS
        ),
        # Text on the screen
        _count(
            "overlay_unique_count",
            f"Different texts on the screen that are no captions ({_IN_SHOT}); {_SHOWN}; {_TEXTS}, or where speech was not analysed.",
            "text_spans",
        ),
        column(
            "has_captions",
            pa.bool_(),
            f"Whether what is said is written on the screen ({_IN_SHOT}); {_TEXTS}, or where speech was not analysed.",
            source="text_spans, words",
            nullable=True,
        ),
        _rate(
            "text_coverage",
            f"Share of the time with any text on the screen, of the time that frames speak for; {_TEXTS}, or no frame speaks for it.",
            "text_spans",
        ),
        _count(
            "call_to_action_count",
            f"Different texts on the screen that call to action; {_SHOWN}; {_TEXTS}.",
            "text_spans.is_call_to_action",
        ),
        _count("text_frames", f"Frames on the screen in it in which texts were looked for; {_TEXTS}.", "analyses.frames_seen"),
        # Shots
        _count("shot_count", f"Shots with any part in the window; {_SHOTS}.", "shots"),
        _value("shortest_shot_s", f"Length inside the window of the shortest of them; {_SHOTS}.", "s", "shots"),
        _value("longest_shot_s", f"Length inside the window of the longest of them; {_SHOTS}.", "s", "shots"),
        _value("shot_duration_variance_s2", f"Variance of these lengths, over all of them; 0 for one; {_SHOTS}.", "s²", "shots"),
        _value("cuts_per_minute", f"Cuts in the window over its length; a cut at its start is in it; {_SHOTS}.", "1/min", "shots"),
        # Speech
        _rate("speech_coverage", f"Share of the time inside a stretch of speech; {_SPEECH}.", "speech_segments"),
        _count("word_count", f"Words that begin in the window; {_SPEECH}.", "words"),
        _count(
            "spoken_call_to_action_count",
            f"Different phrases of `insights.call_to_action` that are said, all of their words beginning in the window; {_SPEECH}.",
            "words",
        ),
        _value("words_per_minute", f"`word_count` over the length of the window's sound; {_SPEECH}.", "1/min", "words"),
        _rate(
            "talk_to_camera_share",
            "Share of the time in which faces were looked for where somebody speaks and the largest face looks at the camera; "
            f"{_FACES}, or where speech was not analysed.",
            "speech_segments, gaze",
        ),
        # Sound
        _rate("energy_level", f"Root mean square of the sound, full scale = 1; {_SOUND}.", "audio_energy.rms"),
        _rate("energy_variance", f"Variance over time of the root mean square of stretches of 50 ms; {_SOUND}.", "audio_energy.rms"),
        _rate("energy_max", f"Largest root mean square of a stretch of 50 ms; {_SOUND}.", "audio_energy.rms"),
        _rate("silence_share", f"Share of the sound's time that is silent; {_SOUND}.", "audio_energy.is_silent"),
        _value(
            "pitch_scatter_ratio",
            f"Standard deviation of the pitch over its mean; {_SOUND}, or less than two voiced stretches.",
            "",
            "audio_energy.pitch_hz",
        ),
        NOT_MEASURED,
    ),
    key=("video_key", "name"),
    formerly=(("name", "window"),),
)

TABLES = (WINDOWS,)
