"""Image embeddings: SigLIP or CLIP through OpenCLIP, of frames at a fixed interval. Opt-in: it runs where `--models` names it.

The cuts are not known while frames are embedded, for the shot detector runs beside this family. So frames are embedded at a fixed
interval, and assembly says of each which shot it belongs to and which one is the key frame of its shot (`insights/key_frames.py`). A shot
that is shorter than the interval may have no embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from rumiai_ray.errors import ConfigError
from rumiai_ray.models.base import FrameBatch, Model, ModelSettings, Prediction, Subset
from rumiai_ray.models.weights.files import Candidate, HubSource, WeightFile
from rumiai_ray.schema.embed import EMBEDDINGS, TABLES
from rumiai_ray.settings import execution, result

if TYPE_CHECKING:
    from rumiai_ray.schema import Table


@dataclass(frozen=True)
class EmbeddingNetwork:
    """One network that this family can run."""

    architecture: str
    """OpenCLIP's name of it."""
    tag: str
    """OpenCLIP's name of the published weights: says how pictures are scaled for them."""
    repo: str
    """The hub's repository of these weights, which have both towers in one file."""
    licence: str
    memory_gb: float
    """What an actor takes of the machine's memory, in GB."""


NETWORKS = {
    "siglip-b16": EmbeddingNetwork("ViT-B-16-SigLIP", "webli", "timm/ViT-B-16-SigLIP", "Apache-2.0", memory_gb=1.4),
    "clip-b32": EmbeddingNetwork("ViT-B-32", "laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "MIT", memory_gb=1.4),
}
"""By the setting's value. SigLIP's takes 0.5 s of one CPU core for a frame, CLIP's a quarter of that and finds less."""
_FILE = "open_clip_model.safetensors"


class EmbedSettings(ModelSettings):
    """Settings of the image-embedding family."""

    network: Literal["siglip-b16", "clip-b32"] = result("siglip-b16", "network: siglip-b16, or clip-b32, which takes a quarter of the time")
    fps: float = result(1.0, "frames embedded per second; each shot's key frame is one of them", gt=0)
    max_frames: int = result(60, "largest number of frames embedded per video", ge=1)
    batch_frames: int = execution(8, "frames per forward pass", ge=1)

    def subset(self, duration_s: float) -> Subset:
        """`fps` frames a second, `max_frames` in all."""
        del duration_s
        return Subset(fps=self.fps, max_frames=self.max_frames)


class Embed(Model[EmbedSettings, FrameBatch]):
    """The embedding of every frame asked for."""

    name: ClassVar[str] = "embed"
    tables: ClassVar[tuple[Table, ...]] = TABLES
    packages: ClassVar[tuple[str, ...]] = ("open_clip_torch", "timm", "torch", "torchvision", "pillow")
    opt_in: ClassVar[bool] = True

    @classmethod
    def candidates(cls, settings: EmbedSettings) -> tuple[Candidate, ...]:
        """The one network that `settings` name. Nothing but the hub has its weights."""
        network = NETWORKS[settings.network]
        file = WeightFile("towers", f"embed/{settings.network}/{_FILE}", None, network.licence, ((HubSource(network.repo, _FILE),),))
        return (
            Candidate(
                backend=f"open_clip/{settings.network}",
                package="open_clip_torch",
                extra="embed",
                files=(file,),
                profiles=("standard",),
                memory_gb=network.memory_gb,
            ),
        )

    def load(self) -> None:
        """Load the image tower.

        Raises:
            WeightsError: the file does not load, or is another network's.
            ConfigError: OpenCLIP is not installed.
        """
        try:
            from rumiai_ray.models.embed.image_tower import ImageTower  # noqa: PLC0415 -- heavy
        except ModuleNotFoundError as error:
            if error.name != "open_clip":
                raise
            raise ConfigError("OpenCLIP is not installed", "model embed", "pip install 'rumiai-ray[embed]'") from error
        network = NETWORKS[self.settings.network]
        self._tower = ImageTower(
            network.architecture, network.tag, self.plan.files["towers"], device=self.plan.device, threads=self.settings.threads
        )

    def predict(self, batch: FrameBatch) -> Prediction:
        """One row for each frame."""
        size = self.settings.batch_frames
        parts = [self._tower.embed(batch.images[start : start + size]) for start in range(0, len(batch.images), size)]
        features = [row for part in parts for row in part]
        rows = (
            {"frame_index": int(index), "time_s": float(time_s), "embedding": feature}
            for index, time_s, feature in zip(batch.frame_index, batch.time_s, features, strict=True)
        )
        return Prediction({EMBEDDINGS.name: EMBEDDINGS.rows(rows)})

    def close(self) -> None:
        """Free the network."""
        del self._tower
