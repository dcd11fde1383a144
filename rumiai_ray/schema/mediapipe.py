"""Tables of the MediaPipe family: faces, poses, hands, gestures, gaze.

The numbers that only pictures and models read, landmarks above all, have tables of their own (`part_of`), so that a row of `faces`, `poses`
or `hands` can be read by people.
"""

from __future__ import annotations

import pyarrow as pa

from rumiai_ray.schema.table import FRAME, Table, box, column, track_id

FACE_LANDMARKS = 478
POSE_LANDMARKS = 33
HAND_LANDMARKS = 21

BLENDSHAPES = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
"""The 52 blendshape names in the order of `face_landmarks.blendshapes` (MediaPipe's face_landmarker bundle)."""

LOOKS = ("full_frame", "pose_head_crop", "tile")
"""How a face was found, the values of `faces.found_by`: in the whole frame, on a crop around a pose's head, or, in a group, on one of
a few overlapping tiles of the frame."""


def _points(count: int, of: str, space: str) -> pa.Field[pa.DataType]:
    return column(
        "landmarks",
        pa.list_(pa.float32(), count * 3),
        f"{count} {of} landmarks as x, y, z, x, y, z, …; z has the scale of x, smaller is nearer to the camera.",
        unit="px",
        source=space,
    )


def _world(count: int, of: str) -> pa.Field[pa.DataType]:
    return column(
        "world_landmarks",
        pa.list_(pa.float32(), count * 3),
        f"{count} {of} landmarks as x, y, z, … in metres, origin at the {of}'s centre.",
        unit="m",
        source="MediaPipe world landmarks",
    )


_POSE_INDEX = column("pose_index", pa.int16(), "The pose's number within its frame.", range_="0..")
_FACE_INDEX = column("face_index", pa.int16(), "The face's number within its frame, largest face first.", range_="0..")
_HAND_INDEX = column("hand_index", pa.int16(), "The hand's number within its frame.", range_="0..")
_HANDEDNESS = column("handedness", pa.string(), "The person's own left or right hand, image not mirrored.", range_="left|right")

FACES = Table(
    "faces",
    5,
    "One face in one sampled frame.",
    (
        *FRAME,
        _FACE_INDEX,
        *box("face, hull of its landmarks"),
        column(
            "height_share", pa.float32(), "Height of the box over that of the picture without bars or background around it.", range_="0..1"
        ),
        column("found_by", pa.string(), "Which look found the face.", range_="|".join(LOOKS)),
    ),
    (track_id("face"),),
    key=("video_key", "frame_index", "face_index"),
    made_by=("mediapipe",),
    same_since=4,
    tracked_as="face",
)

LANDMARKS_OF_FACES = Table(
    "face_landmarks",
    1,
    "The landmarks of one face of `faces`.",
    (
        *FRAME,
        _FACE_INDEX,
        _points(FACE_LANDMARKS, "face mesh", "source pixels after rotation"),
        column(
            "blendshapes", pa.list_(pa.float32(), len(BLENDSHAPES)),
            "52 expression coefficients: " + ", ".join(BLENDSHAPES) + ".", range_="0..1",
        ),
        column("head_transform", pa.list_(pa.float32(), 16), "4×4 matrix from the canonical face to the camera, row by row.", unit="cm"),
    ),
    key=FACES.key,
    made_by=("mediapipe",),
    bulky=("landmarks", "blendshapes", "head_transform"),
    part_of="faces",
)  # fmt: skip

POSES = Table(
    "poses",
    3,
    "One person's pose in one sampled frame.",
    (
        *FRAME,
        _POSE_INDEX,
        *box("person, hull of the landmarks with visibility ≥ 0.5, of all where there is none"),
        column(
            "seen_to",
            pa.float32(),
            "How far down the body is seen: 0 head, 1 shoulders, 2 hips, 3 knees, 4 feet; in between, where the lower edge of the picture "
            "without bars or background cuts the body.",
            range_="0..4",
        ),
        column(
            "stature_share",
            pa.float32(),
            "Height of the whole person, told from nose and ankles, over that of this picture.",
            range_="0..1",
        ),
    ),
    key=("video_key", "frame_index", "pose_index"),
    made_by=("mediapipe",),
    same_since=2,
)

