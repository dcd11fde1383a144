"""Real clips and pictures with known content: those of `../shared/media`, or what installed packages ship of them, byte for byte."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from os import PathLike

SHARED = Path(__file__).resolve().parents[3] / "shared"
MEDIA = SHARED / "media"
PACKAGED = {
    "b_objects/chelsea_cat.png": ("skimage", "data/chelsea.png"),
    "b_objects/ultralytics_bus.jpg": ("ultralytics", "assets/bus.jpg"),
    "b_objects/ultralytics_zidane.jpg": ("ultralytics", "assets/zidane.jpg"),
    "d_emotion/pyfeat_face_then_noface.mov": ("feat", "tests/data/face_noface.mov"),
    "d_emotion/pyfeat_multi_face_5.jpg": ("feat", "tests/data/multi_face.jpg"),
    "d_emotion/pyfeat_noface_mountain.jpg": ("feat", "tests/data/free-mountain-vector-01.jpg"),
    "d_emotion/pyfeat_sad_to_happy_pexels.mp4": ("feat", "tests/data/WolfgangLanger_Pexels.mp4"),
    "d_emotion/pyfeat_single_face_happy.jpg": ("feat", "tests/data/single_face.jpg"),
    "d_emotion/pyfeat_single_face_neutral_to_smile.mp4": ("feat", "tests/data/single_face.mp4"),
    "d_emotion/skimage_astronaut_happy.png": ("skimage", "data/astronaut.png"),
}
"""For a file of the media folder: the import name of the package that ships the same bytes, and the path inside it."""


class Media(PosixPath):
    """The media folder. To name a file of it that is not there skips the test and says which file is missing."""

    def __truediv__(self, key: str | PathLike[str]) -> Media:
        """The folder or file of that name."""
        found = super().__truediv__(key)
        if found.suffix and not found.exists():
            pytest.skip(f"no real media at {MEDIA} [{'/'.join(found.parts[-2:])}]")
        return found

    def iterdir(self) -> Generator[Media, None, None]:
        """The files of a folder of which no package ships a part."""
        if not self.is_dir():
            pytest.skip(f"no real media at {MEDIA} [{self.name}]")
        yield from (Media(path) for path in super().iterdir())


def media_at(folder: Path) -> Media:
    """The shared folder where it lies beside this checkout; else `folder`, filled with what packages ship."""
    if MEDIA.is_dir():
        return Media(MEDIA)
    for name, (package, member) in PACKAGED.items():
        spec = find_spec(package)
        for place in (spec.submodule_search_locations if spec else None) or ():
            if (source := Path(place) / member).is_file():
                (folder / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(source, folder / name)
    return Media(folder)


def known_files() -> list[str]:
    """Names of the media files that are here, relative to the folder."""
    return sorted(str(path.relative_to(MEDIA)) for path in MEDIA.glob("*/*")) if MEDIA.is_dir() else sorted(PACKAGED)
