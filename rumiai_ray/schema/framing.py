"""Tables of person framing: how people are shown, per video and per second."""

from __future__ import annotations

import pyarrow as pa

from rumiai_ray.schema.table import Table, column

SHOT_SIZES = ("extreme_close_up", "close_up", "medium_close_up", "medium", "medium_full", "full", "wide", "none")
"""How much of the main subject a frame shows, nearest first: a part of the face, the head, to the chest, to the waist or hips, to the
knees, the whole figure, a small figure; `none` where there is neither a face nor a pose."""
SHOT_TYPES = ("close", "medium", "wide", "none")
"""The same in three steps, nearest first."""
SHOT_TYPE_OF = dict(zip(SHOT_SIZES, ("close", "close", "close", "medium", "medium", "wide", "wide", "none"), strict=True))

SHOT_TYPE_RANGE = "|".join(SHOT_TYPES)
SHOT_SIZE_RANGE = "|".join(SHOT_SIZES)
_TYPE = "close to the chest, medium to the hips or knees, wide with the feet"
_SUBJECT = (
    "of the main subject: the largest face, one in the middle before one at the side and one whose mouth moves during speech before a "
    "silent one, else the largest pose"
)
NO_FACES = "null where mediapipe was not analysed"
NO_PEOPLE = "null where neither mediapipe nor yolo was analysed"
EVIDENCE = (
    "what is seen in one frame of a shot counts where confidence and size speak for it (`insights.single_confidence`, "
    "`insights.single_area_share`), or no other frame of the shot was looked at"
)
PEOPLE = f"People in a frame: its faces or its boxes of persons, whichever are more; {EVIDENCE}."
PERSON = "a face, a pose or a box of a person"

_POSES = (
    "A pose counts that is of a face or a box of a person that counts, that is near one of the frame looked at before or after in its shot,"
    " or whose frame is held or the only one of the shot that was looked at."
)

NOT_MEASURED = column(
    "not_measured",
    pa.list_(pa.string()),
    "Why columns are null: models that gave no rows to measure on, as `name: status`, or `name: not asked`. Empty where all ran.",
    source="analyses",
)

PROGRESSION = pa.list_(
    pa.field(
        "item",
        pa.struct(
            [
                pa.field("shot_type", pa.string(), nullable=False),
                pa.field("start_s", pa.float64(), nullable=False),
                pa.field("end_s", pa.float64(), nullable=False),
            ]
        ),
        nullable=False,
    )
)

PERSON_FRAMING = Table(
    "person_framing",
    3,
    "How people are shown in one video. Rates are shares of the time that the frames their definition names speak for: a frame speaks "
    f"until the next frame that was looked at, or a cut. {_POSES}",
    (
        column(
            "face_frames",
            pa.int32(),
            f"Sampled frames in which faces were looked for; {NO_FACES}.",
            range_="0..frames_sampled",
            source="analyses.frames_seen",
            nullable=True,
        ),
        column(
            "person_frames",
            pa.int32(),
            f"Sampled frames in which people were looked for, by mediapipe or yolo; {NO_PEOPLE}.",
            range_="0..frames_sampled",
            source="analyses.frames_seen",
            nullable=True,
        ),
        column(
            "subject_count",
            pa.int32(),
            f"The most people seen at once for at least `insights.subject_share` of the time with anybody on the screen, 0 where there is "
            f"nobody; {NO_PEOPLE}. {PEOPLE}",
            range_="0..",
            source="faces, objects",
            nullable=True,
        ),
        column(
            "face_visibility_rate",
            pa.float64(),
            f"Share of the time of `face_frames` with a face; {NO_FACES}.",
            range_="0..1",
            source="faces",
            nullable=True,
        ),
        column(
            "person_visibility_rate",
            pa.float64(),
            f"Share of the time of `person_frames` with {PERSON}; {NO_PEOPLE}.",
            range_="0..1",
            source="faces, poses, objects",
            nullable=True,
        ),
        column(
            "gaze_frames",
            pa.int32(),
            f"Of `face_frames` those whose largest face has open eyes, so that its gaze was measured; {NO_FACES}.",
            range_="0..face_frames",
            source="gaze",
            nullable=True,
        ),
        column(
            "eye_contact_rate",
            pa.float64(),
            f"Share of the time of `gaze_frames` in which the largest face looks at the camera; null where there are none, {NO_FACES}.",
            range_="0..1",
            source="gaze.eye_contact",
            nullable=True,
        ),
        column(
            "average_face_size",
            pa.float64(),
            f"Mean, over the time with a face, of the largest face's box over the picture's area; null where there is no face, {NO_FACES}.",
            range_="0..1",
            source="faces",
            nullable=True,
        ),
        column(
            "gaze_steadiness",
            pa.float64(),
            "Share of time in which head and eyes together turn by less than `insights.steady_gaze_deg` from one of the `face_frames` to "
            "the next, measured where both have gaze of the largest face and that of one track, and while one frame is held; null where "
            f"there is no such time, {NO_FACES}.",
            range_="0..1",
            source="gaze",
            nullable=True,
        ),
        *(
            column(
                f"{name}_share",
                pa.float64(),
                f"Share of the time of `face_frames` of shot type {name}, told from the shot size: {_TYPE}; the four sum to 1; {NO_FACES}.",
                range_="0..1",
                source="poses.seen_to, poses.stature_share, faces.height_share",
                nullable=True,
            )
            for name in SHOT_TYPES
        ),
        column(
            "dominant_shot_type",
            pa.string(),
            f"The shot type that is shown for the longest time, of equals the nearest; {NO_FACES}.",
            range_=SHOT_TYPE_RANGE,
            nullable=True,
        ),
        *(
            column(
                f"{name}_size_share",
                pa.float64(),
                f"Share of the time of `face_frames` of shot size {name}, {_SUBJECT}; {NO_FACES}.",
                range_="0..1",
                source="poses.seen_to, poses.stature_share, faces.height_share",
                nullable=True,
            )
            for name in SHOT_SIZES
            if name != "none"
        ),
        column(
            "dominant_shot_size",
            pa.string(),
            f"The shot size that is shown for the longest time, of equals the nearest; {NO_FACES}.",
            range_=SHOT_SIZE_RANGE,
            nullable=True,
        ),
        column(
            "framing_progression",
            PROGRESSION,
            "Runs of seconds of one shot type, as in `person_framing_seconds`, in time order; seconds that were not measured are in none; "
            f"{NO_FACES}.",
            unit="s",
            source="person_framing_seconds",
            nullable=True,
        ),
        column(
            "framing_changes",
            pa.int32(),
            f"Runs of `framing_progression` that begin with another shot type than the run before had; {NO_FACES}.",
            range_="0..",
            nullable=True,
        ),
        column(
            "longest_absence_s",
            pa.float64(),
            f"Longest time without {PERSON}, of the time that frames speak for; 0 where somebody is always there; {NO_PEOPLE}.",
            unit="s",
            range_="0..duration_s",
            source="faces, poses, objects",
            nullable=True,
        ),
        NOT_MEASURED,
    ),
)

