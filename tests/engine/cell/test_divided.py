"""A batch that the GPU's memory does not hold: done in parts, with the rows of the whole, and `analyses` says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import fakes
from rumiai_ray.engine.cell.model_actor import ModelActor
from rumiai_ray.engine.work.arrow_ipc import unpack
from rumiai_ray.provenance import source_sha256

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.engine.cell.messages import Answer

FRAMES = 11


def _asked(folder: Path, most: int) -> Answer:
    actor = ModelActor(fakes.plan("greedy", "Greedy", on=most), folder / f"note{most}", source_sha256())
    actor.ready()
    images = np.stack([np.full((4, 6, 3), number, np.uint8) for number in range(FRAMES)])
    index, times = np.arange(FRAMES, dtype=np.int32), np.arange(FRAMES) / 5
    return actor.predict_frames("1", images, tuple(range(FRAMES)), index, times, (6, 4))


@pytest.mark.parametrize(("most", "parts_of"), [(1, 1), (3, 3), (4, 3), (6, 6), (10, 6)])
def test_a_batch_in_parts_gives_the_rows_of_the_whole_and_says_how_large_they_were(tmp_path: Path, most: int, parts_of: int) -> None:
    whole, divided = _asked(tmp_path, FRAMES), _asked(tmp_path, most)
    assert whole.notes == ()
    assert divided.notes == (f"GPU memory ran out: frames were done {parts_of} at a time at most",)
    assert unpack(divided.tables["seen"]).equals(unpack(whole.tables["seen"]))
    assert divided.rows == FRAMES


def test_a_single_frame_that_is_too_much_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="CUDA out of memory"):
        _asked(tmp_path, 0)
