"""What holds for every model family."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import fakes
from rumiai_ray.models.base import AudioChunk, Batch, FrameBatch, Model, ModelSettings, Prediction, Thumbnails
from rumiai_ray.models.catalogue import MODELS, model_class
from rumiai_ray.schema.registry import TABLES_BY_NAME

if TYPE_CHECKING:
    from rumiai_ray.models.weights.files import Candidate

HEAVY = {"cv2", "easyocr", "faster_whisper", "feat", "mediapipe", "onnxruntime", "open_clip", "openvino", "parselmouth", "scenedetect",
         "torch", "torchvision", "ultralytics"}  # fmt: skip


def test_a_family_s_module_imports_no_heavy_library_before_load() -> None:
    modules = sorted({implementation.partition(":")[0] for implementation in MODELS.values()})
    code = f"import sys, importlib\nfor name in {modules!r}: importlib.import_module(name)\nprint(*sorted(sys.modules))"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(modules) <= set(imported)
    assert HEAVY & set(imported) == set()


@pytest.mark.parametrize("name", MODELS)
def test_a_family_describes_itself(name: str) -> None:
    family = model_class(name)
    assert family.name == name
    assert family.settings_type is not ModelSettings
    assert {candidate.package for candidate in family.candidates(family.settings_type())} <= set(family.packages)
    for table in family.tables:
        assert TABLES_BY_NAME[table.name] is table
        assert table.made_by == (name,)


def test_every_table_is_made_by_families_of_the_catalogue() -> None:
    assert {family for table in TABLES_BY_NAME.values() for family in table.made_by} <= set(MODELS)


class OwnSettings(ModelSettings):
    pass


class Ears(Model[OwnSettings, AudioChunk]):
    name = "ears"
    tables = ()

    @classmethod
    def candidates(cls, settings: OwnSettings) -> tuple[Candidate, ...]:
        del settings
        return ()

    def load(self) -> None: ...

    def predict(self, batch: AudioChunk) -> Prediction:
        del batch
        return Prediction({})


class KeenEars(Ears):
    name = "keen"


FRAMES = FrameBatch(np.zeros(1, np.int32), np.zeros(1), np.zeros((1, 2, 2, 3), np.uint8), 2, 2)
SOUND = AudioChunk(np.zeros(4, np.int16), 0.0)
THUMBNAILS = Thumbnails((b"",), np.zeros(1), 0, 1, 1.0)


@pytest.mark.parametrize("kind", [Ears, KeenEars])
def test_a_family_names_its_settings_and_its_batches_once(kind: type[Ears]) -> None:
    assert kind.settings_type is OwnSettings
    assert kind.consumes == "audio"
    ears = kind(replace(fakes.plan("ears"), settings=OwnSettings()))
    assert ears.answer(SOUND) == Prediction({})


@pytest.mark.parametrize("batch", [FRAMES, THUMBNAILS])
def test_a_batch_of_another_kind_is_refused_by_name(batch: Batch) -> None:
    ears = Ears(replace(fakes.plan("ears"), settings=OwnSettings()))
    with pytest.raises(TypeError, match=f"ears takes audio, not {type(batch).__name__}"):
        ears.answer(batch)


@pytest.mark.parametrize("settings", [ModelSettings(), fakes.FakeSettings()])
def test_settings_of_another_family_are_refused_by_name(settings: ModelSettings) -> None:
    with pytest.raises(TypeError, match="ears takes OwnSettings"):
        Ears(replace(fakes.plan("ears"), settings=settings))
    with pytest.raises(TypeError, match="ears takes OwnSettings"):
        Ears.choices(settings)
