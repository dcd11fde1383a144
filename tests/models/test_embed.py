"""The image-embedding family, wiring only: OpenCLIP's real code with seeded random weights at a small size, whose features mean nothing.

Shown are shapes, that frames and rows belong together, that batches are batches, that the published file's names are understood, and that
nothing is fetched.
"""

from __future__ import annotations

import json
import logging
import socket
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rumiai_ray.errors import ConfigError, WeightsError
from rumiai_ray.models.base import FrameBatch, ModelPlan, Subset
from rumiai_ray.models.embed.model import NETWORKS, Embed, EmbedSettings
from rumiai_ray.models.weights.choice import WantedModel, unfetched_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FEATURES = 24
SIDES_PX = {"siglip-b16": 160, "clip-b32": 32}
SMALL = {
    "siglip-b16": {
        "embed_dim": FEATURES,
        "custom_text": True,
        "vision_cfg": {
            "image_size": SIDES_PX["siglip-b16"],
            "timm_model_name": "test_vit",
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
        },
        "text_cfg": {"context_length": 4, "vocab_size": 16, "width": 16, "heads": 2, "layers": 1},
    },
    "clip-b32": {
        "embed_dim": FEATURES,
        "vision_cfg": {"image_size": SIDES_PX["clip-b32"], "layers": 2, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 4, "vocab_size": 16, "width": 16, "heads": 2, "layers": 1},
    },
}
"""The networks' two kinds of image tower, timm's and OpenCLIP's own, small."""


@pytest.fixture(scope="module", autouse=True)
def _open_clip() -> None:
    """Skips where the extra is not installed. Not done at collection: the import takes seconds."""
    try:
        import open_clip  # noqa: F401, PLC0415
    except ModuleNotFoundError:
        pytest.skip("the extra `embed` is not installed")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both networks small, as whole networks with both towers, as the hub has them."""
    import open_clip  # noqa: PLC0415 -- after the skip above
    import torch  # noqa: PLC0415
    from safetensors.torch import save_file  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("open_clip")
    written = {}
    for name, config in SMALL.items():
        (folder / f"wiring-{name}.json").write_text(json.dumps(config))
        open_clip.add_model_config(folder / f"wiring-{name}.json")
        torch.manual_seed(11)
        whole = open_clip.create_model(f"wiring-{name}", load_weights=False)
        written[name] = folder / f"{name}.safetensors"
        save_file({key: value.contiguous() for key, value in whole.state_dict().items()}, written[name])
    return written


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings' names stand for the small networks, and a test that wants the network fails."""

    def no_network(*_: object) -> None:
        raise AssertionError("OpenCLIP wanted the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    import open_clip  # noqa: PLC0415 -- after the skip above

    published = open_clip.get_pretrained_cfg
    # The small networks are scaled for as the published ones are.
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda name, tag: published(_published(name), tag))
    for name, network in list(NETWORKS.items()):
        monkeypatch.setitem(NETWORKS, name, replace(network, architecture=f"wiring-{name}"))


PUBLISHED = {f"wiring-{name}": network.architecture for name, network in NETWORKS.items()}


def _published(name: str) -> str:
    return PUBLISHED[name]


def plan(towers: Path, **settings: Any) -> ModelPlan:
    return ModelPlan(
        name="embed",
        backend="open_clip/small",
        version="3",
        stand_in=False,
        files={"towers": towers},
        digests={},
        weights_sha256="",
        device="cpu",
        precision="fp32",
        settings=EmbedSettings(**settings),
    )


@pytest.fixture
def loaded(files: dict[str, Path], small: None) -> Iterator[Callable[..., Embed]]:
    del small
    made: list[Embed] = []

    def load(network: str, **settings: Any) -> Embed:
        model = Embed(plan(files[network], network=network, **settings))
        model.load()
        made.append(model)
        return model

    yield load
    for model in made:
        model.close()


def batch(count: int = 5) -> FrameBatch:
    images = np.random.default_rng(5).integers(0, 255, (count, 96, 160, 3), dtype=np.uint8)
    images.flags.writeable = False
    return FrameBatch(np.arange(0, 2 * count, 2, dtype=np.int32), np.arange(count) / 2, images, source_width_px=320, source_height_px=192)


def embeddings(model: Embed, of: FrameBatch) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.array([row["embedding"] for row in model.predict(of).tables["embeddings"].to_pylist()], np.float32)


@pytest.mark.parametrize("network", SMALL)
def test_every_frame_has_one_row_with_features_of_unit_length(loaded: Callable[..., Embed], network: str) -> None:
    rows = loaded(network).predict(batch()).tables["embeddings"].to_pylist()
    assert [(row["frame_index"], row["time_s"]) for row in rows] == [(0, 0.0), (2, 0.5), (4, 1.0), (6, 1.5), (8, 2.0)]
    assert {len(row["embedding"]) for row in rows} == {FEATURES}
    assert [np.linalg.norm(row["embedding"]) for row in rows] == pytest.approx([1] * 5, abs=1e-6)


