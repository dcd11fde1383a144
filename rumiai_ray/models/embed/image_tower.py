"""The image tower of a CLIP-like network, built by OpenCLIP and loaded from one local file. Imported by `Embed.load` only: it is heavy."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import open_clip
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from PIL import Image
from safetensors import SafetensorError, safe_open

from rumiai_ray.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_TOWER = "visual."
"""What the names of the image tower's weights begin with, in a file that has both towers."""
_NO_TEXT = {"context_length": 1, "vocab_size": 1, "width": 8, "heads": 1, "layers": 1}
"""OpenCLIP builds both towers or none: the text tower, 0.4 GB that nobody asks, is built this small."""


class ImageTower:
    """Embeds pictures.

    Args:
        architecture: OpenCLIP's name of the network.
        tag: OpenCLIP's name of the published weights; taken from it is how pictures are scaled, nothing is fetched.
        weights: safetensors file of the whole network.
        device: `cpu` or `cuda:N`.
        threads: of torch.

    Raises:
        WeightsError: the file does not load, or is another network's.
    """

    def __init__(self, architecture: str, tag: str, weights: Path, *, device: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self._device = torch.device(device)
        with _no_warnings():  # of random weights: the right ones are loaded right after
            self._tower = open_clip.create_model(architecture, load_weights=False, pretrained_text=False, text_cfg=_NO_TEXT).visual
        try:
            self._tower.load_state_dict(_weights_of_tower(weights))
        except (SafetensorError, RuntimeError, OSError) as error:
            raise WeightsError(f"does not load as {architecture}: {error}", str(weights), "fetch the weights again") from error
        self._tower.to(self._device).eval()
        known = open_clip.get_pretrained_cfg(architecture, tag) | {"size": self._tower.image_size}
        self._scaled = image_transform_v2(PreprocessCfg(**merge_preprocess_dict(PreprocessCfg(), known)), is_train=False)

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features of unit length.

        Args:
            images: (n, height, width, 3) uint8 RGB.

        Returns:
            (n, features) float32.
        """
        pictures = torch.stack([self._scaled(Image.fromarray(image)) for image in images])
        with torch.inference_mode():
            features = self._tower(pictures.to(self._device)).float()
            found: NDArray[np.float32] = torch.nn.functional.normalize(features, dim=-1).cpu().numpy()
        return found


def _weights_of_tower(path: Path) -> dict[str, Any]:
    """The image tower's weights by their names within the tower."""
    with safe_open(path, "pt") as file:
        return {name.removeprefix(_TOWER): file.get_tensor(name) for name in file.keys() if name.startswith(_TOWER)}  # noqa: SIM118 -- no dict


@contextmanager
def _no_warnings() -> Iterator[None]:
    """OpenCLIP logs through the root logger, which has no filter of its own to turn up."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
