"""A batch of frames that is too much for the GPU's memory is done in halves, and says so."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from rumiai_ray.models.base import FrameBatch, Prediction

if TYPE_CHECKING:
    from rumiai_ray.models.base import Batch, Model

_LOG = logging.getLogger(__name__)


def predict(model: Model, batch: Batch) -> tuple[Prediction, int | None]:
    """`model.predict(batch)`, in halves, quarters, … where torch finds no GPU memory for more.

    Frames are independent, so rows are the same but for what a GPU rounds otherwise in batches of another size. On an H200 with random
    weights 16 frames in fours gave YOLO's boxes bit for bit, and py-feat's readings within 0.00005 (fp32) and 0.004 (half precision).

    Returns:
        The prediction, and the number of frames of the largest part; None where the batch was not divided.

    Raises:
        Exception: what `predict` raises; also for want of memory, where a single frame, or a batch without frames, is too much.
    """
    try:
        return model.answer(batch), None
    except Exception as error:
        if not (isinstance(batch, FrameBatch) and len(batch.images) > 1 and memory_ran_out(error)):
            raise
        _LOG.info("the GPU's memory is too small for %d frames of %s, which are divided: %s", len(batch.images), model.name, error)
    # Outside of the handler: the traceback held what the failed attempt had in memory.
    _free()
    middle = (len(batch.images) + 1) // 2
    parts, sizes = [], []
    for half in (slice(None, middle), slice(middle, None)):
        part = FrameBatch(batch.frame_index[half], batch.time_s[half], batch.images[half], batch.source_width_px, batch.source_height_px)
        prediction, size = predict(model, part)
        parts.append(prediction)
        sizes.append(size or len(part.images))
    tables = type(model).join([part.tables for part in parts])
    missed = tuple(dict.fromkeys(one for part in parts for one in part.missed))
    return Prediction(tables, missed), max(sizes)


def memory_ran_out(error: BaseException) -> bool:
    """Whether torch found no GPU memory. A model that never imported torch cannot raise its error."""
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.OutOfMemoryError)


def _free() -> None:
    """Give what torch keeps for later back to the device, where other models may need it."""
    torch: Any = sys.modules["torch"]
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
