"""What people make of a clip before they post it again: cut, mirrored, faster, with bars or a caption, encoded anew; and its thumbnails."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np

from quadrants import bgr
from rumiai_ray.models.base import Thumbnails
from rumiai_ray.models.signals.picture_hashes import hash_rows, thinned
from synthetic_run import analysis_row, video_row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from rumiai_ray.schema.table import Row

    Picture = NDArray[np.uint8]

LONG_SIDE_PX = 64
"""Of a thumbnail, as `frames.sampling` has it."""
_CLIP_SIDE_PX = 320
_LONGEST_S = 5.0
_CRF = "33"
"""x264's quality factor of a repost: 23 is its default, and 6 more halve the size."""


@dataclass(frozen=True)
class Shown:
    """The pictures of a clip and when each is shown."""

    pictures: list[Picture]
    """Each (height, width, 3) uint8, BGR."""
    time_s: list[float]
    """From the first picture, ascending."""
    end_s: float


def read_clip(path: Path, longest_s: float = _LONGEST_S) -> Shown:
    """The beginning of a clip, made small."""
    with av.open(str(path)) as container:
        return _read(container, _CLIP_SIDE_PX, longest_s)


def part(shown: Shown, from_s: float, to_s: float) -> Shown:
    """What is shown between two times."""
    kept = [place for place, time_s in enumerate(shown.time_s) if from_s <= time_s < to_s]
    first_s = shown.time_s[kept[0]]
    end_s = min(to_s, shown.end_s) - first_s
    return Shown([shown.pictures[place] for place in kept], [shown.time_s[place] - first_s for place in kept], end_s)


def _read(container: av.container.InputContainer, side_px: int, longest_s: float = float("inf")) -> Shown:
    pictures: list[Picture] = []
    times_s: list[float] = []
    first_s: float | None = None
    for frame in container.decode(video=0):
        shown_s = float(frame.time or 0.0)
        first_s = shown_s if first_s is None else first_s
        if shown_s - first_s > longest_s:
            break
        picture = frame.to_ndarray(format="bgr24")
        height, width = picture.shape[:2]
        scale = min(1.0, side_px / max(height, width))
        size = (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))
        pictures.append(np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8))
        times_s.append(shown_s - first_s)
    last_s = times_s[-1] - times_s[-2] if len(times_s) > 1 else 0.04
    return Shown(pictures, times_s, times_s[-1] + last_s)


def thumbnails(shown: Shown) -> tuple[tuple[bytes, ...], NDArray[np.float64], float]:
    """Thumbnails as the frame store keeps them, their times, and when the last one ends."""
    jpegs = []
    for picture in shown.pictures:
        height, width = picture.shape[:2]
        scale = LONG_SIDE_PX / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        jpegs.append(bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]))
    return tuple(jpegs), np.array(shown.time_s), shown.end_s


