"""A program: asks a real YOLO in a cell, edits its module on disk, kills its process, asks again; prints both answers as JSON.

Usage: edit_during_run.py CHECKOUT PICTURE, with CHECKOUT (a copy that may be spoilt) first on PYTHONPATH.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import ray

from rumiai_ray.config import load_config
from rumiai_ray.engine.cell import cell as cells
from rumiai_ray.engine.cell.dispatcher import Dispatcher, Done, WorkRow
from rumiai_ray.engine.cell.policy import cell_spec
from rumiai_ray.engine.ray_session.local import local_ray
from rumiai_ray.engine.setup.machines import plan_of_ray
from rumiai_ray.engine.setup.model_choice import choose_models
from rumiai_ray.engine.work.arrow_ipc import unpack
from rumiai_ray.engine.work.item import Work, encode
from rumiai_ray.frames.types import EncodedBatch


def main(checkout: Path, picture: Path) -> None:
    """See the module."""
    config = load_config(flags={"profile": "offline", "models": "yolo"})
    models = choose_models(config)
    with local_ray() as ours:
        cell = cells.start(cell_spec(config, models, plan_of_ray(config, models).cell, ours))
        before = _ask(cell, picture)
        module = checkout / "rumiai_ray" / "models" / "yolo" / "model.py"
        text = module.read_text().replace('"label": COCO_CLASSES[int(found[row, 5])]', '"label": "EDITED"')
        assert "EDITED" in text
        module.write_text(text)
        os.kill(before["pid"], signal.SIGKILL)
        print(json.dumps([before, _ask(cell, picture)]))  # noqa: T201


def _ask(cell: cells.Cell, picture: Path) -> dict[str, Any]:
    image = cv2.imread(str(picture))
    assert image is not None
    height, width = image.shape[:2]
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    batch = EncodedBatch(np.zeros(1, np.int32), np.zeros(1, np.int64), np.zeros(1), (jpeg,))
    work = Work("e", "v", 0, 1, {"yolo": (0,)}, frames=batch, source_width_px=width, source_height_px=height)
    dispatcher = Dispatcher(cell.front, in_flight=1, attempts=3, patience_s=300)
    dispatcher.submit(WorkRow(ray.put(encode([work]))))
    done: list[Done] = []
    while not done:
        done = dispatcher.collect()
    payload: Any = ray.get(done[0].payload)
    ready = ray.get(cell.actors["yolo"][0].ready.remote())
    return {"pid": ready.pid, "labels": unpack(payload["yolo"]["objects"])["label"].to_pylist()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
