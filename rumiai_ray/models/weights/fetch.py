"""Fetches the weights that are missing. A file appears under its name only whole and after its digest matched."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rumiai_ray.errors import WeightsError
from rumiai_ray.models.weights.choice import DIRECTORY_VARIABLE
from rumiai_ray.models.weights.digests import WrongDigestError, check, digests_of, pinned
from rumiai_ray.models.weights.files import PackageSource
from rumiai_ray.models.weights.reach import answering, host_of
from rumiai_ray.models.weights.sources import Downloads, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rumiai_ray.models.base import Model, ModelSettings
    from rumiai_ray.models.weights.files import Candidate, Profile, Source, WeightFile


def fetch(
    models: Sequence[type[Model]],
    settings: Mapping[str, ModelSettings],
    profile: Profile,
    directory: Path,
    progress: Callable[[str], None],
    pins_in: Sequence[Path] = (),
) -> tuple[Path, ...]:
    """Fetch into `directory` what the models' first fetchable candidates in `profile` still lack there.

    Two processes may do this at once: each works in a folder of its own and moves whole, checked files into place.

    Args:
        models: the families.
        settings: by family name; a family that is not in it has its default settings.
        profile: whose candidates.
        directory: a weights directory; made if need be.
        progress: is told one line per file.
        pins_in: other weights directories, whose pins count as well.

    Returns:
        The paths that were fetched; files that were there already, with the right digest, are left alone.

    Raises:
        WeightsError: at least one file could not be fetched or put in place, says which and why; all others were fetched.
            Also where all were, but nobody vouches for one: says what to write into `pins.toml`.
    """
    files, failures = _wanted(models, settings, profile)
    fetched: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        pins = pinned([*pins_in, directory])
        # Inside `directory`, because only within one file system is a move atomic.
        with TemporaryDirectory(prefix=".fetch-", dir=directory) as scratch:
            downloads = Downloads(Path(scratch))
            for file in files:
                try:
                    if (directory / file.path).exists():
                        check({file: directory / file.path} if file.sha256 else {}, ())
                        progress(f"{file.path}: is there")
                    else:
                        expected = file.sha256 or pins.get(file.path)
                        fetched.append(_fetch_file(file, alternatives(file, profile), expected, directory, downloads, progress))
                except WeightsError as error:
                    failures.append(error)
                except OSError as error:
                    failures.append(_cannot_write(directory / file.path, error))
        # All that nobody vouches for at once, so that they are pinned in one go.
        unknown = {file: directory / file.path for file in files if file.sha256 is None}
        check({file: path for file, path in unknown.items() if path.exists()}, [*pins_in, directory])
    except OSError as error:
        failures.append(_cannot_write(directory, error))
    except WeightsError as error:
        failures.append(error)
    _raise_all(failures)
    return tuple(fetched)


def _wanted(
    models: Sequence[type[Model]], settings: Mapping[str, ModelSettings], profile: Profile
) -> tuple[tuple[WeightFile, ...], list[WeightsError]]:
    """The files of each model's fetchable candidate, each once; and an error for each model that has none."""
    files: dict[str, WeightFile] = {}
    failures = []
    for model in models:
        candidate = fetchable(model, settings.get(model.name) or model.settings_type(), profile)
        if candidate is None:
            what = f"nothing of the profile {profile} can be fetched"
            failures.append(WeightsError(what, f"model {model.name}", "choose the other --profile"))
        else:
            files |= {file.path: file for file in candidate.files}
    return tuple(files.values()), failures


def _raise_all(failures: Sequence[WeightsError]) -> None:
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise WeightsError(f"{len(failures)} failures:\n" + "\n".join(f"  {failure}" for failure in failures), "weights")


def fetchable(model: type[Model], settings: ModelSettings, profile: Profile) -> Candidate | None:
    """The first candidate of `profile` whose files can be fetched: what `fetch` gets."""
    candidates = (candidate for candidate in model.choices(settings) if profile in candidate.profiles)
    return next((candidate for candidate in candidates if not candidate.only_local), None)


def alternatives(file: WeightFile, profile: Profile) -> tuple[tuple[Source, ...], ...]:
    """The file's sources that `profile` allows, in order: `offline` asks nothing but the package registry."""
    if profile == "standard":
        return file.sources
    return tuple(parts for parts in file.sources if all(isinstance(part, PackageSource) for part in parts))


def unreachable(files: Iterable[WeightFile], profile: Profile, timeout_s: float = 3.0) -> list[str]:
    """Names of hosts that do not answer and without which a file cannot be had, as none of its sources in `profile` can be reached.

    All are asked at once and answer within `timeout_s` or not at all. A package always counts as reachable: only the package
    manager knows its registry's host.
    """
    choices = [alternatives(file, profile) for file in files]
    answers = answering((source for choice in choices for parts in choice for source in parts), timeout_s)
    dead: set[str] = set()
    for choice in choices:
        silent = [
            {host_of(part) for part in parts if not isinstance(part, PackageSource) and not answers[host_of(part)]} for parts in choice
        ]
        if all(silent):
            dead.update(*silent)
    return sorted(dead)


def _fetch_file(
    file: WeightFile,
    choice: tuple[tuple[Source, ...], ...],
    expected: str | None,
    directory: Path,
    downloads: Downloads,
    progress: Callable[[str], None],
) -> Path:
    part = downloads.scratch / "part"
    failures = []
    for sources in choice:
        try:
            _download(sources, expected, downloads, part)
        except WeightsError as error:
            failures.append(str(error))
            continue
        target = directory / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        size_bytes = part.stat().st_size
        part.replace(target)
        progress(f"{file.path}: {size_bytes:,} bytes from {_names(sources)}")
        return target
    if not choice:
        elsewhere = ", ".join(_names(sources) for sources in file.sources)
        failures.append(f"no package has it; with `--profile standard` it comes from {elsewhere}" if elsewhere else "no source is known")
    raise WeightsError("; ".join(failures), file.path, f"or get it elsewhere and put it at {directory / file.path}")


def _download(sources: tuple[Source, ...], expected: str | None, downloads: Downloads, part: Path) -> None:
    """Write the joined sources to `part`."""
    with part.open("wb") as out:
        for source in sources:
            downloads.write(source, out)
        # Else a power cut after the move could leave the name with nothing behind it.
        out.flush()
        os.fsync(out.fileno())
    (digest,) = digests_of([part])
    if expected is not None and digest != expected:
        raise WrongDigestError(f"gave a file whose SHA-256 is {digest}, must be {expected}", _names(sources), "nothing was kept")


def _cannot_write(path: Path, error: OSError) -> WeightsError:
    return WeightsError(f"cannot be written: {error.strerror}", str(path), f"name a writable directory with space in {DIRECTORY_VARIABLE}")


def _names(sources: tuple[Source, ...]) -> str:
    return " + ".join(describe(source) for source in sources)