def encoded_again(shown: Shown, crf: str = _CRF) -> Shown:
    """The same after x264 at a low quality."""
    file = io.BytesIO()
    height, width = (side // 2 * 2 for side in shown.pictures[0].shape[:2])
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast", "crf": crf})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        stream.codec_context.thread_count = 1
        for picture, time_s in zip(shown.pictures, shown.time_s, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="bgr24")
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        again = _read(container, _CLIP_SIDE_PX * 2)
    return Shown(again.pictures, again.time_s, shown.end_s)


def _each(change: Callable[[Picture], Picture]) -> Callable[[Shown], Shown]:
    return lambda shown: Shown([change(picture) for picture in shown.pictures], shown.time_s, shown.end_s)


def _crop(x: float, y: float, width: float, height: float) -> Callable[[Picture], Picture]:
    def cropped(picture: Picture) -> Picture:
        h, w = picture.shape[:2]
        x1, y1 = round(x * w), round(y * h)
        return picture[y1 : y1 + round(height * h), x1 : x1 + round(width * w)]

    return cropped


def _faster(times: float) -> Callable[[Shown], Shown]:
    return lambda shown: Shown(shown.pictures, [time_s / times for time_s in shown.time_s], shown.end_s / times)


def _trimmed(share: float) -> Callable[[Shown], Shown]:
    def trimmed(shown: Shown) -> Shown:
        first = int(len(shown.pictures) * share)
        start_s = shown.time_s[first]
        return Shown(shown.pictures[first:], [time_s - start_s for time_s in shown.time_s[first:]], shown.end_s - start_s)

    return trimmed


def _bars(share: float, *, sides: bool, grey: int) -> Callable[[Picture], Picture]:
    def barred(picture: Picture) -> Picture:
        height, width = picture.shape[:2]
        across, along = (round(width * share), 0) if sides else (0, round(height * share))
        wide = cv2.copyMakeBorder(picture, along, along, across, across, cv2.BORDER_CONSTANT, value=(grey, grey, grey))
        return np.asarray(wide, np.uint8)

    return barred


def _caption(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    changed = picture.copy()
    cv2.rectangle(changed, (width // 10, height * 72 // 100), (width * 9 // 10, height * 84 // 100), (255, 255, 255), -1)
    cv2.putText(changed, "WAIT FOR IT", (width // 7, height * 81 // 100), cv2.FONT_HERSHEY_SIMPLEX, width / 320, (0, 0, 0), 2)
    return changed


def _small(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    return np.asarray(cv2.resize(picture, (max(2, width // 2), max(2, height // 2)), interpolation=cv2.INTER_AREA), np.uint8)


def _mirror(picture: Picture) -> Picture:
    return picture[:, ::-1]


REPOSTS: dict[str, Callable[[Shown], Shown]] = {
    "smaller": _each(_small),
    "crop 5 %": _each(_crop(0.025, 0.025, 0.95, 0.95)),
    "crop 10 %": _each(_crop(0.05, 0.05, 0.9, 0.9)),
    "crop 10 % off the middle": _each(_crop(0.08, 0.02, 0.9, 0.9)),
    "bottom cut": _each(_crop(0.0, 0.0, 1.0, 0.9)),
    "mirrored": _each(_mirror),
    "faster": _faster(1.1),
    "slower": _faster(0.9),
    "bars": _each(_bars(0.3, sides=False, grey=0)),
    "white bars": _each(_bars(0.2, sides=True, grey=255)),
    "caption": _each(_caption),
    "start trimmed": _trimmed(0.2),
    "mirrored, cropped, faster": lambda shown: _faster(1.05)(_each(lambda picture: _crop(0.04, 0.04, 0.92, 0.92)(_mirror(picture)))(shown)),
}
"""By what was done, all of it before x264 encodes the result at a low quality."""


def repost(shown: Shown, name: str) -> Shown:
    """A clip after one of `REPOSTS`, encoded again."""
    return encoded_again(REPOSTS[name](shown))


def hashed(shown: Shown) -> list[Row]:
    """The rows of `picture_hashes` that the family `shots` has of a clip, without looking for its shots."""
    jpegs, times_s, end_s = thumbnails(shown)
    batch = Thumbnails(jpegs, times_s, 0, len(jpegs), end_s)
    return list(thinned(hash_rows(batch, lambda number: bgr(jpegs[number]))))


def rows_of(entry: str, shown: Shown, **changes: Any) -> dict[str, list[Row]]:
    """An entry of a run in which `shots` ran.

    Args:
        entry: its id.
        shown: its clip.
        changes: columns of `videos`.
    """
    video = video_row(entry, **{"duration_s": shown.end_s} | changes)
    return {"videos": [video], "analyses": [analysis_row("shots")], "picture_hashes": hashed(shown)}


def moving_scene(seed: int, seconds: float = 4.0, fps: float = 12.0) -> Shown:
    """A clip of three shots, in each of which soft blobs drift."""
    rng = np.random.default_rng(seed)
    scenes = [cv2.resize(rng.uniform(0, 255, (9, 20, 3)).astype(np.float32), (512, 192), interpolation=cv2.INTER_CUBIC) for _ in range(3)]
    count = round(seconds * fps)
    pictures = []
    for number in range(count):
        scene = scenes[number * len(scenes) // count]
        left = 4 * (number % (count // len(scenes) + 1))
        pictures.append(np.clip(scene[:, left : left + 320], 0, 255).astype(np.uint8))
    return Shown(pictures, [number / fps for number in range(count)], seconds)


def plain_clip(grey: int, seconds: float = 4.0) -> Shown:
    """A clip of one colour."""
    return Shown(
        [np.full((192, 320, 3), grey, np.uint8)] * round(seconds * 5), [number / 5 for number in range(round(seconds * 5))], seconds
    )
