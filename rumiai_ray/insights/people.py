"""Who is seen in each frame: faces, persons, and where the largest face looks. The ground of framing, windows and timeline."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rumiai_ray.insights.looks import EPSILON_S
from rumiai_ray.insights.shot_size import NONE, size_of_frame
from rumiai_ray.insights.talking import talking_faces
from rumiai_ray.insights.video import FACES, OBJECTS, AnalysedVideo, by_frame
from rumiai_ray.schema.framing import SHOT_TYPE_OF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.insights.evidence import Evidence
    from rumiai_ray.insights.looks import Look
    from rumiai_ray.schema.table import Row

PERSON = "person"
"""COCO's label."""


@dataclass(frozen=True)
class Gaze:
    """Where the largest face of a frame looks, its eyes open."""

    yaw_deg: float
    pitch_deg: float
    eye_contact: bool


@dataclass(frozen=True)
class Frame:
    """One frame that mediapipe or yolo looked at."""

    look: Look
    """What the frame speaks for among those that either looked at."""
    face_look: Look | None
    """What the frame speaks for among those that mediapipe looked at; None where mediapipe did not look."""
    faces: int | None
    """None where mediapipe did not look."""
    face_share: float | None
    """Share of the picture of the largest face; None without one."""
    face_track: int | None
    """The largest face's."""
    gaze: Gaze | None
    people: int
    """Faces or boxes of persons, whichever are more."""
    present: bool
    """Whether there is a face, a pose or a box of a person."""
    shot_size: str
    """One of `SHOT_SIZES`, of the main subject; `none` also where mediapipe did not look."""

    @property
    def shot_type(self) -> str:
        """One of `SHOT_TYPES`."""
        return SHOT_TYPE_OF[self.shot_size]


@dataclass(frozen=True)
class Part:
    """A frame that is on the screen during a stretch of a video, and for how much of the stretch the frame speaks."""

    frame: Frame
    people_s: float
    """Among the frames that mediapipe or yolo looked at."""
    faces_s: float
    """Among the frames that mediapipe looked at; 0 where mediapipe did not look."""


def parts_of(frames: Sequence[Frame], start_s: float, end_s: float) -> list[Part]:
    """The frames, in time order, that are on the screen during [`start_s`, `end_s`)."""
    first = bisect_right(frames, start_s + EPSILON_S, key=lambda frame: frame.look.shown_until_s)
    last = bisect_left(frames, end_s - EPSILON_S, key=lambda frame: frame.look.shown_from_s)
    return [
        Part(frame, frame.look.weight_s(start_s, end_s), frame.face_look.weight_s(start_s, end_s) if frame.face_look else 0.0)
        for frame in frames[first:last]
    ]


def frames_of(video: AnalysedVideo, evidence: Evidence) -> list[Frame]:
    """Every frame that mediapipe or yolo looked at, in time order, with the faces, poses and persons that count."""
    faces = by_frame([row for row in video.rows("faces", "frame_index") if evidence.counts("faces", row)])
    poses, gazes = (by_frame(video.rows(name, "frame_index")) for name in ("poses", "gaze"))
    boxes_of = [row for row in video.rows("objects", "frame_index") if row["label"] == PERSON]
    persons = by_frame([row for row in boxes_of if evidence.counts("objects", row)])
    face_looks, for_objects = {look.frame_index: look for look in video.looks(FACES)}, set(video.seen(OBJECTS))
    talking = talking_faces(video, evidence.tracks)
    frames = []
    for look in video.looks(FACES, OBJECTS):
        index = look.frame_index
        looked = index in face_looks
        here = faces.get(index, []) if looked else []
        boxes = persons.get(index, []) if index in for_objects else []
        bodies = [pose for pose in poses.get(index, ()) if looked and evidence.pose_counts(pose, here, boxes)]
        # By area, not by number: a reader of the run then sees that they agree
        largest = max(here, key=lambda row: (video.area_share(row), -row["face_index"]), default=None)
        frames.append(
            Frame(
                look=look,
                face_look=face_looks.get(index),
                faces=len(here) if looked else None,
                face_share=video.area_share(largest) if largest else None,
                face_track=evidence.tracks.column("faces", [largest])[0] if largest else None,
                gaze=_gaze(largest, gazes.get(index, [])),
                shot_size=size_of_frame(video, here, bodies, talking.get(index, ())) if looked else NONE,
                people=max(len(here), len(boxes)),
                present=bool(here or boxes or bodies),
            )
        )
    return frames


def _gaze(face: Row | None, gazes: Sequence[Row]) -> Gaze | None:
    for row in gazes:
        if face is not None and row["face_index"] == face["face_index"] and row["eye_contact"] is not None:
            return Gaze(row["gaze_yaw_deg"], row["gaze_pitch_deg"], row["eye_contact"])
    return None
