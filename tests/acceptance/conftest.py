"""Runs of the product over real clips and over the demo clip, each made once and shared by the tests that look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from once import once, shared_folder
from product import ROOT, Ran, analyse, rumiai_ray
from real_media import SHARED

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The offline weights are here: what `weights verify` says of them. What needs them is skipped by name where they are not."""
    note = shared_folder(tmp_path_factory) / "weights.ran"
    ran = once(note, lambda: rumiai_ray("weights", "verify", "--profile", "offline", cwd=ROOT))
    if ran.code:
        pytest.skip(f"weights are missing: {ran.stderr}")
    return ran.stdout


@pytest.fixture(scope="session")
def yolo11n(weights: str) -> None:
    """The YOLO for tests is here, which sees more than the stand-in of the profile `offline`."""
    if "yolo11n" not in weights:
        pytest.skip(f"no YOLO weights: set RUMIAI_WEIGHTS_DIR to {SHARED / 'weights'}")


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a frame store and runs that all calls of the session share, from whichever process of it."""
    folder = shared_folder(tmp_path_factory) / "acceptance"
    folder.mkdir(exist_ok=True)
    return folder


CLIPS = (
    "c_text_derived/tt_grid4_captions_720x1280.mp4",
    "b_objects/sam2_dog_fetch.mp4",
    "b_objects/sam2_juggle.mp4",
    "c_text_derived/tt_textcards_no_person_720x1280.mp4",
    "d_emotion/pyfeat_sad_to_happy_pexels.mp4",
    "d_emotion/pyfeat_single_face_happy.jpg",
    "d_gesture/asl_thanks.mkv",
    "d_gesture/asl_walk.mkv",
    "d_gesture/asl_yes.mkv",
    "c_text_derived/tt_dog_voiceover_720x1280.mp4",
    "d_emotion/pyfeat_face_then_noface.mov",
)


@pytest.fixture(scope="session")
def real(media: Path, yolo11n: None, workplace: Path) -> Ran:
    """All models and signals on eleven real clips, in one run."""
    del yolo11n
    files = [media / clip for clip in CLIPS]
    ran = once(workplace / "real.ran", lambda: analyse(workplace, files))
    assert ran.stdout, ran.stderr
    return ran


@pytest.fixture(scope="session")
def demo_run(demo_clip: Path, weights: str, workplace: Path) -> Ran:
    """All models and signals on the demo clip, in one run."""
    del weights
    ran = once(workplace / "demo.ran", lambda: analyse(workplace, [demo_clip]))
    assert ran.stdout, ran.stderr
    return ran