@pytest.mark.parametrize("network", SMALL)
def test_the_features_are_those_that_open_clip_itself_gives_with_the_whole_network(
    loaded: Callable[..., Embed], files: dict[str, Path], network: str
) -> None:
    import open_clip  # noqa: PLC0415
    import torch  # noqa: PLC0415
    from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    ours = embeddings(loaded(network), batch())
    whole = open_clip.create_model(f"wiring-{network}", pretrained=str(files[network])).eval()
    for number, image in enumerate(batch().images):
        published = NETWORKS[network]
        scaled = merge_preprocess_dict(
            PreprocessCfg(size=SIDES_PX[network]), open_clip.get_pretrained_cfg(published.architecture, published.tag)
        )
        picture = image_transform_v2(PreprocessCfg(**scaled), is_train=False)(Image.fromarray(image))
        with torch.inference_mode():
            theirs = whole.encode_image(picture[None], normalize=True)[0].numpy()
        assert ours[number] == pytest.approx(theirs, abs=1e-5)


def test_pictures_are_scaled_as_each_network_was_trained(loaded: Callable[..., Embed]) -> None:
    # SigLIP squeezes the whole picture into a square, CLIP cuts its middle out: what stands at the edge counts for one only.
    edge = batch(1).images.copy()
    edge[:, :, :20] = 255 - edge[:, :, :20]
    changed = replace(batch(1), images=edge)
    siglip, clip = loaded("siglip-b16"), loaded("clip-b32")
    assert not np.allclose(embeddings(siglip, batch(1)), embeddings(siglip, changed), atol=1e-5)
    assert np.allclose(embeddings(clip, batch(1)), embeddings(clip, changed), atol=1e-5)


def test_how_many_frames_go_through_at_once_changes_nothing(loaded: Callable[..., Embed], monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = loaded("siglip-b16", batch_frames=2), loaded("siglip-b16", batch_frames=8)
    sizes: list[int] = []
    embed = few._tower.embed

    def counted(images: Any) -> Any:
        sizes.append(len(images))
        return embed(images)

    monkeypatch.setattr(few._tower, "embed", counted)
    assert embeddings(few, batch()) == pytest.approx(embeddings(many, batch()), abs=1e-5)
    assert sizes == [2, 2, 1]


def test_no_frames_are_no_rows(loaded: Callable[..., Embed]) -> None:
    assert loaded("clip-b32").predict(batch(0)).tables["embeddings"].num_rows == 0


def test_the_other_network_s_file_is_refused(files: dict[str, Path], small: None) -> None:
    del small
    with pytest.raises(WeightsError, match="does not load as wiring-siglip-b16"):
        Embed(plan(files["clip-b32"], network="siglip-b16")).load()


def test_a_file_that_is_no_network_is_refused(tmp_path: Path, small: None) -> None:
    del small
    (tmp_path / "towers").write_bytes(b"no network")
    with pytest.raises(WeightsError, match="does not load"):
        Embed(plan(tmp_path / "towers")).load()


def test_loading_logs_nothing_and_leaves_logging_as_it_was(loaded: Callable[..., Embed], caplog: pytest.LogCaptureFixture) -> None:
    loaded("siglip-b16")
    assert caplog.text == ""
    logging.getLogger().warning("still heard")
    assert "still heard" in caplog.text


@pytest.mark.parametrize("name", NETWORKS)
def test_the_published_networks_are_known_to_open_clip_with_the_weights_that_are_fetched(name: str) -> None:
    import open_clip  # noqa: PLC0415

    network = NETWORKS[name]
    assert open_clip.get_model_config(network.architecture)
    assert open_clip.get_pretrained_cfg(network.architecture, network.tag)["hf_hub"].strip("/") == network.repo


def test_weights_come_from_the_hub_and_are_trusted_on_first_use() -> None:
    for name in NETWORKS:
        (candidate,) = Embed.candidates(EmbedSettings.model_validate({"network": name}))
        (file,) = candidate.files
        assert file.trusted_on_first_use
        assert not file.noncommercial
        assert candidate.profiles == ("standard",)


def test_frames_are_evenly_spread_at_the_interval() -> None:
    assert EmbedSettings().subset(12.0) == Subset(fps=1.0, max_frames=60)
    assert EmbedSettings(fps=2.5, max_frames=7).subset(600.0) == Subset(fps=2.5, max_frames=7)


def test_without_the_extra_the_plan_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", absent)
    settings = EmbedSettings()
    with pytest.raises(ConfigError, match="open_clip_torch is not installed") as raised:
        unfetched_plan(WantedModel(Embed, settings), Embed.candidates(settings)[0], device="cpu", reason="")
    assert raised.value.hint == "pip install 'rumiai-ray[embed]'"
