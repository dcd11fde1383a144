"""Plans for tests that run a model with real weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.run_setup import open_store
from rumiai_ray.models.catalogue import model_class
from rumiai_ray.models.weights.choice import MissingWeightsError, default_directories, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from rumiai_ray.frames.store.stored import StoredVideo
    from rumiai_ray.models.base import ModelPlan
    from rumiai_ray.models.weights.files import Profile

SHARED_WEIGHTS = Path(__file__).resolve().parents[3] / "shared" / "weights"


def _plan_for(name: str, profile: Profile = "offline", **settings: Any) -> ModelPlan:
    model = model_class(name)
    beside = (SHARED_WEIGHTS,) if SHARED_WEIGHTS.is_dir() else ()
    try:
        return resolve(model, model.settings_type(**settings), profile=profile, directories=beside + default_directories())
    except MissingWeightsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def plan_for() -> Callable[..., ModelPlan]:
    """`plan_for(name, profile="offline", **settings)`: the plan of a model family; skips, naming the files, where weights are absent."""
    return _plan_for


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], StoredVideo]:
    """`stored(file)`: the file in a frame store of this session, to be closed after use."""
    store = open_store(load_config(flags={"store": tmp_path_factory.mktemp("store")}))

    def opened(file: Path) -> StoredVideo:
        return store.ensure(file, hashlib.sha256(file.read_bytes()).hexdigest())

    return opened