SECOND = (
    column("second", pa.int32(), "Number of the second: it begins so many seconds after the first presented frame.", range_="0.."),
    column("end_s", pa.float64(), "Its end, not part of it: the next second, or the video's end.", unit="s"),
)

PERSON_FRAMING_SECONDS = Table(
    "person_framing_seconds",
    3,
    "How people are shown in one second of a video. Rates are shares of time, as in `person_framing`. Null where none of the frames on the "
    f"screen in this second was looked at. {_POSES}",
    (
        *SECOND,
        column(
            "face_frames",
            pa.int32(),
            f"Frames on the screen in it in which faces were looked for; {NO_FACES}.",
            range_="0..",
            nullable=True,
        ),
        column(
            "gaze_frames",
            pa.int32(),
            f"Of `face_frames` those with gaze of the largest face; {NO_FACES}.",
            range_="0..face_frames",
            source="gaze",
            nullable=True,
        ),
        column("people", pa.int32(), f"The most people seen at once. {PEOPLE}", range_="0..", source="faces, objects", nullable=True),
        column(
            "face_visibility_rate",
            pa.float64(),
            "Share of the time of `face_frames` with a face.",
            range_="0..1",
            source="faces",
            nullable=True,
        ),
        column(
            "person_visibility_rate",
            pa.float64(),
            f"Share of the time of its frames in which people were looked for with {PERSON}.",
            range_="0..1",
            source="faces, poses, objects",
            nullable=True,
        ),
        column(
            "average_face_size",
            pa.float64(),
            "Mean, over its time with a face, of the largest face's box over the picture's area; null without a face.",
            range_="0..1",
            source="faces",
            nullable=True,
        ),
        column(
            "eye_contact_rate",
            pa.float64(),
            "Share of its time with gaze of the largest face in which it looks at the camera; null without gaze.",
            range_="0..1",
            source="gaze.eye_contact",
            nullable=True,
        ),
        column(
            "shot_size",
            pa.string(),
            f"The shot size, {_SUBJECT}, that is shown for the longest time in it, of equals the nearest.",
            range_=SHOT_SIZE_RANGE,
            nullable=True,
        ),
        column(
            "shot_type",
            pa.string(),
            "The shot type that is shown for the longest time in it, of equals the nearest.",
            range_=SHOT_TYPE_RANGE,
            nullable=True,
        ),
    ),
    key=("video_key", "second"),
)

TABLES = (PERSON_FRAMING, PERSON_FRAMING_SECONDS)
