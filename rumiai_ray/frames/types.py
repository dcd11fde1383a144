"""What the frame store gives out: facts about a source, encoded frame batches, audio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

AUDIO_RATE_HZ = 16_000
"""Sample rate of stored audio: what Whisper expects."""


@dataclass(frozen=True)
class SourceFacts:
    """What decoding a video once has shown about it. Nothing here is taken from a header unchecked."""

    size_bytes: int
    container: str
    """The demuxer's name of the container, e.g. `mov,mp4,m4a,3gp,3g2,mj2`."""
    video_codec: str | None
    """None where the file has no video stream; then there are no frames, and everything else said about pictures is None, too."""
    audio_codec: str | None
    """None where the video has no audio stream."""
    width_px: int | None
    """Width as shown, after rotation and sample aspect; stored frames may be smaller."""
    height_px: int | None
    rotation_deg: int | None
    """Clockwise rotation the container asks for (already applied): 0, 90, 180 or 270."""
    duration_s: float
    """From the first presented frame to the end of the last one; without a video stream, from the first sample to the end of the last."""
    fps: float | None
    """Frames decoded over duration; None for a single frame or none."""
    frames_decoded: int
    frames_sampled: int
    sampling_fps: float | None
    stored_width_px: int | None
    """Width of the stored JPEGs; all frames of a video have one size."""
    stored_height_px: int | None
    audio_start_s: float | None
    """When the audio begins, from the first presented frame; negative where it begins before it. None without audio."""
    audio_duration_s: float | None
    video_streams: int
    audio_streams: int
    problems: tuple[str, ...]
    """Everything that was wrong with the file and survived, lost or repaired, e.g. "36 of 75 promised frames decoded"."""
    lost_video: tuple[str, ...]
    """Those of `problems` that mean pictures are missing or damaged: nobody can see what was there."""
    lost_audio: tuple[str, ...]
    """Those of `problems` that mean sound is missing. Empty where the file never had any."""
    mirrored: bool | None = False
    """Whether the file asks for its pictures to be mirrored left to right before they are turned (already applied)."""
    video_stream: int | None = 0
    """Which of the `video_streams` was decoded, from 0; None where none was."""
    audio_stream: int | None = None
    """Which of the `audio_streams` was decoded, from 0; None where none was."""
    audio_layout: str | None = None
    """Channels of the decoded audio stream as libav names them, e.g. `stereo`, `5.1`; None where none was decoded."""
    loudness_lufs: float | None = None
    """Integrated loudness of all channels (ITU-R BS.1770-4); None without sound above -70 LUFS, or with less than 0.4 s."""
    origin_s: float = 0.0
    """The file's own timestamp of the first presented frame, which is second 0 of everything told about the video; of the first sample
    where there is no video stream."""
    repaired_stamps: int = 0
    """Frames whose timestamp was missing or wrong and was replaced."""
    cadence_fps: float | None = None
    """Frames per second where the pictures follow one another as usual, held ones left out; None for a single frame."""
    color_transfer: str | None = None
    """Transfer characteristics of the first frame by their name in libav, e.g. `bt709`, `smpte2084` (PQ), `arib-std-b67` (HLG); None
    where the file does not say."""
    is_slide_show: bool = False
    """Whether the file says of itself that it was made of a post's images, see `ingest.slide_show`: each frame is one of them."""

    def __post_init__(self) -> None:
        """Raises `ValueError` where a picture is described in part, or frames are counted of a file without pictures."""
        told = [getattr(self, name) is not None for name in _OF_PICTURES]
        if any(told) != all(told):
            raise ValueError(f"facts of pictures that are there in part: {dict(zip(_OF_PICTURES, told, strict=True))}")
        if not any(told) and (self.frames_decoded or self.frames_sampled):
            raise ValueError(f"{self.frames_decoded} frames of a file without a video stream")

    @property
    def picture_px(self) -> tuple[int, int] | None:
        """(`width_px`, `height_px`); None where the file has no video stream."""
        return None if self.width_px is None or self.height_px is None else (self.width_px, self.height_px)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """The facts from what JSON made of them.

        Raises:
            TypeError: fields are missing or unknown.
            KeyError: likewise.
            ValueError: see `__post_init__`.
        """
        lists = {name: tuple(fields[name]) for name in ("problems", "lost_video", "lost_audio")}
        return cls(**{**fields, **lists})


_OF_PICTURES = (
    "video_codec",
    "width_px",
    "height_px",
    "rotation_deg",
    "sampling_fps",
    "stored_width_px",
    "stored_height_px",
    "mirrored",
    "video_stream",
)
"""Facts that a file with a video stream has and a file without one has not."""


@dataclass(frozen=True)
class EncodedBatch:
    """Up to 32 stored frames of one video, still as JPEG."""

    frame_index: NDArray[np.int32]
    """(n,) position among the video's sampled frames, ascending."""
    source_frame: NDArray[np.int64]
    """(n,) index among the decoded frames, in presentation order."""
    time_s: NDArray[np.float64]
    """(n,) seconds from the first presented frame."""
    jpegs: tuple[bytes, ...]
    """n JPEG files, all of one size."""

    def __post_init__(self) -> None:
        sizes = {len(self.frame_index), len(self.source_frame), len(self.time_s), len(self.jpegs)}
        if len(sizes) != 1:
            raise ValueError(f"columns of a batch differ in length: {sorted(sizes)}")


@dataclass(frozen=True)
class Audio:
    """The audio of one video, decoded once."""

    samples: NDArray[np.int16]
    """(n,) int16 mono PCM at `AUDIO_RATE_HZ`."""
    start_s: float
    """Time of the first sample, from the first presented frame; may be negative."""