LANDMARKS_OF_POSES = Table(
    "pose_landmarks",
    1,
    "The landmarks of one pose of `poses`.",
    (
        *FRAME,
        _POSE_INDEX,
        _points(POSE_LANDMARKS, "pose", "source pixels after rotation; may lie outside the picture"),
        _world(POSE_LANDMARKS, "hip"),
        column("visibility", pa.list_(pa.float32(), POSE_LANDMARKS), "Per landmark: in the picture and not hidden.", range_="0..1"),
        column("presence", pa.list_(pa.float32(), POSE_LANDMARKS), "Per landmark: within the picture.", range_="0..1"),
    ),
    key=POSES.key,
    made_by=("mediapipe",),
    bulky=("landmarks", "world_landmarks", "visibility", "presence"),
    part_of="poses",
)

HANDS = Table(
    "hands",
    2,
    "One hand in one sampled frame.",
    (
        *FRAME,
        _HAND_INDEX,
        _HANDEDNESS,
        column("handedness_confidence", pa.float32(), "Confidence of the handedness.", range_="0..1"),
        *box("hand, hull of its landmarks"),
    ),
    key=("video_key", "frame_index", "hand_index"),
    made_by=("mediapipe",),
    same_since=1,
)

LANDMARKS_OF_HANDS = Table(
    "hand_landmarks",
    1,
    "The landmarks of one hand of `hands`.",
    (
        *FRAME,
        _HAND_INDEX,
        _points(HAND_LANDMARKS, "hand", "source pixels after rotation"),
        _world(HAND_LANDMARKS, "hand"),
    ),
    key=HANDS.key,
    made_by=("mediapipe",),
    bulky=("landmarks", "world_landmarks"),
    part_of="hands",
)

GESTURES = Table(
    "gestures",
    1,
    "One recognised gesture of one hand in one sampled frame; 'None' is not a gesture and has no row.",
    (
        *FRAME,
        _HAND_INDEX,
        _HANDEDNESS,
        column(
            "gesture", pa.string(), "The gesture's name as MediaPipe gives it.",
            range_="Closed_Fist|Open_Palm|Pointing_Up|Thumb_Down|Thumb_Up|Victory|ILoveYou",
        ),
        column("confidence", pa.float32(), "Confidence of the gesture.", range_="0..1"),
    ),
    key=("video_key", "frame_index", "hand_index"),
    made_by=("mediapipe",),
)  # fmt: skip

_OFFSET = (
    "iris centre minus the midpoint of the eye's corners, along or across the line between them, over its length; "
    "mean of both eyes, the one seen wider counting more"
)

GAZE = Table(
    "gaze",
    2,
    "Where one face looks in one sampled frame.",
    (
        *FRAME,
        _FACE_INDEX,
        column(
            "gaze_x",
            pa.float32(),
            f"Horizontal gaze, positive to the picture's right on an upright head: {_OFFSET}.",
            unit="eye widths",
            range_="about -0.5..0.5",
        ),
        column(
            "gaze_y",
            pa.float32(),
            f"Vertical gaze, positive towards the chin; about -0.07 at a camera seen straight on: {_OFFSET}.",
            unit="eye widths",
            range_="about -0.5..0.5",
        ),
        column(
            "head_yaw_deg",
            pa.float32(),
            "Head turn against the line of sight, from `face_landmarks.head_transform`, positive to the picture's right.",
            unit="°",
        ),
        column(
            "head_pitch_deg",
            pa.float32(),
            "Head nod against the line of sight, from `face_landmarks.head_transform`, positive downwards.",
            unit="°",
        ),
        column(
            "gaze_yaw_deg",
            pa.float32(),
            "Head and eyes together: angle to the line to the camera, positive to the picture's right; null where both eyes are shut.",
            unit="°",
            range_="-90..90",
            nullable=True,
        ),
        column(
            "gaze_pitch_deg",
            pa.float32(),
            "Head and eyes together: angle to the line to the camera, positive downwards; null where both eyes are shut.",
            unit="°",
            range_="-90..90",
            nullable=True,
        ),
        column(
            "eye_contact",
            pa.bool_(),
            "Looks at the camera: head and eyes together, so a turned head may; null where both eyes are shut.",
            nullable=True,
        ),
        column(
            "eye_contact_score",
            pa.float32(),
            "1 straight into the camera, 0 at or past the limit; null where both eyes are shut.",
            range_="0..1",
            nullable=True,
        ),
        column(
            "direction",
            pa.string(),
            "Main direction; null where both eyes are shut.",
            range_="camera|left|right|up|down (picture's sides)",
            nullable=True,
        ),
    ),
    key=("video_key", "frame_index", "face_index"),
    made_by=("mediapipe",),
)

TABLES = (FACES, LANDMARKS_OF_FACES, POSES, LANDMARKS_OF_POSES, HANDS, LANDMARKS_OF_HANDS, GESTURES, GAZE)
