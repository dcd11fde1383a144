"""Which recogniser EasyOCR loads for which languages, from EasyOCR's own configuration, without importing EasyOCR.

`easyocr.Reader` decides this inside its constructor, after torch is imported and with files at hand; a plan is made before that.
"""

from __future__ import annotations

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection

_LATIN = "latin_g2"
_ALONE = {
    "th": "thai_g1",
    "ch_tra": "zh_tra_g1",
    "ch_sim": "zh_sim_g2",
    "ja": "japanese_g2",
    "ko": "korean_g2",
    "ta": "tamil_g1",
    "te": "telugu_g2",
    "kn": "kannada_g2",
}
"""Languages that go together with English only."""
_FAMILIES = {
    "bengali_lang_list": "bengali_g1",
    "arabic_lang_list": "arabic_g1",
    "devanagari_lang_list": "devanagari_g1",
    "cyrillic_lang_list": "cyrillic_g2",
    "latin_lang_list": _LATIN,
}
"""Lists of EasyOCR's configuration, in the order in which `Reader` asks."""

SCRIPTS = {
    "cyrillic_g2": "cyrillic",
    "korean_g2": "hangul",
    "thai_g1": "thai",
    "arabic_g1": "arabic",
    "devanagari_g1": "devanagari",
    "bengali_g1": "bengali",
    "tamil_g1": "tamil",
    "telugu_g2": "telugu",
    "kannada_g2": "kannada",
}
"""Recognisers of scripts that PP-OCR does not know, by the script, as the script probe names it."""


def recogniser_file(languages: Collection[str]) -> str:
    """File name of the recogniser for `languages`, e.g. `english_g2.pth`.

    Args:
        languages: EasyOCR's language codes.

    Raises:
        ConfigError: EasyOCR is not installed, does not know a language, or cannot read these together.
    """
    config = _config()
    # EasyOCR 1.7.2 lists languages (Sanskrit is one) of which it lacks the characters.
    known = {language for language in config.all_lang_list if (_folder() / "character" / f"{language}_char.txt").is_file()}
    unknown = sorted(set(languages) - known)
    if unknown or not languages:
        hint = f"EasyOCR knows {', '.join(sorted(known))}"
        raise ConfigError("no such language", f"ocr languages {', '.join(unknown) or '(none)'}", hint)
    name, readable = _recogniser(config, set(languages))
    if apart := sorted(set(languages) - readable):
        raise ConfigError(
            f"EasyOCR cannot read them together with {', '.join(sorted(set(languages) - set(apart)))}",
            f"ocr languages {', '.join(apart)}",
            "run them apart",
        )
    models = config.recognition_models["gen1"] | config.recognition_models["gen2"]
    return str(models[name]["filename"])


def recognisers_beside_ppocr(languages: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The recognisers for the languages whose script PP-OCR does not know: file name to the languages it is to read.

    Args:
        languages: EasyOCR's language codes.

    Raises:
        ConfigError: as `recogniser_file`, but languages of different scripts go together.
    """
    if not languages:
        recogniser_file(languages)
    groups: dict[str, tuple[str, ...]] = {}
    for language in languages:
        name = recogniser_file([language])
        if PurePath(name).stem in SCRIPTS:
            groups[name] = (*groups.get(name, ()), language)
    for together in groups.values():
        recogniser_file(together)
    return groups


def _recogniser(config: Any, languages: set[str]) -> tuple[str, set[str]]:
    """The recogniser's name in EasyOCR's configuration, and all languages it reads."""
    if languages == {"en"}:
        return "english_g2", {"en"}
    for language, name in _ALONE.items():
        if language in languages:
            return name, {language, "en"}
    for family, name in _FAMILIES.items():
        members = set(getattr(config, family))
        if name == _LATIN or languages & members:
            return name, members | {"en"}
    raise AssertionError(languages)


def _config() -> Any:
    spec = spec_from_file_location("easyocr_config", _folder() / "config.py")
    if spec is None or spec.loader is None:
        raise ConfigError("has no config.py", f"easyocr in {_folder()}", "install the version this project names")
    config = module_from_spec(spec)
    spec.loader.exec_module(config)
    return config


def _folder() -> Path:
    package = find_spec("easyocr")
    if package is None or package.origin is None:
        raise ConfigError("the package easyocr is not installed", "model ocr", "`make venv` installs it")
    return Path(package.origin).parent
