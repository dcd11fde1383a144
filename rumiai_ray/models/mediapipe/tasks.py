"""MediaPipe Tasks opened the way this project uses them: on single images, on the CPU, without chatter, closed on purpose.

Image mode always: video mode tracks from frame to frame, so one video's landmarks would leak over cuts and into the next.

Threads: the Tasks API has no switch and needs none. Desktop builds of MediaPipe run XNNPACK with one thread and the graph's
nodes one after the other: CPU time equals wall time on a machine with several cores.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from rumiai_ray.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

TaskKind = Literal["FaceLandmarker", "PoseLandmarker", "GestureRecognizer", "ObjectDetector"]

_CHATTER = re.compile(
    rb"Logging before InitGoogle|Sets \w+ acceleration to xnnpack|Created TensorFlow Lite XNNPACK|Feedback manager requires"
    rb"|Custom gesture classifier is not defined|Using NORM_RECT without IMAGE_DIMENSIONS"
)
"""What MediaPipe 1.2.2 writes to stderr when it opens a task and looks for the first time, all of it harmless. The last line comes once a
process: on the blank image that ends every load of `MediaPipe`, or with the first person seen where only other tasks were opened."""


class Task:
    """One opened MediaPipe task.

    Args:
        kind: the task's class in `mediapipe.tasks.python.vision`.
        bundle: the task's `.task` file.
        options: fields of the task's options class, confidences and counts.

    Raises:
        WeightsError: MediaPipe cannot open the bundle.
    """

    def __init__(self, kind: TaskKind, bundle: Path, **options: Any) -> None:
        import mediapipe as mp  # noqa: PLC0415 -- heavy
        from mediapipe.tasks.python import BaseOptions, vision  # noqa: PLC0415 -- heavy

        self._image = mp.Image
        self._format = mp.ImageFormat.SRGB
        chosen = getattr(vision, f"{kind}Options")(
            base_options=BaseOptions(model_asset_path=str(bundle), delegate=BaseOptions.Delegate.CPU),
            running_mode=vision.RunningMode.IMAGE,
            **options,
        )
        with _without_chatter():
            try:
                self._task = getattr(vision, kind).create_from_options(chosen)
            except (OSError, RuntimeError, ValueError) as error:
                raise WeightsError(f"MediaPipe cannot open the file: {error}", str(bundle), "fetch the weights again") from error
            self.look(np.zeros((32, 64, 3), np.uint8))  # the last of the chatter comes with the first look

    def look(self, image: NDArray[np.uint8]) -> Any:
        """MediaPipe's result for one image.

        Args:
            image: (height, width, 3) uint8 RGB, not mirrored.
        """
        seen = self._image(image_format=self._format, data=np.ascontiguousarray(image))
        return self._task.recognize(seen) if hasattr(self._task, "recognize") else self._task.detect(seen)

    def close(self) -> None:
        """Free the task's graph; left to the interpreter's end, MediaPipe raises from `__del__`."""
        self._task.close()


class _Closes(Protocol):
    def close(self) -> None:
        """Free it."""


@contextmanager
def closed_on_failure(opened: _Closes) -> Iterator[None]:
    """Close what is open already where what is opened now does not open.

    Left to the garbage collector, a task closes itself in the thread that happens to collect it, and waits there for a thread of its own
    that may be collected with it: for ever (seen in a test process that had imported on).
    """
    try:
        yield
    except BaseException:
        opened.close()
        raise


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Hold back what native code writes to stderr, then write all of it but the known chatter.

    MediaPipe 1.2.2 heeds no environment variable (`GLOG_minloglevel`, `GOOGLE_STDERRTHRESHOLD`), and its logging callback is told
    of messages in addition to stderr, so the file descriptor itself is turned aside.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not _CHATTER.search(line):
                    os.write(2, line)
