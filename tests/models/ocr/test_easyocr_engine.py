"""EasyOCR as an engine: what only it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pictures import batch, clip, still
from rumiai_ray.errors import ConfigError, WeightsError
from rumiai_ray.models.ocr.easyocr_weights import recogniser_file
from rumiai_ray.models.ocr.model import Ocr
from rumiai_ray.models.ocr.settings import OcrSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from rumiai_ray.models.base import FrameBatch, ModelPlan

    Plans = Callable[..., ModelPlan]


@pytest.fixture(scope="module")
def easyocr_model(plan_for: Plans) -> Iterator[Ocr]:
    model = Ocr(plan_for("ocr", engine="easyocr"))
    model.load()
    yield model
    model.close()


def _read(model: Ocr, frames: FrameBatch) -> pa.Table:
    return model.predict(frames).tables["texts"]


@pytest.mark.model("ocr")
def test_a_frame_that_equals_the_one_before_is_not_read_again_but_has_its_rows(
    easyocr_model: Ocr, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = clip(media / "c_text_derived/tt_textcards_no_person_720x1280.mp4", [3])[0, 500:780]
    looks: list[int] = []
    reader: Any = easyocr_model._reader
    network = reader._reader.detector

    def counted(images: Any) -> Any:
        looks.append(len(images))
        return network(images)

    monkeypatch.setattr(reader._reader, "detector", counted)
    other = np.zeros_like(card)
    rows = _read(easyocr_model, batch(np.stack([card, card, other, card]))).to_pylist()
    assert looks == [1, 1, 1]
    shown = [" ".join(row["text"] for row in rows if row["frame_index"] == at) for at in range(4)]
    assert shown == ["NO PHONE AFTER 10 PM", "NO PHONE AFTER 10 PM", "", "NO PHONE AFTER 10 PM"]
    assert [row["carried"] for row in rows] == [row["frame_index"] == 1 for row in rows]


@pytest.mark.model("ocr")
def test_openvino_and_torch_read_the_same(easyocr_model: Ocr, media: Path, plan_for: Plans) -> None:
    poster = batch(still(media / "c_text/easyocr_english.png", (452, 240))[None])
    ours = _read(easyocr_model, poster)
    on_torch = Ocr(plan_for("ocr", engine="easyocr", runtime="torch"))
    on_torch.load()
    theirs = _read(on_torch, poster)
    on_torch.close()
    assert ours["text"].to_pylist() == theirs["text"].to_pylist()
    assert ours["polygon"].to_pylist() == theirs["polygon"].to_pylist()
    assert theirs.num_rows >= 10


@pytest.mark.model("ocr")
def test_a_damaged_file_is_a_weights_error(plan_for: Plans, tmp_path: Path) -> None:
    plan = plan_for("ocr", engine="easyocr")
    damaged = {role: tmp_path / path.name for role, path in plan.files.items()}
    damaged["detector"].symlink_to(plan.files["detector"])
    damaged["recogniser"].write_bytes(plan.files["recogniser"].read_bytes()[:100_000])
    with pytest.raises(WeightsError, match="EasyOCR cannot load the weights"):
        Ocr(replace(plan, files=damaged)).load()


@pytest.mark.model("ocr")
def test_files_in_two_directories_are_refused(plan_for: Plans, tmp_path: Path) -> None:
    plan = plan_for("ocr", engine="easyocr")
    apart = {**plan.files, "detector": tmp_path / plan.files["detector"].name}
    with pytest.raises(WeightsError, match="from one directory"):
        Ocr(replace(plan, files=apart)).load()


def test_every_language_is_read_by_the_recogniser_that_easyocr_would_take(tmp_path: Path) -> None:
    import easyocr  # noqa: PLC0415 -- heavy
    from easyocr import config  # noqa: PLC0415

    characters = Path(easyocr.__file__).with_name("character")
    languages = [language for language in config.all_lang_list if (characters / f"{language}_char.txt").exists()]
    assert len(languages) > 70
    for asked in [[language] for language in languages] + [["en", "fr"], ["ja", "en"], ["ru", "en"]]:
        reader = easyocr.Reader(
            asked, gpu=False, model_storage_directory=str(tmp_path), user_network_directory=str(tmp_path),
            detector=False, recognizer=False, download_enabled=False, verbose=False,
        )  # fmt: skip
        assert _characters(config, recogniser_file(asked)) == reader.character, asked
    with pytest.raises(ConfigError, match="no such language"):
        recogniser_file(["sa"])  # EasyOCR lists it, but lacks its characters


def _characters(config: Any, filename: str) -> str:
    models = [*config.recognition_models["gen1"].values(), *config.recognition_models["gen2"].values()]
    (characters,) = (model["characters"] for model in models if model["filename"] == filename)
    return str(characters)


def test_languages_easyocr_does_not_know_or_cannot_read_together_are_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match="ocr languages xx: no such language"):
        Ocr.candidates(OcrSettings(engine="easyocr", languages=("en", "xx")))
    with pytest.raises(ConfigError, match="ocr languages fr: EasyOCR cannot read them together with ja"):
        Ocr.candidates(OcrSettings(engine="easyocr", languages=("ja", "fr")))


def test_a_recogniser_this_release_does_not_know_has_to_be_pinned_and_put_there() -> None:
    (candidate,) = Ocr.candidates(OcrSettings.model_validate({"engine": "easyocr", "languages": "en, fr"}))
    assert candidate.backend == "easyocr/craft+latin_g2"
    assert [file.sha256 is None for file in candidate.files] == [False, True]
    assert candidate.only_local
