"""The size of a shot, as filmmakers name it, from what is seen of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rumiai_ray.schema.framing import SHOT_SIZES

if TYPE_CHECKING:
    from collections.abc import Collection

    from rumiai_ray.insights.video import AnalysedVideo
    from rumiai_ray.schema.table import Row

EXTREME_CLOSE_UP, CLOSE_UP, MEDIUM_CLOSE_UP, MEDIUM, MEDIUM_FULL, FULL, WIDE, NONE = SHOT_SIZES

# Where the lower edge of the picture cuts a body for each size (Bordwell and Thompson, "Film Art", chapter 5; Thompson and Bowen, "Grammar
# of the Shot", chapter 1): a close-up shows the head and the tops of the shoulders; a medium close-up ends at the chest, a medium shot at
# the waist or the hips, a medium full shot (cowboy, plan américain) from the thighs to the shins; a full shot has the feet. On the scale of
# `poses.seen_to`, on which shoulders are 1, hips 2 and knees 3:
_UNTIL = ((1.2, CLOSE_UP), (1.7, MEDIUM_CLOSE_UP), (2.6, MEDIUM), (4.0, MEDIUM_FULL))
_FULL_STATURE = 2 / 3
"""Share of the picture's height from which on a whole figure fills it; a smaller one stands in its surroundings, which is a wide shot.
Chosen: of the labelled pictures, full shots have 0.69 and more, wide ones 0.63 and less."""
_FACE_OF_HEAD = 0.69
"""Height of MediaPipe's face, forehead to chin, over that of the head with its hair, crown to chin. Measured on twelve people in stills and
clips, whose crown was marked by hand: the median of 0.63 to 0.80."""
_WHOLE_HEAD = 0.75
"""Share of the picture's height of a face whose head does not fit: an extreme close-up shows a part of the face.
Chosen above the 0.73 that close-ups among the labelled pictures have at most, in which only the crown is cut."""
# Without a pose the head tells. The same limits in heads under the crown: a head is 0.13 of the stature, shoulders lie 1.4 heads under the
# crown, hips 3.6, knees 5.5, ankles 7.4 (Drillis, Contini 1966); a third of a head is room above it.
_HEAD_FROM = ((0.46, CLOSE_UP), (0.305, MEDIUM_CLOSE_UP), (0.197, MEDIUM), (0.13, MEDIUM_FULL), (0.087, FULL))
"""Share of the picture's height of a head from which on a shot is so near."""
_TALKING = 2.0
"""How many times its height a talking face counts: as much as the middle of the picture before its edge; chosen, not measured."""


def size_of(face: Row | None, pose: Row | None) -> str:
    """The size of a shot of one person, of whom there is a face, a pose, or both.

    Args:
        face: a row of `faces`.
        pose: a row of `poses`, of the same person.
    """
    if face is not None and face["height_share"] >= _WHOLE_HEAD:
        return EXTREME_CLOSE_UP
    if pose is not None:
        named = next((size for limit, size in _UNTIL if pose["seen_to"] < limit), None)
        return named or (FULL if pose["stature_share"] >= _FULL_STATURE else WIDE)
    if face is None:
        return NONE
    head = face["height_share"] / _FACE_OF_HEAD
    return next((size for limit, size in _HEAD_FROM if head >= limit), WIDE)


def size_of_frame(video: AnalysedVideo, faces: list[Row], poses: list[Row], talking: Collection[int] = ()) -> str:
    """The size of a shot of a frame's main subject: the largest face, central and talking ones before others; else the largest pose.

    Args:
        video: the video.
        faces: of the frame.
        poses: of the frame.
        talking: `face_index` of the faces whose mouths move while there is speech.
    """
    if faces:

        def weight(face: Row) -> float:
            heard = _TALKING if face["face_index"] in talking else 1.0
            return float(face["height_share"] * _centrality(video, face) * heard)

        main = max(faces, key=lambda face: (weight(face), -face["face_index"]))
        return size_of(main, _pose_of(main, poses))
    if poses:
        return size_of(None, max(poses, key=lambda pose: (video.area_share(pose) * _centrality(video, pose), -pose["pose_index"])))
    return NONE


def _centrality(video: AnalysedVideo, row: Row) -> float:
    """1 in the middle of the picture's width, a half at its edges."""
    return float(1 - abs((row["x1"] + row["x2"]) / 2 / video.picture_px[0] - 0.5))


def is_of(pose: Row, face: Row) -> bool:
    """Whether the box of a pose holds the middle of a face, or comes as near to it as half of the face."""
    x, y = (face["x1"] + face["x2"]) / 2, (face["y1"] + face["y2"]) / 2
    near = max(face["x2"] - face["x1"], face["y2"] - face["y1"]) / 2
    return bool(pose["x1"] - near <= x <= pose["x2"] + near and pose["y1"] - near <= y <= pose["y2"] + near)


def _pose_of(face: Row, poses: list[Row]) -> Row | None:
    """The smallest pose that a face is of; None where it is of none."""
    around = [pose for pose in poses if is_of(pose, face)]
    return min(around, key=lambda pose: ((pose["x2"] - pose["x1"]) * (pose["y2"] - pose["y1"]), pose["pose_index"]), default=None)
