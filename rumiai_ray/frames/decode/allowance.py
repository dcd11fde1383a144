"""How much a decoder may say. A decoder that a video has taken over fills its parent's memory and the frame store where nobody counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rumiai_ray.frames.decode.checked import count
from rumiai_ray.frames.types import AUDIO_RATE_HZ

if TYPE_CHECKING:
    from rumiai_ray.frames.limits import DecodeLimits
    from rumiai_ray.frames.sampling import SamplingSpec

_CHANNELS = 3
_BYTES_A_SAMPLE = 2


class Allowance:
    """Counts what one decoder has said; no more of it is taken than the limits let an honest decoder find in a video.

    Args:
        spec: bounds the size of a picture.
        limits: bound the number of pictures and the length of the sound.
    """

    def __init__(self, spec: SamplingSpec, limits: DecodeLimits) -> None:
        self._sides_px = {"frame": spec.long_side_px, "thumbnails": spec.thumbnail_long_side_px}
        self._left = {
            "frame": limits.max_frames + 1,  # the decoder sends one more before it refuses the video
            "thumbnails": limits.max_frames + 1,
            "sound": int(limits.max_duration_s * AUDIO_RATE_HZ) * _BYTES_A_SAMPLE,
        }

    def take(self, header: dict[str, Any], payload: bytes | bytearray) -> None:
        """Count one message, before anything is made of its payload.

        Args:
            header: of the message.
            payload: of the message.

        Raises:
            KeyError, TypeError, ValueError: it is larger than an honest one, says another size than it has, or is one too many.
        """
        kind = header["kind"]
        if kind == "sound":
            self._count(kind, len(payload))
        elif kind in self._sides_px:
            height_px, width_px = (count(header[name], self._sides_px[kind]) for name in ("height_px", "width_px"))
            pictures = 1 if kind == "frame" else len(header["time_s"])
            if len(payload) != pictures * height_px * width_px * _CHANNELS or not height_px * width_px:
                raise ValueError(f"{len(payload)} bytes for {pictures} pictures of {width_px}×{height_px}")
            self._count(kind, pictures)

    def _count(self, kind: str, number: int) -> None:
        self._left[kind] -= number
        if self._left[kind] < 0:
            raise ValueError(f"more messages of the kind {kind} than a video within the limits has")
