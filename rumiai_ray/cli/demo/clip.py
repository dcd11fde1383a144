"""The demo clip: three scenes out of media that installed packages ship, captions drawn on them, speech laid under them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from rumiai_ray.cli.demo.speech import RATE_HZ
from rumiai_ray.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.Image import Image

    PlaceOnScreen = tuple[float, float, float, float]

WIDTH_PX, HEIGHT_PX = 720, 1280
FPS = 25
SCENE_FRAMES = 80
SCENE_S = SCENE_FRAMES / FPS
CAPTION_TOP_PX, CAPTION_BOTTOM_PX = 1090, 1220
"""The strip that holds the caption's box, and nothing else that could be read."""
SPEECH_LEAD_S = 0.3
"""Silence before a scene's sentence, so that its words lie within the scene."""

_FONT_PX = 72
_CODECS = ("libx264", "libopenh264", "mpeg4")
"""In order of preference: H.264, and what every build of libav can write."""
# With mbtree on, x264's assembly reads memory that nobody wrote, and every file is another.
_OPTIONS = {"libx264": {"preset": "superfast", "crf": "20", "mbtree": "0"}}
_BIT_RATE = 3_000_000


@dataclass(frozen=True)
class Scene:
    """One picture or video, its caption and its sentence."""

    shows: str
    """In words, for people."""
    caption: str
    """Drawn, black on white."""
    sentence: str
    """Spoken; short enough for the scene."""
    package: str
    """Import name of the package that ships the medium."""
    member: str
    """Path inside the package."""
    first_px: PlaceOnScreen
    """What of the medium is shown first: left, top, right, bottom."""
    last_px: PlaceOnScreen
    """What is shown last, in the same proportions; between them the view moves steadily."""


SCENES = (
    Scene(
        shows="a man who begins to smile",
        caption="SMILE PLEASE",
        sentence="A man looks at us and smiles.",
        package="feat",
        member="tests/data/single_face.mp4",
        first_px=(120, 0, 480, 360),
        last_px=(120, 0, 480, 360),
    ),
    Scene(
        shows="people passing a bus",
        caption="CITY BUS STOP",
        sentence="People walk past a blue bus.",
        package="ultralytics",
        member="assets/bus.jpg",
        first_px=(0, 0, 810, 1080),
        last_px=(30, 150, 705, 1050),
    ),
    Scene(
        shows="an astronaut in her suit",
        caption="READY FOR SPACE",
        sentence="An astronaut stands beside a flag.",
        package="skimage",
        member="data/astronaut.png",
        first_px=(0, 0, 512, 512),
        last_px=(60, 0, 444, 384),
    ),
)
DURATION_S = SCENE_S * len(SCENES)


def compose(path: Path, speech: Sequence[np.ndarray[Any, np.dtype[np.int16]]] | None) -> str:
    """Write the clip: MP4, 720×1280 at 25 fps. For the same speech and the same packages it is the same file, byte for byte.

    It appears under its name only whole.

    Args:
        path: the file; its directory must exist.
        speech: for each of `SCENES` its sentence, (n,) int16 mono at 22,050 Hz; None leaves the clip without a sound track.

    Returns:
        Name of the video encoder: `libx264`, or the next best that libav was built with.

    Raises:
        ConfigError: a package that ships a medium is not installed, or ships it no more.
        StorageError: the file cannot be written.
        ValueError: a sentence is longer than its scene.
    """
    sources = [_source(scene) for scene in SCENES]
    tracks = None if speech is None else [_track(samples) for samples in speech]
    codec = next(name for name in _CODECS if name in av.codecs_available)
    part = path.with_name(path.name + ".part")
    try:
        with av.open(str(part), "w", format="mp4") as container:
            _write(container, codec, sources, tracks)
        part.replace(path)
    except OSError as error:
        raise StorageError(f"cannot be written: {error.strerror}", str(path), "name another place with `--keep PATH`") from error
    return codec


