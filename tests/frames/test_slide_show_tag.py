"""A post of images is known by what its file says of itself, and a stranger's file that says so is decoded like any other."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image

from decoded import decoded
from rumiai_ray.ingest.slide_show import TAG, TAG_NAME, is_slide_show

if TYPE_CHECKING:
    from pathlib import Path


def _file(path: Path, tags: dict[str, str], step_s: Fraction = Fraction(3), count: int = 4) -> Path:
    """Pictures of one colour each, `step_s` apart."""
    with av.open(str(path), "w") as output:
        output.metadata.update(tags)
        stream = output.add_stream("mpeg4", rate=1 / step_s)
        stream.width, stream.height, stream.pix_fmt = 64, 96, "yuv420p"
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((96, 64, 3), 60 * number, np.uint8), format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("step_s", [Fraction(1, 25), Fraction(3)])
def test_a_file_that_says_so_differs_in_nothing_else(tmp_path: Path, suffix: str, step_s: Fraction) -> None:
    plain = decoded(_file(tmp_path / f"plain.{suffix}", {}, step_s))
    tagged = decoded(_file(tmp_path / f"tagged.{suffix}", {TAG_NAME: TAG}, step_s))
    assert (plain.facts.is_slide_show, tagged.facts.is_slide_show) == (False, True)
    assert replace(tagged.facts, is_slide_show=False, size_bytes=0) == replace(plain.facts, size_bytes=0)
    assert [frame.jpeg for frame in tagged.frames] == [frame.jpeg for frame in plain.frames]


@pytest.mark.parametrize(
    "tags", [{}, {TAG_NAME: ""}, {TAG_NAME: TAG[:-1]}, {TAG_NAME: f"{TAG} "}, {"title": TAG}, {"description": TAG}, {TAG: TAG_NAME}]
)
def test_whatever_else_a_file_says_makes_no_post_of_it(tags: dict[str, str]) -> None:
    assert not is_slide_show(tags)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_an_animation_of_three_seconds_a_picture_is_no_post_of_images(tmp_path: Path, suffix: str) -> None:
    pictures = [Image.new("RGB", (64, 96), (80 * number, 40, 200)) for number in range(3)]
    pictures[0].save(tmp_path / f"slow.{suffix}", save_all=True, append_images=pictures[1:], duration=3000)
    facts = decoded(tmp_path / f"slow.{suffix}").facts
    assert (facts.frames_decoded, facts.duration_s, facts.is_slide_show) == (3, 9.0, False)
