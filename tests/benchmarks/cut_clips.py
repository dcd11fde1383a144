"""Short real clips for `make bench`: every real clip cut into pieces of three seconds, and a manifest of them.

`python tests/benchmarks/cut_clips.py MEDIA FOLDER` writes MP4 files (H.264, AAC) and `clips.txt`. The same media and the same libav
give the same files, byte for byte. Equal bytes would be analysed once, so a batch of many clips needs many different ones.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PIECE_S = 3.0
_SHORTEST_S = 1.5
"""What is left of a clip and shorter than this is dropped."""
_RATE_HZ = 48_000
_SOURCES = (
    "a_speech/autoeditor_example_voice_timecode.mp4",
    "a_speech/grid_bbaf2n.mpg",
    "a_speech/grid_brbk7n.mpg",
    "a_speech/grid_id2_vcd_swwp2s.mpg",
    "a_speech/grid_lwbsza.mpg",
    "a_speech/nasa_13013_multistream.mp4",
    "b_objects/intel_face_demographics_3faces.gif",
    "b_objects/sam2_dog_fetch.mp4",
    "b_objects/sam2_juggle.mp4",
    "c_text/moviepy_smpte_counters.mp4",
    "c_text_derived/tt_dog_voiceover_720x1280.mp4",
    "c_text_derived/tt_grid4_captions_720x1280.mp4",
    "c_text_derived/tt_textcards_no_person_720x1280.mp4",
    "d_emotion/pyfeat_face_then_noface.mov",
    "d_emotion/pyfeat_sad_to_happy_pexels.mp4",
    "d_emotion/pyfeat_single_face_neutral_to_smile.mp4",
    "d_gesture/asl_thanks.mkv",
    "d_gesture/asl_walk.mkv",
    "d_gesture/asl_yes.mkv",
)
# With mbtree on, x264's assembly reads memory that nobody wrote, and every file is another; its output depends on its threads, too.
_X264 = {"preset": "veryfast", "crf": "18", "mbtree": "0", "threads": "1"}


def cut(source: Path, folder: Path) -> list[Path]:
    """The pieces of one clip, written to `folder`."""
    sound = _sound(source)
    pieces = []
    for number, frames in enumerate(_pieces(source)):
        if len(frames) < 2 or frames[-1].time - frames[0].time < _SHORTEST_S:
            continue
        pieces.append(folder / f"{source.stem}_{number:02}.mp4")
        start = round(number * PIECE_S * _RATE_HZ)
        _write(pieces[-1], frames, number * PIECE_S, None if sound is None else sound[start : start + round(PIECE_S * _RATE_HZ)])
    return pieces


def _pieces(source: Path) -> Iterator[list[av.VideoFrame]]:
    """The frames of each stretch of `PIECE_S`; times count from the first frame."""
    with av.open(str(source)) as container:
        first: float | None = None
        piece: list[av.VideoFrame] = []
        number = 0
        for frame in container.decode(video=0):
            first = frame.time if first is None else first
            if frame.time - first >= (number + 1) * PIECE_S:
                yield piece
                piece, number = [], number + 1
            frame.pts, frame.time_base = round((frame.time - first) * 90_000), Fraction(1, 90_000)
            piece.append(frame)
        yield piece


def _sound(source: Path) -> NDArray[np.float32] | None:
    """(n,) mono at `_RATE_HZ`; None where the clip has no sound."""
    with av.open(str(source)) as container:
        if not container.streams.audio:
            return None
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=_RATE_HZ)
        chunks = [out.to_ndarray()[0] for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        chunks += [out.to_ndarray()[0] for out in resampler.resample(None)]
    return np.concatenate(chunks) if chunks else None


def _write(path: Path, frames: list[av.VideoFrame], start_s: float, sound: NDArray[np.float32] | None) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=30, options=_X264)
        # 4:2:0 has no odd sizes.
        video.width, video.height, video.pix_fmt = frames[0].width // 2 * 2, frames[0].height // 2 * 2, "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, 90_000)
        audio = None if sound is None or not len(sound) else container.add_stream("aac", rate=_RATE_HZ, layout="mono")
        for frame in frames:
            picture = frame.reformat(video.width, video.height, "yuv420p")
            picture.pts, picture.time_base = (frame.pts or 0) - round(start_s * 90_000), Fraction(1, 90_000)
            picture.pict_type = 0
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            for at in range(0, len(sound), 1024):
                samples = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None, at : at + 1024]), format="fltp", layout="mono")
                samples.rate, samples.pts, samples.time_base = _RATE_HZ, at, Fraction(1, _RATE_HZ)
                container.mux(audio.encode(samples))
            container.mux(audio.encode(None))


def main() -> None:
    """Cut everything."""
    media, folder = (Path(argument).resolve() for argument in sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    cuts = [cut(media / name, folder) for name in _SOURCES]
    # One piece of every clip, then the next of every clip: neighbours differ.
    pieces = [piece for turn in zip_longest(*cuts) for piece in turn if piece is not None]
    (folder / "clips.txt").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    sys.stdout.write(f"{len(pieces)} clips in {folder}\n")


if __name__ == "__main__":
    main()