def _write(container: Any, codec: str, sources: Sequence[Path], tracks: Sequence[np.ndarray[Any, Any]] | None) -> None:
    video = container.add_stream(codec, rate=FPS, options=_OPTIONS.get(codec, {}))
    video.width, video.height, video.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
    video.codec_context.colorspace, video.codec_context.color_range = Colorspace.ITU709, ColorRange.MPEG
    # The encoder's output depends on how many threads share the work.
    video.codec_context.thread_count = 1
    if codec not in _OPTIONS:
        video.bit_rate = _BIT_RATE
    audio = None if tracks is None else container.add_stream("aac", rate=RATE_HZ, layout="mono")
    for number, (scene, source) in enumerate(zip(SCENES, sources, strict=True)):
        for index, picture in enumerate(_pictures(scene, source)):
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            frame.pts, frame.time_base = number * SCENE_FRAMES + index, Fraction(1, FPS)
            container.mux(video.encode(frame))
        if tracks is not None and audio is not None:
            sound = av.AudioFrame.from_ndarray(tracks[number][np.newaxis], format="s16", layout="mono")
            sound.sample_rate, sound.time_base = RATE_HZ, Fraction(1, RATE_HZ)
            sound.pts = number * len(tracks[number])
            container.mux(audio.encode(sound))
    for stream in (video, audio):
        if stream is not None:
            container.mux(stream.encode(None))


def _source(scene: Scene) -> Path:
    """Where the medium lies; the package, which may take seconds to import, is only looked up."""
    spec = find_spec(scene.package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / scene.member
        if path.is_file():
            return path
    raise ConfigError(f"no {scene.member} in it", f"package {scene.package}", "`make venv` installs the release that ships it")


def _track(samples: np.ndarray[Any, np.dtype[np.int16]]) -> np.ndarray[Any, np.dtype[np.int16]]:
    """One scene's sound: the sentence between silences, (SCENE_S × RATE_HZ,) int16."""
    track = np.zeros(SCENE_FRAMES * RATE_HZ // FPS, np.int16)
    lead = round(SPEECH_LEAD_S * RATE_HZ)
    if lead + len(samples) > len(track):
        raise ValueError(f"a sentence of {len(samples) / RATE_HZ:.2f} s is too long for a scene of {SCENE_S:.2f} s")
    track[lead : lead + len(samples)] = samples
    return track


def _pictures(scene: Scene, source: Path) -> Iterator[Image]:
    """The scene's `SCENE_FRAMES` pictures: the view of the medium on a blurred, darkened backdrop, the caption below it."""
    from PIL import Image  # noqa: PLC0415 -- not for `--help`

    with av.open(str(source)) as container:
        medium = [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    backdrop = _backdrop(medium[0])
    caption = _caption(scene.caption)
    backdrop.paste(caption, ((WIDTH_PX - caption.width) // 2, CAPTION_TOP_PX))
    left, top, right, bottom = scene.first_px
    view = (WIDTH_PX, round(WIDTH_PX * (bottom - top) / (right - left)))
    for index in range(SCENE_FRAMES):
        box = _between(scene.first_px, scene.last_px, index / (SCENE_FRAMES - 1))
        shown = medium[index * len(medium) // SCENE_FRAMES].resize(view, box=box)
        picture = backdrop.copy()
        picture.paste(shown, (0, (CAPTION_TOP_PX - view[1]) // 2))
        yield picture


def _between(first: PlaceOnScreen, last: PlaceOnScreen, done: float) -> PlaceOnScreen:
    """The box at a fraction `done`, 0 to 1, of the way."""
    left, top, right, bottom = ((1 - done) * a + done * b for a, b in zip(first, last, strict=True))
    return left, top, right, bottom


def _backdrop(medium: Image) -> Image:
    from PIL import ImageEnhance, ImageFilter, ImageOps  # noqa: PLC0415 -- not for `--help`

    # Blurred while it is small: the same look for a hundredth of the work.
    small = ImageOps.fit(medium, (WIDTH_PX // 8, HEIGHT_PX // 8)).filter(ImageFilter.GaussianBlur(4))
    return ImageEnhance.Brightness(small.resize((WIDTH_PX, HEIGHT_PX))).enhance(0.5)


def _caption(text: str) -> Image:
    """Black on a white box: the contrast is there on any picture."""
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 -- not for `--help`

    # `load_default` gives the font that Pillow itself ships; with a bare size it would be a bitmap of 11 px.
    font = ImageFont.load_default(size=_FONT_PX)
    height = CAPTION_BOTTOM_PX - CAPTION_TOP_PX
    box = Image.new("RGB", (min(WIDTH_PX, round(font.getlength(text)) + 60), height), "white")
    ImageDraw.Draw(box).text((box.width / 2, height / 2), text, fill="black", font=font, anchor="mm")
    return box
