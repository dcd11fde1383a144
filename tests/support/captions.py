"""Frames with captions whose text is known: rendered lines of many sizes, fonts, colours and places, over real frames or made-up ones."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from numpy.typing import NDArray

SIZE_PX = (720, 1280)
LINES = (
    "POV: your cat learns to swim", "wait for the end...", "5 tricks for a better morning", "LINK IN BIO", "Follow for part 3",
    "how we saved $2,500 in 60 days", "nobody tells you this", "Day 21 of running", "you won't believe #4", "Save this for later!",
    "clean with me", "30% OFF until Friday", "the EASIEST bread recipe", "comment INFO for the list", "this fixed my sleep",
    "6 AM routine", "Tag someone who needs it", "Watch it twice", "@studio.north", "ASMR packing", "Here's the result",
    "Stop the scroll", "Small shop check", "I tried it for a week", "Use code HELLO15",
)  # fmt: skip
STYLES = ("outline", "box", "plain", "yellow", "shadow")
_TEXT_SIZES_PX = (22, 28, 34, 40, 48, 60, 72)
_BOLD = ("Roboto-Bold.", "Roboto-Medium.", "OpenSans-Bold.", "OpenSans-Semibold.", "Lato-Black.", "Lato-Bold.", "LiberationSans-Bold.",
         "DejaVuSans-Bold.")  # fmt: skip
_CLIP_ENDINGS = {".mp4", ".mov", ".mkv", ".mpg"}


@dataclass(frozen=True)
class Shown:
    """One rendered line."""

    text: str
    box: tuple[float, float, float, float]
    """x1, y1, x2, y2 around the letters, in pixels."""
    style: str
    size_px: int


def fonts(names: Sequence[str] = _BOLD) -> list[str]:
    """Files of the fonts with these beginnings that the machine has; DejaVu, which matplotlib brings, at least."""
    found = sorted(str(path) for path in Path("/usr/share/fonts").rglob("*.ttf") if path.name.startswith(tuple(names)))
    if not found:
        import matplotlib as mpl  # noqa: PLC0415 -- only where the system has no font

        found = [str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf")]
    return found


@cache
def _characters(font_file: str) -> frozenset[int]:
    from fontTools.ttLib import TTFont  # noqa: PLC0415 -- only for unusual characters

    return frozenset(TTFont(font_file, fontNumber=0).getBestCmap())


def shown_by(text: str, font_file: str) -> bool:
    """Whether a font has all characters of a text."""
    return {ord(letter) for letter in text if letter != " "} <= _characters(font_file)


def draw_line(image: Image.Image, text: str, font: ImageFont.FreeTypeFont, at: tuple[float, float], style: str, ground: str) -> Shown:
    """Draw one line of text with its top left corner at `at`."""
    draw = ImageDraw.Draw(image)
    (x, y), size = at, int(font.size)
    x1, y1, x2, y2 = draw.textbbox((x, y), text, font=font)
    if style == "box":
        draw.rectangle([x1 - 12, y1 - 8, x2 + 12, y2 + 8], fill=ground)
        draw.text((x, y), text, font=font, fill="black" if ground in {"white", "#ffe600"} else "white")
    elif style in {"outline", "yellow"}:
        fill = "white" if style == "outline" else "#ffe600"
        draw.text((x, y), text, font=font, fill=fill, stroke_width=max(2, size // 14), stroke_fill="black")
    else:
        if style == "shadow":
            draw.text((x + 3, y + 3), text, font=font, fill="black")
        draw.text((x, y), text, font=font, fill="white")
    return Shown(text, (x1, y1, x2, y2), style, size)


def fitting(image: Image.Image, text: str, file: str, size_px: int, margin_px: int = 40) -> ImageFont.FreeTypeFont:
    """The font in the largest size up to `size_px` in which the text fits across the image."""
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype(file, size_px)
    while draw.textlength(text, font=font) > image.width - margin_px and size_px > 10:
        size_px -= 2
        font = ImageFont.truetype(file, size_px)
    return font


def backgrounds(media: Path | None, rng: random.Random, count: int) -> list[Image.Image]:
    """Pictures of `SIZE_PX`: frames of the real clips in `media`, or made-up ones where there is none."""
    clips = [] if media is None else sorted(
        path for folder in ("b_objects", "d_emotion", "d_gesture", "a_speech") for path in (media / folder).iterdir()
        if path.suffix in _CLIP_ENDINGS
    )  # fmt: skip
    return [_cropped(_frame(rng.choice(clips), rng.randint(0, 40))) if clips else _made_up(rng) for _ in range(count)]


def _frame(clip: Path, wanted: int) -> Image.Image:
    import av  # noqa: PLC0415 -- only where there are clips

    with av.open(str(clip)) as container:
        for number, picture in enumerate(container.decode(video=0)):
            image: Image.Image = picture.to_image()  # type: ignore[no-untyped-call]  # as PyAV has it
            if number >= wanted:
                break
    return image.convert("RGB")


def _cropped(image: Image.Image) -> Image.Image:
    width, height = SIZE_PX
    scale = max(width / image.width, height / image.height)
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _made_up(rng: random.Random) -> Image.Image:
    """Smooth blobs of colour: nothing in it looks like a letter."""
    noise = np.random.default_rng(rng.getrandbits(32)).integers(20, 200, (16, 9, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(SIZE_PX, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(8))


def captioned(
    background: Image.Image, rng: random.Random, lines: Sequence[str] = LINES, files: Sequence[str] = ()
) -> tuple[Image.Image, list[Shown]]:
    """The picture with one to three captions, and what they say."""
    image = background.copy()
    files = files or fonts()
    shown = []
    for y in rng.sample(range(120, 1150, 150), rng.choice([1, 2, 2, 3])):
        text = rng.choice(lines)
        font = fitting(image, text, rng.choice(files), rng.choice(_TEXT_SIZES_PX))
        width = ImageDraw.Draw(image).textlength(text, font=font)
        x = rng.choice([20, (image.width - width) / 2, image.width - width - 20])
        shown.append(draw_line(image, text, font, (x, y), rng.choice(STYLES), rng.choice(["white", "black", "#ff2d55"])))
    return image, shown


def as_stored(image: Image.Image) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 RGB, after the frame store's JPEG 95."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return np.array(Image.open(buffer).convert("RGB"), np.uint8)
